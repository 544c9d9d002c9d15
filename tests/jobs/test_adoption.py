"""A message on the topic of a task with `idempotent=True` or `id=` is a job, and runs once."""

from __future__ import annotations

import logging
import threading
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

import ucam_faas
from tests.jobs.runs import FaultyStore, causes, row_of, wake
from tests.serving.harness import Exchange, Held, exchange, make_app, on_a_loop, start, until
from ucam_faas.config import Settings
from ucam_faas.exceptions import ConfigurationError, TaskDefinitionError
from ucam_faas.execution import runtime
from ucam_faas.jobs.rows import Key
from ucam_faas.jobs.states import State
from ucam_faas.logs.console import ConsoleFormatter
from ucam_faas.serving.app import App
from ucam_faas.tasks.registry import task_of
from ucam_faas.testing import ManualClock, MemoryPublisher, make_message, make_push, serve

LEASE = 315.0
DEAD = "projects/p/topics/dead"


class Order(BaseModel):
    """A payload."""

    id: int
    note: str = ""


def charge_of(act: Any, **options: Any) -> Any:
    @ucam_faas.message_handler(**options)
    def charge(order: Order) -> Any:
        return act()

    return charge


def counting() -> tuple[list[int], Any]:
    ran: list[int] = []

    def act() -> int:
        ran.append(1)
        return len(ran)

    return ran, act


async def deliver(app: App, payload: Any, message_id: str) -> Exchange:
    message = make_message(payload, message_id=message_id)
    push = make_push(message)
    return await exchange(app, "/charge", [push.body], headers=push.headers)


