"""An example: an email about each job that fails."""
