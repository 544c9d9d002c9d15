"""Jobs that a worker runs: claimed, stored, retried and given back as those that are pushed."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import ucam_faas
from tests.jobs.runs import add, causes, row_of
from tests.serving.harness import Held, on_a_loop
from ucam_faas.clock import SystemClock
from ucam_faas.execution import runtime as runtimes
from ucam_faas.execution.inbox import APP_ATTRIBUTE, JOB_ATTRIBUTE
from ucam_faas.jobs.rows import Key
from ucam_faas.jobs.states import State
from ucam_faas.jobs.stores.sqlite import SqliteStore
from ucam_faas.worker.worker import Worker

from .harness import Cloud, cloud, until, working
from .test_worker import task

AT_ONCE = ucam_faas.RetryPolicy(max_attempts=3, min_backoff=timedelta(0), max_backoff=timedelta(0))


def store_in(folder: Path) -> SqliteStore:
    return SqliteStore(f"{folder}/jobs.db", SystemClock())


def worker_of(pubsub: Cloud, folder: Path, function: Any, **options: Any) -> Worker:
    runtimes.store_of.cache_clear()
    return pubsub.worker(function, job_store=f"sqlite:{folder}/jobs.db", **options)


def wake(pubsub: Cloud, key: Key) -> None:
    pubsub.publish("task-inbox", b"", **{JOB_ATTRIBUTE: key.id, APP_ATTRIBUTE: key.app})


@on_a_loop
async def test_the_result_of_a_job_is_stored(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    key = add(store, payload=b"x")

    async with cloud() as pubsub:
        worker = worker_of(pubsub, tmp_path, task(lambda data: data.decode()), messages_limit=1)
        async with working(worker) as running:
            wake(pubsub, key)
            result = await running

        assert result.outcomes == {"done": 1}
        assert pubsub.waiting("task-inbox") == 0
    row = row_of(store, key)
    assert (row.state, row.result) == (State.SUCCESS, b'"x"')


@on_a_loop
async def test_a_failed_job_is_woken_again(tmp_path: Path) -> None:
    store, attempts = store_in(tmp_path), []
    key = add(store, payload=b"x")

    def fail_once(data: bytes) -> None:
        attempts.append(data)
        if len(attempts) == 1:
            raise ValueError("once")

    async with cloud() as pubsub:
        worker = worker_of(pubsub, tmp_path, task(fail_once, retry=AT_ONCE), messages_limit=2)
        async with working(worker) as running:
            wake(pubsub, key)
            result = await running

        assert result.outcomes == {"recorded": 1, "done": 1}
    assert row_of(store, key).state is State.SUCCESS


@on_a_loop
async def test_a_job_that_is_given_back_has_spent_no_attempt(tmp_path: Path) -> None:
    store, held = store_in(tmp_path), Held()
    key = add(store, payload=b"x")

    async with cloud() as pubsub:
        worker = worker_of(pubsub, tmp_path, task(held), graceful_shutdown_time=0)
        async with working(worker) as running:
            wake(pubsub, key)
            await until(held.begun.is_set, "it runs")
            worker.stop()
            await running
            held.release.set()

    row = row_of(store, key)
    assert (row.state, row.attempts, row.interruptions) == (State.PENDING, 0, 1)
    assert causes(store, key)[-1] == "interrupted"


@on_a_loop
async def test_a_duplicate_wake_runs_nothing(tmp_path: Path) -> None:
    store, seen = store_in(tmp_path), list[bytes]()
    key = add(store, payload=b"x")

    async with cloud() as pubsub:
        worker = worker_of(pubsub, tmp_path, task(seen.append), messages_limit=3)
        async with working(worker) as running:
            for _ in range(3):
                wake(pubsub, key)
            await running

        assert pubsub.waiting("task-inbox") == 0
    assert seen == [b"x"]


@on_a_loop
async def test_a_message_of_the_topic_becomes_a_job_of_its_id(tmp_path: Path) -> None:
    store = store_in(tmp_path)

    async with cloud() as pubsub:
        function = task(lambda data: data.decode(), idempotent=True)
        worker = worker_of(pubsub, tmp_path, function, messages_limit=1)
        async with working(worker) as running:
            pubsub.publish("task", b"x")
            await running

    (row,) = store.find("default", task="task", limit=10)
    assert (row.state, row.key.id, row.result) == (State.SUCCESS, "1", b'"x"')
