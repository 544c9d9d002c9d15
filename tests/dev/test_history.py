"""The history that a real `ucam-faas dev` keeps."""

from __future__ import annotations

import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.integration.processes import wait_until
from ucam_faas import local_state
from ucam_faas.dev.env_file import EnvFile
from ucam_faas.dev.options import DevOptions
from ucam_faas.history.database import FILE
from ucam_faas.history.reader import History
from ucam_faas.history.rows import MessageState, StepKind

from .cloud import Dev, running
from .conftest import StartDev

pytestmark = pytest.mark.slow

TASKS = """
import logging, os, time
from datetime import timedelta
import ucam_faas
from ucam_faas import RetryPolicy

log = logging.getLogger("shop")
PRICES = {"rope": 1}
AT_ONCE = RetryPolicy(min_backoff=timedelta(0), max_backoff=timedelta(seconds=1), max_attempts=2)

@ucam_faas.message_handler(message_type=None, retry=AT_ONCE)
def store(data):
    log.info("looking for %s", data.decode(), extra={"letters": len(data)})
    return PRICES[data.decode()]

@ucam_faas.message_handler(message_type=None)
def invoice(data):
    log.warning("printing")
    while data == b"slow" and not os.path.exists("printed"):
        time.sleep(0.01)
    return {"printed": data.decode()}
"""


def path_of(dev: Dev) -> Path:
    return dev.folder / local_state.FOLDER / FILE


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """One for all tests that don't end it."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "main.py").write_text(TASKS)
    with running(folder, "--no-dashboard") as dev:
        yield dev


@pytest.fixture(scope="module")
def past(shop: Dev) -> Iterator[History]:
    with closing(History(path_of(shop))) as reader:
        yield reader


def wait_for(past: History, id: str, state: str) -> None:
    def is_there() -> bool:
        runs = past.message_runs(id)
        return [row.state for row in past.deliveries(id)] == [state] and all(
            run.outcome for run in runs
        )

    wait_until(is_there, f"message {id} is {state}")


def test_a_message_has_its_attempts_with_lines_and_tracebacks(shop: Dev, past: History) -> None:
    id = shop.rest.publish("store", b"umbrella", customer="17")
    wait_for(past, id, MessageState.DEAD_LETTERED)

    first, attempt_1, attempt_2, dead = past.timeline(id)
    assert first.kind is StepKind.PUBLISHED
    for number, step in enumerate((attempt_1, attempt_2), 1):
        assert step.run is not None
        assert (step.run.attempt, step.run.error_type) == (number, "KeyError")
        assert step.run.reason == "KeyError: 'umbrella'"
        looking, end = step.lines
        assert (looking.message, looking.fields) == ("looking for umbrella", {"letters": 8})
        assert "return PRICES[data.decode()]" in end.traceback
    assert dead.kind is StepKind.DEAD_LETTERED
    letter = past.message(dead.message_id)
    assert letter is not None
    assert letter.data == b"umbrella"
    both = {id, dead.message_id}
    for filters in ({"attribute": "customer=17"}, {"text": "umbr"}):
        wait_until(
            lambda filters=filters: {row.id for row in past.messages(**filters)} == both,
            f"both are found by {filters}",
        )


def test_a_job_has_its_run_with_lines(shop: Dev, past: History) -> None:
    sent = shop.run("send", "invoice", "x", "--id", "job-1", "--wait")
    assert sent.returncode == 0, sent.stderr

    wait_until(
        lambda: any(run.outcome for run in past.job_runs("invoice", "job-1")), "its run has ended"
    )
    (run,) = past.job_runs("invoice", "job-1")
    assert (run.outcome, run.failed) == ("done", False)
    assert [line.message for line in past.lines(run.execution_id)] == ["printing"]
    assert past.messages(task="invoice") == []  # its wake isn't a message of the user's


def test_a_job_that_runs_has_its_lines_already(shop: Dev, past: History) -> None:
    assert shop.run("send", "invoice", "slow", "--id", "job-2").returncode == 0

    wait_until(lambda: past.job_runs("invoice", "job-2"), "its run is recorded")
    (run,) = past.job_runs("invoice", "job-2")
    assert run.ended is None
    assert [line.message for line in past.lines(run.execution_id)] == ["printing"]
    shop.say("printed")


def test_code_that_was_saved_goes_on_in_the_same_history(shop: Dev, past: History) -> None:
    wait_for(past, shop.rest.publish("store", b"rope"), MessageState.DONE)

    (shop.folder / "main.py").write_text(TASKS + "# saved")
    shop.wait_shown("reload", "main.py")
    id = shop.rest.publish("store", b"rope")
    wait_for(past, id, MessageState.DONE)

    (line,) = past.timeline(id)[1].lines
    assert line.message == "looking for rope"


def test_after_kill_a_history_goes_on_and_after_reset_a_new_one_begins(
    start_dev: StartDev, tmp_path: Path
) -> None:
    (tmp_path / "main.py").write_text(TASKS)
    first = start_dev("--no-dashboard", folder=tmp_path)
    with closing(History(path_of(first))) as past:
        id = first.rest.publish("store", b"rope")
        wait_for(past, id, MessageState.DONE)
        first.signal(signal.SIGKILL)
        first.wait(60)

        second = start_dev("--no-dashboard", folder=tmp_path)
        other = second.rest.publish("store", b"rope")
        wait_for(past, other, MessageState.DONE)
        wait_for(past, id, MessageState.DONE)
        with closing(sqlite3.connect(path_of(first))) as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert second.end() == 0

        third = start_dev("--no-dashboard", "--reset", folder=tmp_path)
        wait_for(past, third.rest.publish("store", b"rope"), MessageState.DONE)
        assert len(past.messages()) == 1


def test_a_broken_history_is_one_line_and_tasks_are_served(
    start_dev: StartDev, tmp_path: Path
) -> None:
    (tmp_path / "main.py").write_text(TASKS)
    home = local_state.make_home(tmp_path)
    (home / FILE).write_bytes(b"broken" * 1000)

    dev = start_dev("--no-dashboard", folder=tmp_path)

    (text,) = dev.wait_shown("warning", "history")
    assert "is broken, or of another version: a new one begins" in text
    with closing(History(path_of(dev))) as past:
        wait_for(past, dev.rest.publish("store", b"rope"), MessageState.DONE)


def test_memory_keeps_no_history(start_dev: StartDev, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(TASKS)
    dev = start_dev("--no-dashboard", "--memory", folder=tmp_path)

    dev.rest.publish("store", b"rope")
    dev.wait_shown("done", "store")

    assert not path_of(dev).exists()
    cloud = local_state.read(tmp_path)
    assert cloud is not None
    assert cloud.history == ""


@pytest.mark.parametrize(("days", "mb"), [(0, 500), (7, 0)])
def test_a_limit_of_zero_keeps_no_history(days: float, mb: float) -> None:
    options = DevOptions(
        sources=(), target=None, host="", port=0, pubsub_port=0, project="p", external=None,
        state=Path(), reset=False, env_file=EnvFile(Path(), {}), history_days=days, history_mb=mb,
    )  # fmt: skip

    assert options.history is None
    assert replace(options, history_days=1, history_mb=1).history == Path(FILE)
