"""Ours: `ucam-faas worker` pulls this source."""

from __future__ import annotations

import counting
from payload import Order

import ucam_faas

counter = counting.Counter()


@ucam_faas.message_handler(message_type=Order, concurrency=80)
async def order(order: Order) -> None:
    """Take an order, on the event loop."""
    counter.add()
