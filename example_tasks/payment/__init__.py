"""An example: a payment that is recorded exactly once, in one transaction with its job."""
