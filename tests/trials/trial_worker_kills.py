"""Trials of a worker's processes that are killed at random, and of a worker that runs batches."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from tests.integration.processes import wait_until
from tests.trials.killing import killing
from tests.trials.running import SECONDS
from tests.trials.workers import trial
from ucam_faas.jobs.states import State

COUNT, MESSAGES, KILLS = 300, 2000, 10


@pytest.mark.parametrize("has_store", [False, True], ids=["without a store", "with a store"])
def test_each_kill_of_a_process_costs_one_message_a_run(
    tmp_path: Path, jobs: str, has_store: bool
) -> None:
    with trial(tmp_path, jobs if has_store else None, "isolated") as here, here.worker("worker"):
        here.send([{"id": str(number), "seconds": 0.1} for number in range(COUNT)])
        with killing(lambda: {note["process"] for note in here.notes("began")}) as killed:
            wait_until(lambda: len(here.runs("ended")) == COUNT, "all have run", SECONDS)
        wait_until(here.is_quiet, "nothing runs", SECONDS)
        runs = here.runs()
        if has_store:
            here.wait(COUNT)
            states, rows = here.states(COUNT), here.rows(COUNT)
        left, letters = here.cloud.pull(here.task), here.dead_letters()

    print(f"{len(killed)} kills, {runs.total() - COUNT} second runs")
    assert len(killed) >= 5
    assert 0 < runs.total() - COUNT <= len(killed)
    assert (left, letters) == ([], [])
    if has_store:
        assert states == {State.SUCCESS: COUNT}
        assert sum(row.attempts for row in rows) <= len(killed)


def test_a_worker_that_is_killed_in_its_batches_loses_no_message(tmp_path: Path) -> None:
    faults = ["raise", *[""] * 9]
    with trial(tmp_path, None, "gather") as here, here.supervised() as exits:
        here.send([{"id": str(n), "fault": faults[n % 10]} for n in range(MESSAGES)])
        for number in range(1, KILLS + 1):
            few = number * MESSAGES // (KILLS + 2)
            wait_until(lambda few=few: len(here.runs("ended")) > few, "some have run", SECONDS)
            pid = here.notes("began")[-1]["process"]
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            wait_until(lambda n=number: len(exits) == n, "it has ended")
        wait_until(lambda: len(here.runs("ended")) == MESSAGES, "all have run", SECONDS)
        wait_until(here.is_quiet, "nothing runs", SECONDS)
        left, ends = here.cloud.pull(here.task), here.runs("ended")

    print(f"exit codes: {exits}; {ends.total() - MESSAGES} second ends")
    assert exits[:KILLS] == [-signal.SIGKILL] * KILLS
    assert ends.total() - MESSAGES <= KILLS * 150
    assert left == []
