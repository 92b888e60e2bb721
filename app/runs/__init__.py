"""The folder of one process, which is the truth about it."""
