"""Push delivery: HTTP requests to subscribers, and what their answers mean for the messages."""
