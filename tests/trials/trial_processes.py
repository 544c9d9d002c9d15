"""A trial of tasks in processes that are killed at random under load."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

from tests.dev.cloud import Dev
from tests.trials.running import ended, lines, script
from ucam_faas.jobs.states import State
from ucam_faas.jobs.stores import JobStore
from ucam_faas.serving.processes.child import PROGRAM

JOBS, NEIGHBOURS, PAUSE_SECONDS = 150, 50, 1.0


class Killer(threading.Thread):
    """Kills one of the processes that compute, again and again."""

    def __init__(self, dev: Dev) -> None:
        super().__init__(daemon=True)
        self._dev = dev
        self._stopping = threading.Event()
        self.killed: set[int] = set()

    def run(self) -> None:
        """Kill until `stop`."""
        while not self._stopping.is_set():
            pids = {int(line) for line in lines(self._dev, "computing")} - self.killed
            living = [pid for pid in sorted(pids) if is_child(pid)]
            if living:
                pid = random.choice(living)
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    self.killed.add(pid)
            time.sleep(PAUSE_SECONDS * random.random())

    def stop(self) -> None:
        """Kill no more."""
        self._stopping.set()
        self.join()


def is_child(pid: int) -> bool:
    """Return True if a process is one that computes."""
    try:
        return PROGRAM.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def test_each_kill_costs_at_most_one_attempt_of_one_job(dev: Dev, store: JobStore) -> None:
    code = f"main.compute.send_many(range({JOBS}), id=lambda number: f'c{{number}}')\n"
    code += f"main.neighbour.send_many(range({NEIGHBOURS}), id=lambda number: f'k{{number}}')"
    killer = Killer(dev)

    assert script(dev, code) == 0
    killer.start()
    rows = [ended(store, "compute", f"c{number}") for number in range(JOBS)]
    killer.stop()

    assert {row.state for row in rows} == {State.SUCCESS}
    assert [row.result for row in rows] == [str(number).encode() for number in range(JOBS)]
    failures = [entry for row in rows for entry in row.history if entry.cause == "failed"]
    assert len(killer.killed) >= 5
    assert 0 < len(failures) == sum(row.attempts for row in rows) <= len(killer.killed)
    assert {entry.message for entry in failures} <= {"Crashed"}
    assert sum(row.interruptions for row in rows) == 0
    neighbours = [ended(store, "neighbour", f"k{number}") for number in range(NEIGHBOURS)]
    assert {(row.state, row.attempts, row.interruptions) for row in neighbours} == {
        (State.SUCCESS, 0, 0)
    }
