"""The changes of payloads that old messages may not survive, and protobuf's as text."""
