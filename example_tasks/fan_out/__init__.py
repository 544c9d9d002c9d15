"""An example: an async task that does several things at once."""
