"""Server-sent events: that something changed, for live parts of pages; and rows for the live page.

However many browsers look, the history is asked once in a quarter of a second; while none looks,
it isn't asked. A slow reader gets what is newest when it reads on, and a count of the rest.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from ucam_faas.backends.ports import Backends, Connect
from ucam_faas.dashboard.batches import Batch, batch_of

PAUSE_SECONDS = 0.25
SILENCE_SECONDS = 15.0
"""After this time without an event a comment is sent: a reader that is gone is noticed."""
MOST_STREAMS = 64
"""At a time: each is a task of the event loop, and a connection."""


async def pause() -> None:
    """Wait until the next look."""
    await asyncio.sleep(PAUSE_SECONDS)


class _Stream(StreamingResponse):
    """Calls a function at its end, also if its reader is gone before it begins."""

    def __init__(self, content: AsyncIterator[str], close: Callable[[], None]) -> None:
        super().__init__(content, media_type="text/event-stream")
        self._close = close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._close()


async def _begun(stream: AsyncIterator[str]) -> AsyncIterator[str]:
    yield "retry: 1000\n\n"
    async for text in stream:
        yield text


class Streams:
    """Answers with streams.

    Args:
        connect: returns the backends.
        render: returns the rows of a batch as HTML.
    """

    def __init__(self, connect: Connect, render: Callable[[Batch, Backends], str]) -> None:
        self._connect = connect
        self._render = render
        self._tick: asyncio.Task[int] | None = None
        self._made: dict[tuple[int, int, str, str], asyncio.Task[str]] = {}
        self._open = 0
        self._is_ended = False

    def end(self) -> None:
        """End all streams at the next look: the process is about to end."""
        self._is_ended = True

    async def changes(self, request: Request) -> Response:
        """Answer with an event each time that there are new events in the history."""
        return await self._answer(request, self._changes)

    async def rows(self, request: Request) -> Response:
        """Answer with the rows of new events."""
        return await self._answer(request, self._batches)

    async def _answer(
        self, request: Request, stream: Callable[[Request, int], AsyncIterator[str]]
    ) -> Response:
        if self._open >= MOST_STREAMS:
            return PlainTextResponse("Too many pages follow events.", 503)
        self._open += 1  # before anything is awaited: others are asked for meanwhile
        try:
            asked = request.headers.get("last-event-id") or request.query_params.get("after", "")
            last = await run_in_threadpool(self._last)
        except BaseException:
            self._close()
            raise
        after = min(int(asked), last) if asked.isdecimal() and len(asked) < 19 else last
        return _Stream(_begun(stream(request, after)), self._close)

    def _close(self) -> None:
        self._open -= 1

    async def _changes(self, request: Request, after: int) -> AsyncIterator[str]:
        async for _, last in self._followed(after):
            yield ":\n\n" if last is None else f"id: {last}\nevent: change\ndata:\n\n"

    async def _batches(self, request: Request, after: int) -> AsyncIterator[str]:
        names = (request.query_params.get("task", ""), request.query_params.get("kind", ""))
        async for since, last in self._followed(after):
            if last is None:
                yield ":\n\n"
                continue
            text = await self._batch(since, last, *names)
            if text:
                yield text

    async def _followed(self, after: int) -> AsyncIterator[tuple[int, int | None]]:
        """Yield the last number known and the new one; None after a silence."""
        silent = 0.0
        while not self._is_ended:
            last = await self._look()
            if last != after:
                yield min(after, last), last
                after, silent = last, 0.0
            elif (silent := silent + PAUSE_SECONDS) >= SILENCE_SECONDS:
                yield after, None
                silent = 0.0

    async def _look(self) -> int:
        """Wait for the next look at the history, and return the number of its last event."""
        if self._tick is None or self._tick.done():
            self._tick = asyncio.create_task(self._next_look())
        return await asyncio.shield(self._tick)

    async def _next_look(self) -> int:
        await pause()
        self._made.clear()
        return await run_in_threadpool(self._last)

    def _last(self) -> int:
        history = self._connect().history
        return 0 if history is None else history.last_seq()

    async def _batch(self, after: int, last: int, task: str, kind: str) -> str:
        """Return one event of the stream; readers that are as far share it."""
        key = after, last, task, kind
        if key not in self._made:
            self._made[key] = asyncio.create_task(run_in_threadpool(self._event, *key))
        return await asyncio.shield(self._made[key])

    def _event(self, after: int, last: int, task: str, kind: str) -> str:
        backends = self._connect()
        if backends.history is None:
            return ""
        batch = batch_of(backends.history, after, task=task, kind=kind)
        if not batch.events:
            return ""
        data = json.dumps({"rows": self._render(batch, backends), "count": batch.count})
        return f"id: {batch.last}\nevent: rows\ndata: {data}\n\n"
