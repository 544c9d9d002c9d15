"""Trials of jobs whose processes are killed, stopped and crashed; `make trials` runs all trials.

Each takes as long as a lease or the sweep's second look does, so `make test` leaves them out.
"""

from __future__ import annotations

import os
import signal

from tests.dev.cloud import Dev
from tests.integration.processes import wait_until
from tests.trials.running import SECONDS, causes, ended, lines, script
from ucam_faas.jobs.rows import Key
from ucam_faas.jobs.states import State
from ucam_faas.jobs.stores import JobStore


def test_a_sender_killed_between_row_and_publish_has_sent_one_job(
    dev: Dev, store: JobStore
) -> None:
    code = """
import os
from ucam_faas.execution import inbox
inbox.wake = lambda *_: os.kill(os.getpid(), 9)
main.neighbour.send(1, id="killed")
"""

    exit_code = script(dev, code)

    assert exit_code == -signal.SIGKILL
    assert causes(ended(store, "neighbour", "killed")) == ["sent", "claimed", "finished"]
    assert lines(dev, "neighbours").count("1") == 1


def test_a_holder_that_was_stopped_past_its_lease_changes_nothing(
    dev: Dev, store: JobStore
) -> None:
    key = Key("default", "frozen", "stopped")
    assert script(dev, "main.frozen.send(3, id='stopped')") == 0
    (pid,) = map(int, wait_until(lambda: lines(dev, "frozen"), "it runs", SECONDS))

    os.kill(pid, signal.SIGSTOP)
    try:
        taken = wait_until(
            lambda: store.claim(key, lease=3600, instance="other"), "its lease ends", SECONDS
        )
        (dev.folder / "go").touch()
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_until(lambda: len(lines(dev, "refused")) == 2, "it goes on", SECONDS)

    assert lines(dev, "refused") == ["progress", "send"]
    assert store.get(key) == taken
    assert store.get(Key("default", "neighbour", "of-a-stale-holder")) is None


def test_a_task_that_crashes_its_process_ends_after_its_limit(dev: Dev, store: JobStore) -> None:
    assert script(dev, "main.crash.send(4, id='crash')") == 0
    for number in range(10, 20):
        assert script(dev, f"main.neighbour.send({number}, id='n{number}')") == 0

    row = ended(store, "crash", "crash")

    assert (row.state, row.attempts, row.history[-1].cause) == (State.FAILURE, 5, "crashed")
    assert len(lines(dev, "crashes")) == 5
    neighbours = [ended(store, "neighbour", f"n{number}") for number in range(10, 20)]
    assert [row.state for row in neighbours] == [State.SUCCESS] * 10


def test_a_late_wake_after_the_retention_makes_nothing(dev: Dev, store: JobStore) -> None:
    code = "from datetime import timedelta\n"
    code += "main.neighbour.send(5, id='late', retention=timedelta(seconds=1))"
    key = Key("default", "neighbour", "late")
    assert script(dev, code) == 0
    wait_until(lambda: "5" in lines(dev, "neighbours"), "it ran", SECONDS)
    wait_until(lambda: store.get(key) is None, "it is removed", SECONDS)

    dev.rest.publish("neighbour-inbox", b"", ucam_faas_job="late")
    assert script(dev, "assert main.neighbour.send(6, id='after').result(60) == 6") == 0

    assert store.get(key) is None
    assert lines(dev, "neighbours").count("5") == 1


def test_jobs_beside_one_that_crashes_their_process_succeed(dev: Dev, store: JobStore) -> None:
    """Twice they may be lost together; then each runs alone in its process."""
    numbers = range(30, 34)
    code = f"main.beside.send_many({list(numbers)}, id=lambda number: f'n{{number}}')\n"
    code += "main.crash_late.send(5, id='poison')"

    assert script(dev, code) == 0
    crashed = ended(store, "crash_late", "poison")
    rows = [ended(store, "beside", f"n{number}") for number in numbers]

    assert (crashed.state, crashed.attempts) == (State.FAILURE, 5)
    assert len(lines(dev, "crashes_late")) == 5
    assert [row.state for row in rows] == [State.SUCCESS] * len(rows)
    assert all(row.attempts <= 2 for row in rows), [row.attempts for row in rows]
    assert max(row.attempts for row in rows) > 0
