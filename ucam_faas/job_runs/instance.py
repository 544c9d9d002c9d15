"""The name of this process."""

from __future__ import annotations

import os
import socket
from functools import cache


def instance() -> str:
    """Return the name of this process, for histories."""
    return _instance(os.getpid())


@cache
def _instance(process: int) -> str:
    return f"{os.environ.get('K_REVISION') or socket.gethostname()}/{process}"
