"""A bank that takes payments, in this process; a real one has the same idempotency key."""

from __future__ import annotations


class CardRefusedError(Exception):
    """The bank refuses the payment, today and tomorrow."""


class Bank:
    """Takes payments.

    Args:
        limit: the largest amount that it accepts.
    """

    def __init__(self, limit: int = 100_000) -> None:
        self._limit = limit
        self.payments: dict[str, int] = {}
        """Amounts by key."""

    def pay(self, amount: int, *, key: str) -> str:
        """Take a payment, and return its number; a second call with the key takes nothing.

        Raises:
            CardRefusedError: the amount is over the limit.
        """
        if amount > self._limit:
            raise CardRefusedError
        self.payments.setdefault(key, amount)
        return f"payment-{key}"
