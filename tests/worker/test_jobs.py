"""Jobs that a worker runs: claimed, stored, retried and given back as those that are pushed."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import ucam_faas
from tests.jobs.runs import add, causes, row_of
from tests.serving.harness import Held, on_a_loop
from ucam_faas.clock import SystemClock
from ucam_faas.config import Settings
from ucam_faas.execution import inbox, runtime as runtimes
from ucam_faas.execution.inbox import APP_ATTRIBUTE, JOB_ATTRIBUTE
from ucam_faas.execution.replays import REPLAY_ID_ATTRIBUTE
from ucam_faas.execution.runtime import Runtime, publisher_of
from ucam_faas.job_runs.sweeping import sweep_jobs
from ucam_faas.jobs.rows import Key, Row
from ucam_faas.jobs.states import State
from ucam_faas.jobs.stores.sqlite import SqliteStore
from ucam_faas.testing import ManualClock
from ucam_faas.worker.worker import Worker

from .harness import PROJECT, Cloud, cloud, until, working
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


@on_a_loop
async def test_a_replay_that_comes_twice_to_the_inbox_runs_once(tmp_path: Path) -> None:
    store, seen = store_in(tmp_path), list[bytes]()

    async with cloud() as pubsub:
        function = task(seen.append, idempotent=True)
        worker = worker_of(pubsub, tmp_path, function, messages_limit=2)
        async with working(worker) as running:
            for _ in range(2):
                pubsub.publish("task-inbox", b"x", **{REPLAY_ID_ATTRIBUTE: "r1"})
            await running

    assert seen == [b"x"]
    (row,) = store.find("default", task="task", limit=10)
    assert (row.state, row.key.id) == (State.SUCCESS, "r1")


class Waiting:
    """A worker's runtime over a store whose time is moved by hand."""

    def __init__(self, pubsub: Cloud, folder: Path, clock: ManualClock) -> None:
        self.store = SqliteStore(f"{folder}/jobs.db", clock)
        settings = Settings(pubsub_emulator=pubsub.host, project=PROJECT)
        self.runtime = Runtime(settings, SystemClock(), connect=publisher_of, store=self.store)

    async def sweep(self) -> None:
        """Wake the jobs that are due, over Pub/Sub."""
        await asyncio.to_thread(sweep_jobs, self.runtime)
        await asyncio.to_thread(inbox.flush)

    async def wake(self, key: Key) -> None:
        """Wake a job over the inbox of its lane."""
        await asyncio.to_thread(inbox.wake, self.runtime, [row_of(self.store, key).wake])
        await asyncio.to_thread(inbox.flush)


@on_a_loop
async def test_a_job_that_sleeps_goes_on_in_a_worker(tmp_path: Path) -> None:
    """Its message is acknowledged when the sleep begins, and the sweep wakes it after its end."""
    clock, begun = ManualClock(), list[float]()
    async with cloud() as pubsub:
        here = Waiting(pubsub, tmp_path, clock)

        def sleep(data: bytes) -> str:
            begun.append(here.store.now())
            ucam_faas.current_job().sleep(timedelta(days=3))
            return "awake"

        key = add(here.store, payload=b"x")
        worker = pubsub.worker(task(sleep), runtime=here.runtime)
        async with working(worker):
            wake(pubsub, key)
            await until(lambda: causes(here.store, key)[-1] == "sleeping", "it sleeps")
            await until(lambda: not pubsub.waiting("task-inbox"), "its wake is acknowledged")
            clock.advance(timedelta(days=3) - timedelta(seconds=1))
            await here.sweep()
            asleep = row_of(here.store, key).state
            clock.advance(1)
            await here.sweep()
            await until(lambda: row_of(here.store, key).state.is_completed, "it has ended")

    row = row_of(here.store, key)
    assert (asleep, row.state, row.result) == (State.PENDING, State.SUCCESS, b'"awake"')
    assert (row.attempts, len(begun)) == (0, 2)
    assert begun[1] - begun[0] >= timedelta(days=3).total_seconds()


