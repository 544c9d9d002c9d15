"""A collection like a user's, with a requirement of its own."""
