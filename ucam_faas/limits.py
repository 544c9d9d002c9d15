"""Pub/Sub's limits of a message. Source: Google's page "Quotas and limits"."""

from __future__ import annotations

MAX_MESSAGE_BYTES = 10 * 1024 * 1024
"""Size limit of one message, data and attributes together; and of a publish request."""
MAX_ATTRIBUTES = 100
MAX_ATTRIBUTE_KEY_BYTES = 256
MAX_ATTRIBUTE_VALUE_BYTES = 1024
MAX_ORDERING_KEY_BYTES = 1024
