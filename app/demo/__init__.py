"""The demonstration: a client that knows the REST API and nothing else of the service."""
