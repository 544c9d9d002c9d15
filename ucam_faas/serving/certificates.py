"""The certificates that sign push tokens: one fetch for all that wait, within a total time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress

from ucam_faas.clock import Clock

LIFE_SECONDS = 3600.0
FETCH_SECONDS = 5.0
"""The whole fetch; less than the shortest ack deadline of a subscription, 10 s."""
RETRY_SECONDS = 5.0
"""After a failed fetch has ended, deliveries are refused for this long without another."""
MAX_FETCHES = 4
"""Fetches that may run at once: one that is waited for, and others that were given up."""


class NoCertificatesError(Exception):
    """The certificates could not be fetched."""


class Certificates:
    """A document that is fetched when it is asked for, and kept for an hour.

    It belongs to one event loop. A fetch that takes too long is given up by those who wait, but
    its late result is taken, too.

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
        self._awaited: asyncio.Future[None] | None = None

    async def get(self) -> bytes:
        """Return the document.

        Raises:
            NoCertificatesError: it cannot be had within `FETCH_SECONDS`.
        """
        if self._document is None or self._clock.monotonic() - self._fetched_at > LIFE_SECONDS:
            self._document = None
            await asyncio.shield(self._begin())
        if self._document is None:
            raise NoCertificatesError
        return self._document

    def _begin(self) -> asyncio.Future[None]:
        """Return the end of the fetch that runs, or of a new one."""
        if self._awaited is not None:
            return self._awaited
        loop = asyncio.get_running_loop()
        awaited: asyncio.Future[None] = loop.create_future()
        failed_at = self._failed_at
        is_early = failed_at is not None and self._clock.monotonic() - failed_at < RETRY_SECONDS
        if is_early or self._fetches >= MAX_FETCHES:
            awaited.set_result(None)
            return awaited

        def work() -> None:
            document: bytes | None = None
            with suppress(Exception):  # no route, no certificate among them: all the same here
                document = self._fetch()
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._take, document, awaited)

        self._awaited = awaited
        self._fetches += 1
        try:
            threading.Thread(target=work, name="ucam-faas-certificates", daemon=True).start()
        except RuntimeError:  # the system gives the process no thread
            loop.call_soon(self._take, None, awaited)
        timer = self._clock.call_later(FETCH_SECONDS, lambda: self._give_up(awaited))
        awaited.add_done_callback(lambda _: timer.cancel())
        return awaited

    def _take(self, document: bytes | None, awaited: asyncio.Future[None]) -> None:
        self._fetches -= 1
        if document is not None:
            self._document, self._fetched_at = document, self._clock.monotonic()
            self._failed_at = None
        self._end(awaited, failed=document is None)

    def _give_up(self, awaited: asyncio.Future[None]) -> None:
        self._end(awaited, failed=True)

    def _end(self, awaited: asyncio.Future[None], *, failed: bool) -> None:
        if awaited.done():
            return
        self._awaited = None
        if failed:
            self._failed_at = self._clock.monotonic()
        awaited.set_result(None)
