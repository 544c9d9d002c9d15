"""Terraform's plan: its readers, and the rules that hold it against the code."""
