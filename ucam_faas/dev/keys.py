"""The Enter key of the terminal that `ucam-faas dev` runs in."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

BACKGROUND_SECONDS = 0.5
"""How often we check if the terminal is ours again: until then, the shell gets the keys."""


def has_keyboard() -> bool:
    """Return True if a person can press keys."""
    return sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()


@contextmanager
def on_enter(call: Callable[[], None]) -> Iterator[None]:
    """While the block runs, call a function on the event loop when Enter is pressed."""
    if not has_keyboard():
        yield
        return
    loop, descriptor = asyncio.get_running_loop(), sys.stdin.fileno()
    ended = False

    def listen() -> None:
        if not ended:
            loop.add_reader(descriptor, read)

    def read() -> None:
        loop.remove_reader(descriptor)
        with suppress(OSError):
            if os.tcgetpgrp(descriptor) != os.getpgrp():  # reading would stop this process
                loop.call_later(BACKGROUND_SECONDS, listen)
            elif os.read(descriptor, 1024):  # nothing: Control-D
                call()
                listen()

    listen()
    try:
        yield
    finally:
        ended = True
        loop.remove_reader(descriptor)
