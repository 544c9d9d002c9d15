"""Ours: `ucam-faas worker` pulls this source."""

from __future__ import annotations

import payload

import ucam_faas

counter = payload.Counter()


@ucam_faas.message_handler(message_type=payload.Order, concurrency=80)
async def order(order: payload.Order) -> None:
    """Take an order, on the event loop."""
    counter.add()
