"""The certificates that sign push tokens: one fetch for all that wait, within a total time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ucam_faas.clock import Clock, timeout
from ucam_faas.execution import off_loop

LIFE_SECONDS = 3600.0
FETCH_SECONDS = 5.0
"""The whole fetch; less than the shortest ack deadline of a subscription, 10 s."""
RETRY_SECONDS = 5.0
"""After a failed fetch has ended, deliveries are refused for this long without another."""
MAX_FETCHES = 4
"""Fetches that may run at once: the awaited one, and others that were given up."""


class NoCertificatesError(Exception):
    """The certificates could not be fetched."""


class Certificates:
    """A document that is fetched when it is needed, and kept for an hour.

    It belongs to one event loop. Deliveries give up a fetch that takes too long, but its late
    result is taken, too.

    Args:
        fetch: returns the document, or raises; called in a thread of its own, where it may hang.
    """

    def __init__(self, fetch: Callable[[], bytes], clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._document: bytes | None = None
        self._fetched_at = 0.0
        self._failed_at: float | None = None
        self._fetches = 0
        self._fetching: asyncio.Task[None] | None = None

    async def get(self) -> bytes:
        """Return the document.

        Raises:
            NoCertificatesError: it cannot be had within `FETCH_SECONDS`.
        """
        if self._document is None or self._clock.monotonic() - self._fetched_at > LIFE_SECONDS:
            self._document = None
            await self._refresh()
        if self._document is None:
            raise NoCertificatesError
        return self._document

    async def _refresh(self) -> None:
        """Wait for the fetch that runs, or for a new one."""
        if self._fetching is None:
            failed_at = self._failed_at
            is_early = failed_at is not None and self._clock.monotonic() - failed_at < RETRY_SECONDS
            if is_early or self._fetches >= MAX_FETCHES:
                return
            self._fetching = asyncio.create_task(self._fetch_once())
        fetching = self._fetching
        try:
            async with timeout(self._clock, FETCH_SECONDS):
                await asyncio.shield(fetching)
        except TimeoutError:
            self._end(fetching, failed=True)

    async def _fetch_once(self) -> None:
        self._fetches += 1
        try:
            self._document = await off_loop.in_thread(self._fetch)
        except Exception:  # no route, no certificate in it, no thread: all the same here
            self._end(asyncio.current_task(), failed=True)
        else:
            self._fetched_at = self._clock.monotonic()
            self._end(asyncio.current_task(), failed=False)
        finally:
            self._fetches -= 1

    def _end(self, fetching: asyncio.Task[None] | None, *, failed: bool) -> None:
        if not failed:
            self._failed_at = None
        elif self._fetching is fetching:
            self._failed_at = self._clock.monotonic()
        if self._fetching is fetching:
            self._fetching = None
