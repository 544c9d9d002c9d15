"""Cloud Tasks: its queues and tasks (pure), the driver that dispatches on time, and its API."""