@on_a_loop
async def test_a_delayed_job_starts_in_a_worker_when_it_is_due(tmp_path: Path) -> None:
    clock, seen = ManualClock(), list[bytes]()
    async with cloud() as pubsub:
        here = Waiting(pubsub, tmp_path, clock)
        key = Key("default", "task", "1")
        here.store.insert([Row(key=key, payload=b"x", owner="me", visit=3600.0)], wait=[3600.0])
        worker = pubsub.worker(task(seen.append), runtime=here.runtime)
        async with working(worker):
            wake(pubsub, key)  # too early: it costs nothing
            await until(lambda: not pubsub.waiting("task-inbox"), "its wake is acknowledged")
            early = list(seen)
            clock.advance(3600)
            await here.sweep()
            await until(lambda: row_of(here.store, key).state.is_completed, "it has ended")

    assert (early, seen, row_of(here.store, key).executions) == ([], [b"x"], 1)


@on_a_loop
async def test_a_worker_starts_no_job_of_a_paused_lane_until_it_is_resumed(tmp_path: Path) -> None:
    async with cloud() as pubsub:
        here = Waiting(pubsub, tmp_path, ManualClock())
        seen: list[bytes] = []
        keys = {lane: add(here.store, id=lane, lane=lane) for lane in ("default", "bulk")}
        here.store.pause_lane("default", "task", "bulk")
        worker = pubsub.worker(task(seen.append, lanes=["bulk"]), runtime=here.runtime)
        async with working(worker):
            for key in keys.values():
                await here.wake(key)
            await until(lambda: row_of(here.store, keys["default"]).state.is_completed, "it ran")
            await until(lambda: not pubsub.waiting("task-inbox-bulk"), "the other's wake is done")
            paused = row_of(here.store, keys["bulk"])
            here.store.resume_lane("default", "task", "bulk")
            await here.wake(keys["bulk"])
            await until(lambda: row_of(here.store, keys["bulk"]).state.is_completed, "it ran, too")

    assert (paused.state, paused.executions) == (State.PENDING, 0)
    assert row_of(here.store, keys["bulk"]).attempts == 0


@on_a_loop
async def test_what_a_task_sends_in_a_worker_stays_in_its_lane(tmp_path: Path) -> None:
    async with cloud() as pubsub:
        here = Waiting(pubsub, tmp_path, ManualClock())
        child = task(len, name="child", lanes=["bulk"])
        parent = task(lambda data: child.send(data).id, name="parent", lanes=["bulk"])
        key = add(here.store, "parent", lane="bulk", payload=b"x")
        worker = pubsub.worker(parent, child, runtime=here.runtime, messages_limit=2)
        async with working(worker) as running:
            await here.wake(key)
            await running

    rows = here.store.find("default")
    assert {(row.key.task, row.lane, row.state) for row in rows} == {
        ("parent", "bulk", State.SUCCESS),
        ("child", "bulk", State.SUCCESS),
    }


@on_a_loop
async def test_two_stages_in_one_project_run_their_own_jobs(tmp_path: Path) -> None:
    """One task sends them to a lane of another, by its name in the code."""
    seen: dict[str, list[bytes]] = {"test-": [], "": []}
    async with cloud() as pubsub:
        for prefix, own in seen.items():
            store = f"sqlite:{tmp_path}/{prefix}jobs.db"
            child = task(own.append, name="child", lanes=["bulk"])
            parent = task(lambda data, to=child: to.send(data, lane="bulk").id, name="parent")
            runtimes.store_of.cache_clear()
            worker = pubsub.worker(
                parent, child, name_prefix=prefix, job_store=store, messages_limit=2
            )
            async with working(worker) as running:
                pubsub.publish(f"{prefix}parent", f"for {prefix}".encode())
                await running

        waiting = [pubsub.waiting(f"{prefix}child-inbox-bulk") for prefix in seen]

    assert seen == {"test-": [b"for test-"], "": [b"for "]}
    assert waiting == [0, 0]
