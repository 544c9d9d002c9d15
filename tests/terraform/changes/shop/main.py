"""The deployment that the tests change: four tasks, with all that holds messages."""

from datetime import timedelta

from pydantic import BaseModel

from ucam_faas import Schedule, message_handler, raw_event


class Order(BaseModel):
    """An order."""

    order_id: str = ""


@message_handler(message_type=Order, topic="orders", schedule=Schedule("0 6 * * *", data=b"{}"))
def take_order(order: Order) -> None:
    """Take an order: dead letters of its own, which an archive keeps, too."""


@message_handler(message_type=None, topic="refunds", dead_letter_topic="failed")
def pay_back(data: bytes) -> None:
    """Pay a customer back: a named dead-letter topic."""


@message_handler(message_type=None, schedule="*/15 * * * *")
def tidy_up(data: bytes) -> None:
    """Remove old orders: a service that only has a schedule."""


@raw_event(run_as="cloud-run-job", timeout=timedelta(hours=2), schedule="0 3 * * *")
def report(body: bytes) -> None:
    """Report on the day: a Cloud Run job."""
