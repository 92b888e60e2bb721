"""Trainings and inferences for every engine: the contract, config, loading, loop, checkpoints."""
