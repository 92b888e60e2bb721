"""The report on a dataset: what its images, masks and splits hold, and what is wrong with them."""
