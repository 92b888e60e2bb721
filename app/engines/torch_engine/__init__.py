"""PyTorch behind the contract of engines; the default."""
