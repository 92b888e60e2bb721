"""The operators of uploaded ONNX networks, each computed by PyTorch."""
