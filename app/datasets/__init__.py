"""Datasets: what they consist of, where their files lie, how those are read, and what is wrong with them."""
