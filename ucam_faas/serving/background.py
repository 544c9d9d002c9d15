"""An event loop in a thread of its own, for callers that are not asynchronous."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

from ucam_faas.logs import problems
from ucam_faas.serving.app import App
from ucam_faas.serving.responses import Response

ResultT = TypeVar("ResultT")


class BackgroundLoop:
    """A running event loop; `close` ends it."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(problems.log_loop_problem)
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="ucam-faas-loop", daemon=True
        )
        self._thread.start()

    def run(self, make: Callable[[], Coroutine[Any, Any, ResultT]]) -> ResultT:
        """Run a coroutine on the loop, with this thread's context, and return its result."""
        return asyncio.run_coroutine_threadsafe(make(), self._loop).result()

    def close(self) -> None:
        """Cancel all tasks, and end the loop and its thread."""
        self.run(self._cancel_others)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _cancel_others(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.get_running_loop().shutdown_default_executor()


def call(
    loop: BackgroundLoop,
    app: App,
    method: str,
    path: str,
    *,
    headers: Mapping[str, str],
    body: bytes = b"",
    query: bytes = b"",
) -> Response:
    """Make one request to an application on the loop, and wait for the response."""
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query,
        "headers": [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in headers.items()
        ],
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return loop.run(lambda: app.respond(scope, receive))
