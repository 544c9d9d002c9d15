"""Trials of jobs with real processes: killed, stopped and crashed. Run them by `make trials`.

Each takes as long as a lease or the sweep's second look does, so `make test` leaves them out.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dev.cloud import Dev, environ_of, running
from tests.integration.processes import wait_until
from ucam_faas import local_state
from ucam_faas.clock import SystemClock
from ucam_faas.jobs.rows import Key, Row
from ucam_faas.jobs.states import State
from ucam_faas.jobs.stores.sqlite import SqliteStore

SECONDS = 400


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    folder = tmp_path_factory.mktemp("trials")
    shutil.copy(Path(__file__).with_name("tasks.py"), folder / "main.py")
    with running(folder) as dev:
        yield dev


@pytest.fixture
def store(dev: Dev) -> Iterator[SqliteStore]:
    cloud = local_state.read(dev.folder)
    assert cloud is not None
    store = SqliteStore(cloud.jobs.removeprefix("sqlite:"), SystemClock())
    yield store
    store.close()


def script(dev: Dev, code: str) -> int:
    """Run Python in the directory of `dev`, and return its exit code."""
    return subprocess.run(
        [sys.executable, "-c", f"import main\n{code}"],
        cwd=dev.folder,
        env=environ_of(dev.folder),
        check=False,
        timeout=60,
    ).returncode


def ended(store: SqliteStore, task: str, id: str) -> Row:
    """Return the row of a job when it has ended."""

    def find() -> Row | None:
        row = store.get(Key("default", task, id))
        return row if row is not None and row.state.is_completed else None

    row: Row = wait_until(find, f"{task} {id} has ended", SECONDS)
    return row


def lines(dev: Dev, file: str) -> list[str]:
    path = dev.folder / file
    return path.read_text().splitlines() if path.exists() else []


def causes(row: Row) -> list[str]:
    return [entry.cause for entry in row.history]


def test_a_sender_killed_between_row_and_publish_has_sent_one_job(
    dev: Dev, store: SqliteStore
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
    dev: Dev, store: SqliteStore
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


def test_a_task_that_crashes_its_process_ends_after_its_limit(dev: Dev, store: SqliteStore) -> None:
    assert script(dev, "main.crash.send(4, id='crash')") == 0
    for number in range(10, 20):
        assert script(dev, f"main.neighbour.send({number}, id='n{number}')") == 0

    row = ended(store, "crash", "crash")

    assert (row.state, row.attempts, row.history[-1].cause) == (State.FAILURE, 5, "crashed")
    assert len(lines(dev, "crashes")) == 5
    neighbours = [ended(store, "neighbour", f"n{number}") for number in range(10, 20)]
    assert [row.state for row in neighbours] == [State.SUCCESS] * 10


def test_a_late_wake_after_the_retention_makes_nothing(dev: Dev, store: SqliteStore) -> None:
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
