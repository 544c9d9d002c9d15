"""An example: a report with fields of your own, and failures that are expected."""
