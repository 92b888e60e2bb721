"""The records: TinyDB files behind a lock, written by the web side and `dht` only."""
