"""An example: a Cloud Run job, which a schedule starts."""
