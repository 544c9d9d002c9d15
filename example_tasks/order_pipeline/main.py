"""An order is paid, and then packed: two tasks, of which the first sends a job to the second."""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel, Field

import ucam_faas
from ucam_faas import DeadLetter, RetryPolicy

from .bank import Bank, CardRefusedError

bank = Bank()


class Order(BaseModel):
    """An order of a customer."""

    id: str = Field(min_length=1, examples=["order-17"])
    amount: int = Field(gt=0, examples=[1999])


class Receipt(BaseModel):
    """The proof that an order was paid."""

    order: str = Field(examples=["order-17"])
    payment: str = Field(examples=["payment-order-17"])


class Parcel(BaseModel):
    """The parcel of an order."""

    order: str
    number: str


@ucam_faas.message_handler(
    timeout=timedelta(seconds=30), retry=RetryPolicy(max_attempts=5), sends=["pack"]
)
def charge(order: Order) -> Receipt:
    """Take the payment of an order, and have it packed."""
    # Jobs run at least once: a process may end after the payment. So the bank gets a key, too.
    try:
        payment = bank.pay(order.amount, key=order.id)
    except CardRefusedError as error:
        raise DeadLetter("the card was refused") from error  # no attempt will do better
    receipt = Receipt(order=order.id, payment=payment)
    pack.send(receipt, id=order.id)  # a second attempt sends the same job, and packs nothing twice
    return receipt


@ucam_faas.message_handler
def pack(receipt: Receipt) -> Parcel:
    """Pack a paid order."""
    return Parcel(order=receipt.order, number=f"parcel-{receipt.order}")


def place(order: Order, timeout_seconds: float = 30) -> Receipt:
    """Send an order on its way, and wait for its receipt.

    The order's id is the job's: placing an order twice is one payment.

    Raises:
        JobFailed: it can't be paid.
        TimeoutError: it isn't paid yet.
    """
    job = charge.send(order, id=order.id)
    receipt: Receipt = job.result(timeout=timeout_seconds)
    return receipt
