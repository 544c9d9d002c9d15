"""A terminal of a given width, in place of stdout."""

from __future__ import annotations

import fcntl
import os
import struct
import termios
from collections.abc import Callable
from contextlib import redirect_stdout, suppress


def screen_of(call: Callable[[], object], columns: int) -> str:
    """Return what a function prints to a terminal; it must be less than 4 kB."""
    controller, descriptor = os.openpty()
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with os.fdopen(controller, "rb", buffering=0) as screen:
        with os.fdopen(descriptor, "w") as terminal, redirect_stdout(terminal):
            call()
        shown = b""
        with suppress(OSError):  # Linux says so when the other end is closed
            while part := screen.read(65536):
                shown += part
    return shown.decode().replace("\r\n", "\n")
