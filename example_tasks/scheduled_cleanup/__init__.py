"""An example: a scheduled task that removes old files."""
