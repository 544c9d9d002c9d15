"""Ours with a task of batches: one call for up to 500 messages, in a thread."""

from __future__ import annotations

from datetime import timedelta

import counting
from payload import Order

import ucam_faas
from ucam_faas import BatchMessage

counter = counting.Counter()


@ucam_faas.batch_handler(max_messages=500, max_wait=timedelta(milliseconds=100))
def order(orders: list[BatchMessage[Order]]) -> None:
    """Take orders, in a thread."""
    for _ in orders:
        counter.add()
