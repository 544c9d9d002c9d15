"""Tasks without any contradiction, to seed faults into."""

from datetime import timedelta

from pydantic import BaseModel

import ucam_faas
from ucam_faas import RetryPolicy, Schedule


class Order(BaseModel):
    """An order."""

    order_id: str
    pence: int = 0


@ucam_faas.message_handler(
    message_type=Order,
    topic="orders",
    timeout=timedelta(seconds=60),
    secrets={"API_KEY": "api-key"},
    retry=RetryPolicy(max_attempts=5),
    schedule=Schedule("*/15 * * * *", data=b'{"order_id": "probe"}'),
)
def count_orders(order: Order) -> None:
    """Count the orders."""


@ucam_faas.message_handler(
    message_type=None,
    topic="refunds",
    filter='attributes.kind = "refund"',
    ordered=True,
    secrets={"/etc/keys/bank": "bank-key:2"},
    retry=RetryPolicy(max_attempts=10),
    dead_letter_topic="failed-refunds",
)
def pay_back(data: bytes) -> None:
    """Pay a customer back."""


@ucam_faas.http(path="/orders/<order_id>", methods=["GET"])
def show_order(order_id: str) -> str:
    """Show an order."""
    return ""


@ucam_faas.raw_event(
    run_as="cloud-run-job", timeout=timedelta(hours=2), schedule=Schedule("0 3 * * *")
)
def clean_up(body: object) -> None:
    """Remove old orders."""


@ucam_faas.message_handler(
    run_as="worker", message_type=list[int], topic="films", timeout=timedelta(hours=1)
)
def cut_film(seconds: list[int]) -> None:
    """Cut a film."""
