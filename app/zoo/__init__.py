"""Models and properties, as data."""
