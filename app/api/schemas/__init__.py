"""What requests and answers of each resource hold, by marshmallow, with examples for the documentation."""
