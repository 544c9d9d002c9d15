"""Ours with a sync task, which runs in threads."""

from __future__ import annotations

import counting
from payload import Order

import ucam_faas

counter = counting.Counter()


@ucam_faas.message_handler(message_type=Order)
def order(order: Order) -> None:
    """Take an order, in a thread."""
    counter.add()
