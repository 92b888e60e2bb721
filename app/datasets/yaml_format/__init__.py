"""The DeepHealth dataset format: YAML text into a description, and back."""
