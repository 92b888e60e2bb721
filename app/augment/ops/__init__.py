"""The operations of augmentation texts on pixels."""
