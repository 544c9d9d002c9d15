"""The sweep as a task: served from its own source, as the plan deploys it."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tests.serving.harness import exchange, make_app, on_a_loop
from ucam_faas.job_runs.sweep_task import SOURCE, sweep_name, sweep_task
from ucam_faas.jobs.rows import Key, Row
from ucam_faas.jobs.stores.sqlite import SqliteStore
from ucam_faas.publishing.memory import MemoryPublisher
from ucam_faas.tasks import registry
from ucam_faas.testing import ManualClock, make_message, make_push

KEY = Key("shop", "charge", "1")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store(clock: ManualClock) -> Iterator[SqliteStore]:
    store = SqliteStore(":memory:", clock)
    store.insert([Row(key=KEY, payload=b"", owner="me", visit=60.0)], wait=[0.0])
    yield store
    store.close()


@on_a_loop
async def test_a_message_of_the_schedule_wakes_the_jobs_that_are_due(
    store: SqliteStore, clock: ManualClock
) -> None:
    publisher = MemoryPublisher({"charge-inbox": []})
    app = make_app(sweep_task("shop"), clock=clock, publisher=publisher, store=store, app="shop")
    clock.advance(60)
    push = make_push(make_message(b"", attributes={"ucam_faas_trigger": "schedule"}))

    answer = await exchange(app, "/shop-sweep", [push.body], headers=push.headers)

    assert answer.status == 200
    assert [
        message.attributes["ucam_faas_job"] for message in publisher.topics["charge-inbox"]
    ] == ["1"]


@on_a_loop
async def test_a_sweep_without_a_store_fails(clock: ManualClock) -> None:
    app = make_app(sweep_task("shop"), clock=clock)
    push = make_push(make_message(b""))

    answer = await exchange(app, "/shop-sweep", [push.body], headers=push.headers)

    assert answer.status == 500


def test_the_source_of_the_sweep_serves_the_application_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(registry, "_TASKS", {})
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("UCAM_FAAS_APP", "My.shop")
    monkeypatch.delitem(sys.modules, SOURCE, raising=False)

    (task,) = registry.load(SOURCE, sweep_name("My.shop"))

    assert task.route == "/My-shop-sweep"


@pytest.mark.parametrize(
    ("app", "name"),
    [
        ("shop", "shop-sweep"),
        ("web_shop", "web-shop-sweep"),
        ("24h", "app-24h-sweep"),
        ("a" * 60, "a" * 43 + "-sweep"),
        ("", "app-sweep"),
    ],
)
def test_every_application_has_a_name_that_cloud_run_takes(app: str, name: str) -> None:
    assert sweep_name(app) == name
