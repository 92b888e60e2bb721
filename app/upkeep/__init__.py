"""What looks after a storage folder: verify, repair, back up, restore."""
