"""Orders of the bookshop."""

from __future__ import annotations

from typing import Any

GOOD, WRONG = "17 King's Parade", "17 Kings Parad"


def order(number: int, street: str = GOOD, customer: str = "Ada Byron") -> dict[str, Any]:
    """Return an order; the post office doesn't know the street `WRONG`."""
    address = {"street": street, "city": "Cambridge", "postcode": "CB2 1ST"}
    lines = [{"title": "Middlemarch", "copies": 2}]
    return {"id": number, "customer": customer, "address": address, "lines": lines}
