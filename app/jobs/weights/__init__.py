"""Weights as people get and bring them: details, ONNX files, models for uploads."""
