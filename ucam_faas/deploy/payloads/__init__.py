"""Payloads as plain JSON, and the changes that old messages may not survive."""
