"""The language of augmentation texts: what may be written, and what it does to images and masks."""
