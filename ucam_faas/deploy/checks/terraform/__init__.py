"""Readers of Terraform's plan: resources, and the tasks and grants among them."""
