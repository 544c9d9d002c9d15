"""An example: jobs that send jobs, each done once."""
