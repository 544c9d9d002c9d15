"""A limit holds among real processes, of which those that run jobs are killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.jobs.limit_worker import JOBS
from ucam_faas.config import Settings
from ucam_faas.execution.runtime import store_of
from ucam_faas.jobs.rows import Key, Row
from ucam_faas.jobs.states import State

ROOT = Path(__file__).parents[2]
KEYS, WORKERS, SECONDS = 10, 3, 300
RUNS_PER_KILL = 12

pytestmark = pytest.mark.slow


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def test_jobs_of_a_key_never_overlap_and_start_in_order_while_holders_are_killed(
    job_store: str, tmp_path: Path
) -> None:
    emulator = os.environ.get("FIRESTORE_EMULATOR_HOST")
    store = store_of(Settings(job_store=job_store, firestore_emulator=emulator))
    assert store is not None
    works = [{"key": number % KEYS, "number": number} for number in range(JOBS)]
    rows = [
        Row(
            key=Key("default", "limited", str(work["number"])),
            payload=json.dumps(work).encode(),
            limit_key=str(work["key"]),
            owner="me",
            visit=60.0,
        )
        for work in works
    ]
    store.insert(rows, wait=[0.0] * JOBS)

    def worker() -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.jobs.limit_worker", job_store]
        return subprocess.Popen(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)})

    workers, kills, end = [worker() for _ in range(WORKERS)], 0, time.monotonic() + SECONDS
    try:
        while any(process.poll() is None for process in workers):
            assert time.monotonic() < end
            holders = lines(tmp_path / "holders")
            if len(holders) >= (kills + 1) * RUNS_PER_KILL:
                kills += 1
                for number, process in enumerate(workers):
                    if process.pid == int(holders[-1]) and process.poll() is None:
                        process.send_signal(signal.SIGKILL)
                        process.wait()
                        workers[number] = worker()
            time.sleep(0.01)
    finally:
        for process in workers:
            process.kill()
            process.wait()

    assert lines(tmp_path / "overlaps") == []
    for key in range(KEYS):
        starts = dict.fromkeys(map(int, lines(tmp_path / f"starts-{key}")))
        assert list(starts) == list(range(key, JOBS, KEYS))
    ended = [row for row in (store.get(row.key) for row in rows) if row is not None]
    assert [row.state for row in ended] == [State.SUCCESS] * JOBS
    again = sum(row.attempts + row.interruptions for row in ended)
    assert again == sum(row.fence - 1 for row in ended)
    causes = [entry.cause for row in ended for entry in row.history]
    too_slow = causes.count("failed") + causes.count("interrupted")  # of its timeout, a second
    assert 0 < again - too_slow <= kills
    store.close()
