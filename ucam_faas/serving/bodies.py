"""Reading request bodies: whole, in time, and within the limits of one and of all.

A body counts from its first byte until its request is answered, as long as it is in memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from ucam_faas.clock import Clock
from ucam_faas.config import Settings
from ucam_faas.outcomes import Outcome, Overloaded, ShuttingDown, TimedOut, TooLarge

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class DisconnectedError(Exception):
    """The client went away before the end of the body: a part is not the body."""


class UnreadError(Exception):
    """The body was not read to its end, so that the connection cannot be used again."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome


class Body:
    """One request's body while it is read and worked on; belongs to one asyncio task.

    Use it in a `with` block that ends when the request is answered.
    """

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies
        self._size = 0
        self._reader: asyncio.Task[Any] | None = None
        self._stopped: Outcome | None = None
        # Not an exception: its traceback would hold this body until garbage is collected.

    def __enter__(self) -> Body:
        return self

    def __exit__(self, *_: object) -> None:
        self._bodies.held -= self._size

    async def read(self, receive: Receive, timeout_seconds: float) -> bytes:
        """Return the whole body.

        Raises:
            UnreadError: it is over a limit, or not whole in time, or the process is ending.
            DisconnectedError: the client went away.
        """
        if self._bodies.draining:
            raise UnreadError(_ENDING)
        self._reader = asyncio.current_task()
        timer = self._bodies.clock.call_later(timeout_seconds, self._expire)
        self._bodies.reading.add(self)
        try:
            return await self._read(receive)
        except asyncio.CancelledError:
            if self._stopped is None:
                raise
            assert self._reader is not None, "an ASGI server runs applications in tasks"
            self._reader.uncancel()
            raise UnreadError(self._stopped) from None
        finally:
            self._bodies.reading.discard(self)
            timer.cancel()

    async def _read(self, receive: Receive) -> bytes:
        parts: list[bytes] = []
        more = True
        while more:
            event = await receive()
            if event["type"] == "http.disconnect":
                raise DisconnectedError
            part = event.get("body", b"")
            parts.append(part)
            self._count(len(part))
            more = event.get("more_body", False)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _count(self, size: int) -> None:
        bodies = self._bodies
        self._size += size
        bodies.held += size
        if self._size > bodies.max_bytes:
            raise UnreadError(TooLarge(f"body: over {bodies.max_bytes} bytes"))
        if bodies.held > bodies.max_total_bytes:
            reason = f"bodies: over {bodies.max_total_bytes} bytes in this process"
            raise UnreadError(Overloaded(reason))

    def _expire(self) -> None:
        self.stop(TimedOut("body: not whole within the task's timeout"))

    def stop(self, outcome: Outcome) -> None:
        """Make the reader raise UnreadError instead of waiting for more."""
        if self._stopped is None and self._reader is not None:
            self._stopped = outcome
            self._reader.cancel()


class Bodies:
    """The bodies that a process has in memory. It belongs to one event loop."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.clock = clock
        self.max_bytes = settings.max_body_bytes
        self.max_total_bytes = max(settings.max_bodies_bytes, settings.max_body_bytes)
        self.held = 0
        self.reading: set[Body] = set()
        self.draining = False

    def drain(self) -> None:
        """Stop reading: a body that became whole now would be refused anyway."""
        self.draining = True
        for body in list(self.reading):
            body.stop(_ENDING)


_ENDING = ShuttingDown("body: not whole at SIGTERM")
