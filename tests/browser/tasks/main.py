"""A bookshop, whose dashboard the tests look at. Some of its tasks fail."""

from __future__ import annotations

import logging
from datetime import timedelta
from enum import Enum
from pathlib import Path

from pydantic import BaseModel, Field

import ucam_faas
from ucam_faas import MESSAGE_CONTEXT, DeadLetter, Lane, RetryPolicy, Schedule

LOG = logging.getLogger(__name__)
HERE = Path(__file__).parent
TWICE = RetryPolicy(max_attempts=2, min_backoff=timedelta(0), max_backoff=timedelta(seconds=1))
ONCE = RetryPolicy(max_attempts=1)


def said(name: str) -> bool:
    """Return True if the test has made a file of this name."""
    return (HERE / name).exists()


class Country(Enum):
    UK = "United Kingdom"
    FRANCE = "France"
    JAPAN = "Japan"


class Address(BaseModel):
    """Where to send it."""

    street: str = Field(min_length=1, examples=["5 Fitzwilliam Street"])
    city: str = Field(examples=["Cambridge"])
    postcode: str = Field(examples=["CB2 1QH"])
    country: Country = Country.UK


class Line(BaseModel):
    """A title, and the number of copies."""

    title: str = Field(examples=["Middlemarch"])
    copies: int = Field(1, ge=1, le=100)


class Order(BaseModel):
    """An order of a customer."""

    id: int = Field(gt=0, examples=[17])
    customer: str = Field(examples=["Ada Byron"])
    address: Address
    lines: list[Line] = Field(min_length=1)
    gift_note: str | None = None


def find_street(address: Address) -> str:
    """Return the street's name, as the post office writes it."""
    name = address.street.lstrip("0123456789 ")
    if name == "Kings Parad":
        raise LookupError(f"the post office knows no street {name!r} in {address.city}")
    return name


@ucam_faas.message_handler(retry=TWICE, publishes=["thank"])
def ship_order(order: Order) -> str:
    """Print the label of an order's parcel, and thank the customer."""
    LOG.info("packing order %d", order.id)
    return f"order {order.id} to {find_street(order.address)}"


class Letter(BaseModel):
    to: str
    text: str = ""


@ucam_faas.message_handler(retry=TWICE)
def thank(letter: Letter) -> None:
    """Send a letter of thanks; the mail server is away at each first attempt."""
    if MESSAGE_CONTEXT.get().delivery_attempt == 1:
        raise ConnectionError("the mail server is away")


class Payment(BaseModel):
    order: int
    pence: int = Field(gt=0)


@ucam_faas.message_handler(idempotent=True, retry=TWICE)
def charge(payment: Payment) -> str:
    """Take a payment, once."""
    return f"payment of order {payment.order}"


@ucam_faas.message_handler(
    schedule=[
        # Between these two, the clocks of London change.
        Schedule("0 12 1 3,4 *", time_zone="Europe/London", data=b"quarterly"),
        Schedule("0 3 * * *", data=b"nightly"),
    ]
)
def report_stock(data: bytes) -> None:
    """Count the books."""


@ucam_faas.message_handler(message_type=None, retry=ONCE)
def scan(data: bytes) -> None:
    """Read the picture of a cover; it accepts none today."""
    raise DeadLetter("the scanner is out of order")


@ucam_faas.message_handler(
    lanes=[Lane("default", max_concurrency=4), Lane("bulk", max_concurrency=1)], retry=ONCE
)
def pack(order: Order) -> str:
    """Pack a parcel."""
    return f"parcel of order {order.id}"


class Statement(BaseModel):
    year: int = Field(examples=[2025])
    customers: list[str] = Field(min_length=1)


def collect(year: int) -> int:
    return 1200 + year


def render(customer: str) -> str:
    if customer == "":
        raise ValueError("a statement needs a name")
    return f"statement of {customer}"


@ucam_faas.message_handler(retry=ONCE, sends=["pack"])
def write_statements(statement: Statement) -> str:
    """Write the statements of a year, and have one parcel packed."""
    job = ucam_faas.current_job()
    total = job.step("collect", collect, statement.year)
    address = Address(street="1 Trinity Street", city="Cambridge", postcode="CB2 1SU")
    lines = [Line(title="Statements", copies=1)]
    pack.send(Order(id=statement.year, customer="The shop", address=address, lines=lines))
    for customer in statement.customers:
        job.step(f"render {customer}", render, customer)
    return f"{total} entries"


class Book(BaseModel):
    number: int


def known(book: Book) -> int:
    return {0: 1}[book.number % 5]


@ucam_faas.message_handler(retry=ONCE)
def check_stock(book: Book) -> None:
    """Look for a book on the shelves; it fails for four reasons, until the shelves are tidy."""
    if said("tidy"):
        return
    match book.number % 5:
        case 1:
            raise DeadLetter("the book is being repaired")
        case 2:
            raise TimeoutError(f"no answer about book {book.number}")
        case 3:
            raise PermissionError(f"shelf {book.number} is locked")
    known(book)


class Refund(BaseModel):
    number: int


@ucam_faas.message_handler(retry=ONCE)
def refund(refund: Refund) -> None:
    """Pay money back, while the bank is open."""
    if not said("bank-is-open"):
        raise DeadLetter("the bank is closed")


@ucam_faas.message_handler(message_type=None)
def count_visit(data: bytes) -> None:
    """Count a visit of the shop's page."""


@ucam_faas.message_handler(message_type=None, retry=ONCE)
def wrap(data: bytes) -> None:
    """Wrap a parcel, while there is paper."""
    if not said("paper"):
        raise DeadLetter("there is no paper")
