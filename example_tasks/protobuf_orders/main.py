"""Works out what orders cost: a task for a protobuf message."""

from __future__ import annotations

import ucam_faas

from .orders_pb2 import Order


@ucam_faas.message_handler
def total_order(order: Order) -> dict[str, int]:
    """Work out what an order costs, in pence."""
    # No data at all is a valid protobuf message, with every field empty: look at what matters.
    if not order.order_id:
        raise ucam_faas.DeadLetter("the order has no id")
    total = sum(line.quantity * line.unit_price_pence for line in order.lines)
    return {"lines": len(order.lines), "total_pence": total}
