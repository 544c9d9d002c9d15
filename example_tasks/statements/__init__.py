"""An example: a long job with steps, progress and a sleep."""
