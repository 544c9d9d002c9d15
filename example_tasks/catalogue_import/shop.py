"""The shop's database, in memory here."""

from __future__ import annotations

import threading


class Shop:
    """The products on sale."""

    def __init__(self) -> None:
        self.prices: dict[str, int] = {}
        self._lock = threading.Lock()

    def put(self, code: str, pence: int) -> None:
        """Put a product on sale, or change its price.

        Raises:
            ValueError: the shop doesn't sell it.
        """
        if not code.startswith("tea-"):
            raise ValueError(f"{code} isn't tea.")
        with self._lock:
            self.prices[code] = pence
