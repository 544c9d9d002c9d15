"""Ours with a sync task, which runs in threads."""

from __future__ import annotations

import payload

import ucam_faas

counter = payload.Counter()


@ucam_faas.message_handler(message_type=payload.Order)
def order(order: payload.Order) -> None:
    """Take an order, in a thread."""
    counter.add()
