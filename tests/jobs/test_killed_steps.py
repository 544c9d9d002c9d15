"""`kill -9` of processes that do the steps of a job: each repeats at most the step in flight."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from itertools import groupby
from pathlib import Path

import pytest

from tests.jobs.killed_steps import KEY
from ucam_faas.config import Settings
from ucam_faas.execution.runtime import store_of
from ucam_faas.jobs.rows import Row
from ucam_faas.jobs.states import State

ROOT = Path(__file__).parents[2]


def killed(job_store: str, folder: Path, steps: int, most: int) -> int:
    """Run a job to its end in processes that are killed at random, check its effects, and return
    the number of kills.

    Args:
        most: the most effects of a process before it is killed.
    """
    effects, kills = folder / "effects", 0
    effects.touch()
    store = store_of(
        Settings(job_store=job_store, firestore_emulator=os.environ.get("FIRESTORE_EMULATOR_HOST"))
    )
    assert store is not None
    row = Row(key=KEY, payload=b"%d" % steps, owner="me", visit=3600.0)
    store.insert([row], wait=[0.0])
    while (ended := store.get(KEY)) is not None and not ended.state.is_completed:
        size = len(effects.read_bytes().splitlines())
        kills += _is_killed(job_store, folder, steps, effects, size + random.randint(1, most))

    stored = store.steps(KEY)
    store.close()
    lines = [line.split() for line in effects.read_text().splitlines()]
    runs = [[int(number) for _, number in run] for _, run in groupby(lines, lambda line: line[0])]
    assert ended is not None
    assert (ended.state, ended.result) == (State.SUCCESS, b"%d" % sum(range(steps)))
    assert len(stored) == steps
    done = 0
    for run in runs:
        assert run[0] in (done - 1, done), "more than the step in flight was repeated"
        assert run == list(range(run[0], run[-1] + 1))
        done = run[-1] + 1
    assert done == steps
    return kills


def _is_killed(job_store: str, folder: Path, steps: int, effects: Path, until: int) -> bool:
    """Run the job in a process, and return True if it is killed, after so many effects."""
    script = Path(__file__).with_name("killed_steps.py")
    process = subprocess.Popen(
        [sys.executable, str(script), job_store, str(folder), str(steps)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    end = time.monotonic() + 60
    while process.poll() is None and len(effects.read_bytes().splitlines()) < until:
        assert time.monotonic() < end
    if process.poll() is None and until < steps:
        time.sleep(random.random() * 0.001)  # anywhere in a step
        process.kill()
    code = process.wait(60)
    assert code in (0, -signal.SIGKILL)
    return code != 0


@pytest.mark.slow
@pytest.mark.parametrize("job_store", ["sqlite", "postgresql", "firestore"], indirect=True)
def test_a_job_whose_processes_are_killed_repeats_at_most_the_step_in_flight(
    job_store: str, tmp_path: Path
) -> None:
    steps = 1_000 if job_store.startswith("sqlite") else 200  # they are over before this test looks

    kills = killed(job_store, tmp_path, steps, most=steps // 4)

    assert kills >= 1
