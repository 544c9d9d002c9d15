"""Ours: what a user writes."""

from payload import Order

import ucam_faas


@ucam_faas.message_handler(message_type=Order)
def order(order: Order) -> None:
    """Take an order."""
