"""Datasets enter the registry, are checked, shown, split anew, and opened by jobs."""
