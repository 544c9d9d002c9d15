"""SIGTERM and SIGINT, for all workers of a process: an event loop has one handler of each."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_handlers: list[Callable[[], object]] = []
"""Of the workers that run in the main thread."""
_before: dict[signal.Signals, object] = {}
"""The handlers that were there before the first of these."""


@contextmanager
def handled(handler: Callable[[], object]) -> Iterator[None]:
    """Call a handler at each signal; outside of the main thread, which alone gets them, do nothing.

    The last one to leave puts back the handlers that were there before.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    if not _handlers:
        _install()
    _handlers.append(handler)
    try:
        yield
    finally:
        _handlers.remove(handler)
        if not _handlers:
            _restore()


def _install() -> None:
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        _before[number] = signal.getsignal(number)
        loop.add_signal_handler(number, _handle)


def _restore() -> None:
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.remove_signal_handler(number)
        before = _before.pop(number)
        if before is not None:  # it wasn't set from Python
            signal.signal(number, before)  # type: ignore[arg-type]  # `getsignal` returned it


def _handle() -> None:
    for handler in list(_handlers):
        handler()
