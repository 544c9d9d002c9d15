"""Kills processes at random."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ucam_faas.serving.processes.child import PROGRAM

PAUSE_SECONDS = 1.0


@contextmanager
def killing(pids: Callable[[], Iterable[int]]) -> Iterator[set[int]]:
    """Kill one of the processes that compute, again and again; the killed are in the set.

    Args:
        pids: returns the processes of which one may be killed, also some that have ended.
    """
    killed, stopping = set[int](), threading.Event()

    def kill() -> None:
        while not stopping.wait(PAUSE_SECONDS * random.random()):
            living = [pid for pid in sorted(set(pids()) - killed) if is_child(pid)]
            if living:
                pid = random.choice(living)
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    killed.add(pid)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        yield killed
    finally:
        stopping.set()
        killer.join()


def is_child(pid: int) -> bool:
    """Return True if a process is one that computes."""
    try:
        return PROGRAM.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
