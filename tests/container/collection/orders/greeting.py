"""The greeting of the tasks."""

GREETING = "Good morning"
