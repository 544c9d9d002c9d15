"""`ucam-faas dev`: tasks served as in production, with a Pub/Sub and a scheduler beside them."""
