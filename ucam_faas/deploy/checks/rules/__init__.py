"""Rules of `ucam-faas check`: a file for each family, with its `RULES`."""
