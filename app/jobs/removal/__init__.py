"""Deleting: what depends on what, and room for it on a full disk."""
