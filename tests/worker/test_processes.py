"""A worker's tasks with `run_in_process=True`."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.integration.processes import wait_until
from tests.serving import process_tasks
from tests.serving.harness import on_a_loop
from ucam_faas.clock import SystemClock
from ucam_faas.jobs.rows import Key
from ucam_faas.jobs.states import State
from ucam_faas.jobs.stores.sqlite import SqliteStore
from ucam_faas.publishing.rest import RestPublisher

from .harness import cloud, until, working
from .processes import PROJECT, pubsub, worker

pytestmark = pytest.mark.slow


@on_a_loop
async def test_a_pulled_message_whose_process_crashes_comes_again() -> None:
    async with cloud() as pubsub_:
        pubsub_.subscribe("end", "end")  # without a retry policy: it comes again at once
        pulling = pubsub_.worker(process_tasks.end, messages_limit=2)
        async with working(pulling) as running:
            pubsub_.publish("end", b"exit")
            result = await running

    assert result.outcomes == Counter(crashed=2)


@on_a_loop
async def test_an_adopted_message_keeps_its_own_id_in_the_process(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path / "jobs.db"), SystemClock())
    key = Key("default", "adopted", "order-3")

    async with cloud() as pubsub_:
        name = f"sqlite:{tmp_path / 'jobs.db'}"
        pulling = pubsub_.worker(process_tasks.adopted, job_store=name)
        async with working(pulling):
            pubsub_.publish("adopted", b'{"pence": 3}')
            await until(lambda: (row := store.get(key)) and row.state.is_completed, "it ended")

    row = store.get(key)
    assert row is not None
    assert row.state is State.SUCCESS
    assert row.result == b'["order-3", 1, false]'


LOGGING = """
import logging
import ucam_faas

def log() -> None:
    logging.getLogger("shop").warning("adding up", extra={"tenant": "north"})
    print("printed")

@ucam_faas.message_handler
def here(data: bytes) -> None:
    log()

@ucam_faas.message_handler(run_in_process=True, concurrency=1)
def apart(data: bytes) -> None:
    log()
"""


def test_the_log_lines_of_a_process_are_those_of_a_thread(tmp_path: Path) -> None:
    """Those of the task itself; what the package logs is in the matrix."""
    (tmp_path / "main.py").write_text(LOGGING)
    trace = {"googclient_traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}

    def lines(task: str) -> list[dict[str, Any]]:
        """Return the lines of a message for a task, as soon as it is logged that it has ended."""
        before = len(pulling.stdout)
        topic = f"projects/{PROJECT}/topics/{task}"
        message = RestPublisher(pubsub_.host).publish(topic, b"", trace)
        wait_until(lambda: f'"message_id":"{message}"' in pulling.stdout, "it has ended")
        printed, lines = 0, []
        for line in pulling.stdout[before:].splitlines():
            printed += line == "printed"
            if line.startswith("{") and '"adding up"' in line:
                lines.append(json.loads(line))
        assert printed == 1
        return lines

    with (
        pubsub(tmp_path / "pubsub") as pubsub_,
        worker(tmp_path, pubsub_) as pulling,
    ):
        (here,), (apart,) = lines("here"), lines("apart")

    label = "logging.googleapis.com/labels"
    for line in (here, apart):
        del line["time"], line[label]["execution_id"]
    assert here[label].pop("task") == "here"
    assert apart[label].pop("task") == "apart"
    assert here["logging.googleapis.com/trace"] == f"projects/{PROJECT}/traces/{'a' * 32}"
    assert here["tenant"] == "north"
    assert apart == here
