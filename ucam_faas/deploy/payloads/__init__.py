"""What payloads are, as plain JSON, and which changes of them old messages do not survive."""
