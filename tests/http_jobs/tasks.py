"""Tasks, and the service that takes their jobs."""

from __future__ import annotations

from datetime import date

from google.protobuf.struct_pb2 import Struct
from pydantic import BaseModel, SecretStr

import ucam_faas


class Order(BaseModel):
    """An order."""

    id: int
    pence: int = 100
    customers: dict[str, int] = {}


class Receipt(BaseModel):
    """The answer to an order."""

    order: int
    paid: int
    on: date = date(2026, 1, 31)


class Login(BaseModel):
    """Has a value that its JSON hides."""

    password: SecretStr


class Customer(BaseModel):
    """Compares by its id."""

    id: int
    name: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Customer) and self.id == other.id


class Label(BaseModel):
    """A text."""

    text: str


class OutOfMoneyError(Exception):
    """An error whose text has data of the payload."""


@ucam_faas.message_handler
def charge(order: Order) -> Receipt:
    """Charge an order."""
    if order.pence < 0:
        raise OutOfMoneyError(f"SECRET {order.pence}")
    return Receipt(order=order.id, paid=order.pence)


@ucam_faas.message_handler(id=lambda order: f"refund/{order.id}", max_pending=2)
def refund(order: Order) -> None:
    """Pay an order back."""


@ucam_faas.message_handler(unique=lambda order: order.id, on_duplicate="raise")
def ship(order: Order) -> None:
    """Ship an order."""


@ucam_faas.message_handler
def index(document: Struct) -> int:
    """Index a document."""
    return len(document.fields)


@ucam_faas.message_handler
def measure(data: bytes) -> int:
    """Count bytes."""
    return len(data)


@ucam_faas.message_handler
def count(words: dict[str, int]) -> int:
    """Count words."""
    return sum(words.values())


@ucam_faas.message_handler
def tidy() -> str:
    """Take nothing."""
    return "tidied"


@ucam_faas.message_handler(unique=lambda label: label.text)
def label(label: Label) -> object:
    """Return a value that JSON doesn't have."""
    ucam_faas.current_job().progress(float("nan"))
    return object()


@ucam_faas.message_handler
def log_in(login: Login) -> None:
    """Log in."""


@ucam_faas.message_handler
def greet(customer: Customer) -> None:
    """Greet a customer."""


@ucam_faas.message_handler(lanes=ucam_faas.Priority)
def notify(order: Order) -> None:
    """Tell a customer."""


@ucam_faas.message_handler
def private(order: Order) -> None:
    """Isn't a task of the service."""


api = ucam_faas.jobs_over_http(
    charge, refund, ship, index, measure, count, tidy, label, log_in, greet, notify
)
