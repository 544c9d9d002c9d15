"""Definitions of Pub/Sub schemas: whether a text is one, whether data follow it, what changed."""
