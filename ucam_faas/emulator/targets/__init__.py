"""Shared by Cloud Scheduler and Cloud Tasks: HTTP targets, backoffs, and the next run's timer."""
