"""One delivery through one task: the pipeline, its dead letters, log lines and HTTP responses."""
