"""Cloud Scheduler: its jobs (pure), the driver that publishes on time, and its API."""
