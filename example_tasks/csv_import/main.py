"""Imports price lists: a task with a parser of its own.

`PRICES_DATABASE` names an SQLite file; without it, prices are kept in memory and then forgotten.
"""

from __future__ import annotations

import csv
import io
import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass

import ucam_faas

TABLE = "CREATE TABLE IF NOT EXISTS prices (sku TEXT PRIMARY KEY, pence INTEGER NOT NULL)"
UPSERT = "INSERT INTO prices VALUES (?, ?) ON CONFLICT (sku) DO UPDATE SET pence = excluded.pence"


@dataclass(frozen=True, slots=True)
class Price:
    """The price of one article."""

    sku: str
    pence: int


def parse_prices(data: bytes) -> list[Price]:
    """Read a price list: CSV in UTF-8, with the columns `sku` and `pence`.

    An exception here makes the answer 400, and the task does not run.

    >>> parse_prices(b"sku,pence\\nA1,250\\n")
    [Price(sku='A1', pence=250)]
    """
    rows = csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
    prices = [Price(row["sku"].strip(), int(row["pence"])) for row in rows]
    if not prices or not all(price.sku and price.pence >= 0 for price in prices):
        raise ValueError("expected rows with an article and a price of at least 0")
    return prices


@ucam_faas.message_handler(message_type=parse_prices)
def import_prices(prices: list[Price]) -> dict[str, int]:
    """Import a price list from CSV."""
    database = os.environ.get("PRICES_DATABASE", ":memory:")
    # All rows or none, and the same after a second delivery.
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(TABLE)
        connection.executemany(UPSERT, [(price.sku, price.pence) for price in prices])
    return {"imported": len(prices)}
