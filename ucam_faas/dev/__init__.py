"""`ucam-faas dev`: serve tasks as in production, with an embedded Pub/Sub and scheduler."""
