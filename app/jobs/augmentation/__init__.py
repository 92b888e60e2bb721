"""What augmentation texts do to images: previews, and files of the command line."""
