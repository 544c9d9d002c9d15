"""One delivery through one task: the pipeline, dead letters, log lines, HTTP responses, wakes."""
