"""Work that would hold an event loop up, in a thread of its own.

Not in asyncio's threads: tasks may fill those, and would then hold up answers.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

ResultT = TypeVar("ResultT")

LARGE_BYTES = 1_000_000
"""Decoding more than this is such work."""


async def in_thread(work: Callable[[], ResultT]) -> ResultT:
    """Return what `work` returns, or raise what it raises; when cancelled, it runs on alone.

    Raises:
        RuntimeError: the system gives the process no thread.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[ResultT] = loop.create_future()

    def finish(result: ResultT | None, error: BaseException | None) -> None:
        if ended.done():
            return
        if error is not None:
            ended.set_exception(error)
        else:
            ended.set_result(result)  # type: ignore[arg-type]  # there is a result, or an error

    def run() -> None:
        result: ResultT | None = None
        failure: BaseException | None = None
        try:
            result = work()
        except BaseException as error:
            failure = error
        with suppress(RuntimeError):  # the loop is closed: no one waits
            loop.call_soon_threadsafe(finish, result, failure)

    threading.Thread(target=run, name="ucam-faas-off-loop", daemon=True).start()
    return await ended
