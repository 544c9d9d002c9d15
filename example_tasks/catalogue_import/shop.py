"""The shop's database, in memory here."""

from __future__ import annotations

import threading


class Shop:
    """The products on sale."""

    def __init__(self) -> None:
        self.prices: dict[str, int] = {}
        self._lock = threading.Lock()

    def put(self, code: str, pence: int) -> None:
        """Put a product on sale, in place of one of its code."""
        with self._lock:
            self.prices[code] = pence
