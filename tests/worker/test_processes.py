"""A worker's tasks with `run_in_process=True`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.serving import process_tasks
from tests.serving.harness import on_a_loop
from ucam_faas.clock import SystemClock
from ucam_faas.jobs.rows import Key
from ucam_faas.jobs.states import State
from ucam_faas.jobs.stores.sqlite import SqliteStore

from .harness import cloud, until, working

pytestmark = pytest.mark.slow


@on_a_loop
async def test_a_pulled_message_whose_process_crashes_comes_again() -> None:
    async with cloud() as pubsub:
        pubsub.subscribe("end", "end")  # without a retry policy: it comes again at once
        worker = pubsub.worker(process_tasks.end, messages_limit=2)
        async with working(worker) as running:
            pubsub.publish("end", b"exit")
            result = await running

    assert result.outcomes == Counter(crashed=2)


@on_a_loop
async def test_an_adopted_message_keeps_its_own_id_in_the_process(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path / "jobs.db"), SystemClock())
    key = Key("default", "adopted", "order-3")

    async with cloud() as pubsub:
        name = f"sqlite:{tmp_path / 'jobs.db'}"
        worker = pubsub.worker(process_tasks.adopted, job_store=name)
        async with working(worker):
            pubsub.publish("adopted", b'{"pence": 3}')
            await until(lambda: (row := store.get(key)) and row.state.is_completed, "it ended")

    row = store.get(key)
    assert row is not None
    assert row.state is State.SUCCESS
    assert row.result == b'["order-3", 1, false]'
