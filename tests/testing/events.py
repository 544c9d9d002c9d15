"""The payloads of these tests' messages."""

from __future__ import annotations

from pydantic import BaseModel


class Order(BaseModel):
    id: str
    amount: int


class Reading(BaseModel):
    """A value of something; the higher, the newer."""

    sensor: str
    value: int


class Change(BaseModel):
    """Something happens to the row `key`."""

    id: str
    key: str
    kind: str
    value: str = ""


class Line(BaseModel):
    """So many lines of an invoice."""

    invoice: str
    count: int
