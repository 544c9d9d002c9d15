"""The name by which our local Pub/Sub knows the streams of a worker, to which it writes at once."""

CLIENT_PREFIX = "ucam-faas-worker-"
"""Of the `client_id` in a StreamingPullRequest."""
