"""Push delivery: HTTP requests to subscribers, whose answers acknowledge the messages."""
