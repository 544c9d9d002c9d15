"""The ports that show tasks, messages, jobs and dead letters, and act on them: of a local cloud, or
of a job store and a Pub/Sub elsewhere. The dashboard has pages for them, and `ucam-faas mcp` tools.
"""
