"""The kinds of image files: each read part by part, as planes, pages, slices or levels."""
