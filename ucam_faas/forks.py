"""Objects whose locks, threads and connections a forked process may not share with its parent."""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet


class Forked(Protocol):
    """An object that starts again in a forked process."""

    def reset(self) -> None:
        """Start again, in the forked process: the threads of the parent aren't there."""


_OBJECTS: WeakSet[Forked] = WeakSet()


def reset_in_child(each: Forked) -> None:
    """Have an object reset in each process that this one forks."""
    _OBJECTS.add(each)


def _reset() -> None:
    for each in list(_OBJECTS):
        each.reset()


os.register_at_fork(after_in_child=_reset)
