"""Work that would block an event loop, in a thread of its own.

Not in asyncio's threads: tasks may fill those, and would then hold up answers.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

ResultT = TypeVar("ResultT")

LARGE_BYTES = 1_000_000
"""Decoding more than this is such work."""


def _start_thread(run: Callable[[], None]) -> None:
    threading.Thread(target=run, name="ucam-faas-off-loop", daemon=True).start()


async def in_thread(
    work: Callable[[], ResultT], start: Callable[[Callable[[], None]], object] = _start_thread
) -> ResultT:
    """Call `work` in a thread, and return its result; when cancelled, it runs on alone.

    Args:
        work: called in the thread.
        start: starts a function in a thread; default: in a new one.

    Raises:
        RuntimeError: the system gives the process no thread.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[ResultT] = loop.create_future()
    start(functools.partial(_run, work, loop, ended))
    try:
        return await ended
    finally:
        del ended  # the traceback of an error holds this frame: no cycle is left behind


def _run(
    work: Callable[[], ResultT], loop: asyncio.AbstractEventLoop, ended: asyncio.Future[ResultT]
) -> None:
    result: ResultT | None = None
    error: BaseException | None = None
    try:
        result = work()
    except BaseException as raised:
        error = raised
    with suppress(RuntimeError):  # the loop is closed, and with it whatever waited
        loop.call_soon_threadsafe(_finish, ended, result, error)
    del ended, error  # as above


def _finish(
    ended: asyncio.Future[ResultT], result: ResultT | None, error: BaseException | None
) -> None:
    if ended.done():
        return
    if error is not None:
        ended.set_exception(error)
    else:
        ended.set_result(result)  # type: ignore[arg-type]  # there is a result, or an error