@on_a_loop
async def test_a_duplicate_doesnt_run(
    store: FaultyStore, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ucam_faas")
    ran, act = counting()
    app = make_app(charge_of(act, idempotent=True), clock=clock, store=store)

    answers = [await deliver(app, {"id": 1}, "m1") for _ in range(3)]
    await deliver(app, {"id": 1}, "m2")

    assert ([answer.status for answer in answers], len(ran)) == ([200] * 3, 2)
    line = caplog.records[1]
    assert (line.message, line.fields["reason"]) == (  # type: ignore[attr-defined]
        "ucam_faas_job_not_run",
        "a duplicate: the job is SUCCESS",
    )
    text = ConsoleFormatter(texts=True, colours=False).format(line)
    assert "ignored   charge  job m1, took " in text
    assert text.endswith(" ms: a duplicate: the job is SUCCESS")
    assert causes(store, Key("default", "charge", "m1")) == ["sent", "claimed", "finished"]
    assert row_of(store, Key("default", "charge", "m1")).result == b"1"


@on_a_loop
async def test_the_payload_decides_the_id(store: FaultyStore, clock: ManualClock) -> None:
    ran, act = counting()
    app = make_app(charge_of(act, id=lambda order: order.id), clock=clock, store=store)

    for message_id in ("m1", "m2"):
        await deliver(app, {"id": 17}, message_id)

    assert len(ran) == 1
    assert row_of(store, Key("default", "charge", "17")).state is State.SUCCESS


@on_a_loop
async def test_an_id_with_another_payload_is_dead_lettered(
    store: FaultyStore, clock: ManualClock
) -> None:
    publisher, (ran, act) = MemoryPublisher({DEAD: []}), counting()
    charge = charge_of(act, id=lambda order: order.id, dead_letter_topic=DEAD)
    app = make_app(charge, clock=clock, store=store, publisher=publisher)

    await deliver(app, {"id": 17}, "m1")
    conflict = await deliver(app, {"id": 17, "note": "other"}, "m2")

    assert (conflict.status, len(ran)) == (200, 1)
    (letter,) = publisher.topics[DEAD]
    assert letter.attributes["ucam_faas_reason"] == "another payload has the id of its job"


@on_a_loop
async def test_an_id_with_the_same_payload_in_another_form_is_a_duplicate(
    store: FaultyStore, clock: ManualClock
) -> None:
    ran, act = counting()
    app = make_app(charge_of(act, id=lambda order: order.id), clock=clock, store=store)

    await deliver(app, {"id": 17, "note": ""}, "m1")
    again = await deliver(app, {"note": "", "id": 17}, "m2")

    assert (again.status, len(ran)) == (200, 1)


@on_a_loop
async def test_a_duplicate_of_a_running_job_is_delivered_again(
    store: FaultyStore, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="ucam_faas")
    held = Held()
    app = make_app(charge_of(held, idempotent=True), clock=clock, store=store)
    first = start(deliver(app, {"id": 1}, "m1"))
    await until(held.begun)

    during = await deliver(app, {"id": 1}, "m1")
    lines = [record.getMessage() for record in caplog.records]
    held.release.set()
    await first
    after = await deliver(app, {"id": 1}, "m1")

    assert (during.status, after.status, lines) == (429, 200, [])


@on_a_loop
async def test_a_lost_process_is_made_good_by_a_delivery_after_the_lease(
    store: FaultyStore, clock: ManualClock
) -> None:
    ran, act = counting()
    lost = threading.Event()

    def die() -> None:
        act()
        if len(ran) == 1:
            lost.set()
            raise GeneratorExit  # nothing more is stored of this execution

    app = make_app(charge_of(die, idempotent=True), clock=clock, store=store)
    store.changes_that_fail = 1000
    store.on_change = lambda: clock.advance(LEASE)
    first = await deliver(app, {"id": 1}, "m1")
    store.changes_that_fail, store.on_change = 0, None

    second = await deliver(app, {"id": 1}, "m1")

    assert (first.status, second.status, len(ran)) == (503, 200, 2)
    row = row_of(store, Key("default", "charge", "m1"))
    assert (row.state, row.attempts) == (State.SUCCESS, 1)


@on_a_loop
async def test_a_failure_is_the_rows_and_its_retry_comes_by_a_wake(
    store: FaultyStore, clock: ManualClock
) -> None:
    ran: list[int] = []

    def act() -> None:
        ran.append(ucam_faas.current_job().attempt)
        if len(ran) == 1:
            raise ucam_faas.Retry(after=timedelta(minutes=1))

    app = make_app(charge_of(act, idempotent=True), clock=clock, store=store)

    first = await deliver(app, {"id": 1}, "m1")
    duplicate = await deliver(app, {"id": 1}, "m1")
    clock.advance(60)
    await wake(app, "charge", "m1")

    assert (first.status, duplicate.status, ran) == (200, 200, [1, 2])
    assert row_of(store, Key("default", "charge", "m1")).state is State.SUCCESS


@on_a_loop
async def test_a_message_isnt_acknowledged_while_the_store_is_down(
    store: FaultyStore, clock: ManualClock
) -> None:
    ran, act = counting()
    app = make_app(charge_of(act, idempotent=True), clock=clock, store=store)
    store.claims_fail = True

    down = await deliver(app, {"id": 1}, "m1")
    store.claims_fail = False
    up = await deliver(app, {"id": 1}, "m1")

    assert (down.status, up.status, len(ran)) == (503, 200, 1)


@on_a_loop
async def test_a_rejected_payload_makes_no_job(store: FaultyStore, clock: ManualClock) -> None:
    ran, act = counting()
    app = make_app(charge_of(act, idempotent=True), clock=clock, store=store)

    response = await deliver(app, {"id": "x"}, "m1")

    assert (response.status, ran, store.find("default")) == (400, [], [])


@on_a_loop
async def test_a_raw_task_takes_the_id_of_its_data(store: FaultyStore, clock: ManualClock) -> None:
    ran: list[bytes] = []

    @ucam_faas.raw_event(id=lambda body: body.decode())
    def note(body: bytes) -> None:
        ran.append(body)

    app = make_app(note, clock=clock, store=store)

    for _ in range(2):
        await exchange(app, "/note", [b"seven"])

    assert ran == [b"seven"]


def test_a_test_client_runs_a_duplicate_once() -> None:
    ran, act = counting()
    message = make_message({"id": 1}, message_id="m1")

    with serve(charge_of(act, idempotent=True)) as client:
        answers = [client.push("charge", message).status for _ in range(2)]

    assert (answers, len(ran)) == ([200, 200], 1)


@pytest.mark.parametrize(
    ("decorator", "options", "text"),
    [
        (ucam_faas.cloud_event, {"idempotent": True}, "only messages"),
        (ucam_faas.raw_event, {"idempotent": True}, "without the message's id"),
        (ucam_faas.message_handler, {"idempotent": True, "ordered": True}, "ordered=True"),
    ],
)
def test_what_cant_be_adopted_is_refused_at_import(
    decorator: Any, options: dict[str, Any], text: str
) -> None:
    with pytest.raises(TaskDefinitionError, match=text):

        @decorator(**options)
        def task(data: Any) -> None:
            pass


def test_a_task_whose_messages_become_jobs_needs_a_store_at_start() -> None:
    task = task_of(charge_of(bool, idempotent=True))
    assert task is not None

    with pytest.raises(ConfigurationError, match="UCAM_FAAS_JOB_STORE"):
        runtime.build(Settings(), [task])
    runtime.build(Settings(job_store="memory:"), [task])


@on_a_loop
async def test_a_failed_job_and_a_dead_letter_of_one_cause_have_one_fingerprint(
    store: FaultyStore, clock: ManualClock
) -> None:
    def act() -> None:
        raise SoldOut("no more")

    publisher = MemoryPublisher({DEAD: []})
    for options in ({"idempotent": True}, {}):
        charge = charge_of(act, dead_letter_topic=DEAD, **options)
        app = make_app(charge, clock=clock, store=store, publisher=publisher)
        await deliver(app, {"id": 17}, "m1")

    row, (letter,) = row_of(store, Key("default", "charge", "m1")), publisher.topics[DEAD]
    assert row.state is State.FAILURE
    assert row.error is not None
    assert row.error["fingerprint"] == letter.attributes["ucam_faas_fingerprint"]
    assert row.error["summary"] == letter.attributes["ucam_faas_error"]
    assert row.error["summary"].startswith("SoldOut at ")


class SoldOut(ucam_faas.DeadLetter):
    """A failure that no retry can change."""
