"""A payment is taken from an account, and recorded, exactly once: in the transaction of its job."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

from pydantic import BaseModel, Field

import ucam_faas

DATABASE = os.environ.get("UCAM_FAAS_JOB_STORE", "").removeprefix("sqlite:") or "payments.db"
"""The shop's database, which also keeps the jobs, so that one transaction can cover both."""
TABLES = """
CREATE TABLE IF NOT EXISTS orders (id TEXT PRIMARY KEY, account TEXT, pence INTEGER);
CREATE TABLE IF NOT EXISTS accounts (name TEXT PRIMARY KEY, pence INTEGER);
CREATE TABLE IF NOT EXISTS payments (id TEXT, pence INTEGER);
"""


class Payment(BaseModel):
    """The payment of an order."""

    order: str = Field(min_length=1, examples=["order-17"])
    account: str = Field(min_length=1, examples=["ada"])
    pence: int = Field(gt=0, examples=[1999])


class Receipt(BaseModel):
    """The proof of a payment."""

    order: str = Field(examples=["order-17"])
    balance: int = Field(examples=[-1999])


@contextmanager
def database() -> Iterator[sqlite3.Connection]:
    """Open the database."""
    with closing(sqlite3.connect(DATABASE)) as connection:
        connection.executescript(TABLES)
        yield connection


def place(payment: Payment) -> ucam_faas.Job[Receipt]:
    """Write an order, and have it paid: both, or neither."""
    with database() as connection, ucam_faas.transaction(connection):
        connection.execute(
            "INSERT INTO orders VALUES (:order, :account, :pence)", payment.model_dump()
        )
        return take_payment.send(payment, id=payment.order)


@ucam_faas.message_handler(sends=["send_receipt"])
def take_payment(payment: Payment) -> Receipt:
    """Take the payment of an order, and have its receipt sent."""
    with database() as connection, ucam_faas.transaction(connection):
        receipt = _record(connection, payment)
        send_receipt.send(receipt)
        # The result is stored with the payment. If the process is killed before the commit, nothing
        # has happened, and the job runs again; after the commit, it has ended.
        ucam_faas.current_job().complete(receipt)
    return receipt


def _record(connection: sqlite3.Connection, payment: Payment) -> Receipt:
    values = payment.model_dump()
    connection.execute("INSERT INTO payments VALUES (:order, :pence)", values)
    connection.execute("INSERT OR IGNORE INTO accounts VALUES (:account, 0)", values)
    (balance,) = connection.execute(
        "UPDATE accounts SET pence = pence - :pence WHERE name = :account RETURNING pence", values
    ).fetchone()
    return Receipt(order=payment.order, balance=balance)


@ucam_faas.message_handler
def send_receipt(receipt: Receipt) -> str:
    """Send a receipt."""
    return f"The order {receipt.order} is paid, and the account has {receipt.balance} pence."
