"""Sending jobs to tasks, alone, in batches or with a commit; and messages to a task's topic."""
