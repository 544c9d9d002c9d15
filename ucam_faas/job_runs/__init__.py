"""Runs of jobs: a job is claimed, its function runs, its end is stored; and the sweep."""
