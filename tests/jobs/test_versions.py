"""Jobs that wait while another version of their task is deployed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from tests.jobs.runs import wake
from tests.serving.harness import make_app, on_a_loop
from ucam_faas import message_handler, raw_event
from ucam_faas.execution import inbox, runtime
from ucam_faas.jobs.rows import Row
from ucam_faas.jobs.states import State
from ucam_faas.jobs.stores import JobStore
from ucam_faas.jobs.sweep import sweep
from ucam_faas.publishing.memory import MemoryPublisher
from ucam_faas.serving.app import App
from ucam_faas.testing import ManualClock

pytestmark = pytest.mark.slow

A_MOMENT = timedelta(milliseconds=1)


class Order(BaseModel):
    """An order, as the first version sends it."""

    id: int


class PaidOrder(Order):
    """An order, as the second version expects it."""

    account: str


@message_handler
def charge(order: Order) -> str:
    """Charge an order."""
    return "the first version"


@message_handler
def refund(order: Order) -> None: ...


@pytest.fixture
def store(opened_store: JobStore) -> Iterator[JobStore]:
    token = runtime.CURRENT.set(None)
    yield opened_store
    runtime.CURRENT.reset(token)


def deploy(store: JobStore, *tasks: Any) -> App:
    """Return a version with these tasks, which sends and runs jobs."""
    names = [f"{function.task.name}-inbox" for function in tasks]
    publisher = MemoryPublisher({name: [] for name in names})
    app = make_app(*tasks, clock=ManualClock(), publisher=publisher, store=store)
    runtime.CURRENT.set(app.runtime)
    return app


def kept(store: JobStore, job: Any) -> Row:
    row = store.get(job.key)
    assert row is not None
    return row


@on_a_loop
async def test_a_job_of_a_function_with_a_new_name_runs_if_the_task_keeps_its_own(
    store: JobStore,
) -> None:
    deploy(store, charge)
    job = charge.send(Order(id=1), id="1", delay=A_MOMENT)

    @message_handler(name="charge")
    def charge_account(order: Order) -> str:
        return "the second version"

    response = await wake(deploy(store, charge_account), "charge", "1")

    assert response.status == 200
    assert job.result(0) == "the second version"


@on_a_loop
async def test_a_payload_without_a_new_field_ends_its_job_at_once_with_the_fields_name(
    store: JobStore, caplog: pytest.LogCaptureFixture
) -> None:
    deploy(store, charge)
    job = charge.send(Order(id=47_111), id="1", delay=A_MOMENT)

    @message_handler(name="charge")
    def charge_paid(order: PaidOrder) -> None:
        raise AssertionError("it has no account")

    response = await wake(deploy(store, charge_paid), "charge", "1")

    row = kept(store, job)
    assert response.status == 200
    assert (row.state, row.attempts) == (State.FAILURE, 1)
    assert row.error is not None
    assert row.error["message"] == "account: missing"
    assert "47111" not in str(row.error) + row.log + caplog.text


@pytest.mark.parametrize("others", [1, 2], ids=["alone", "with another"])
@on_a_loop
async def test_a_job_of_a_task_that_a_version_lacks_waits_for_one_that_has_it(
    store: JobStore, others: int
) -> None:
    runs: list[str] = []

    @message_handler
    def tidy() -> None:
        runs.append("tidy")

    @raw_event
    def hook(body: bytes) -> None:
        runs.append("hook")

    deploy(store, charge)
    job = charge.send(Order(id=1), id="1", delay=A_MOMENT)

    statuses = []
    for tasks in [(tidy,), (hook,)] if others == 1 else [(tidy, hook)]:
        lacking = deploy(store, *tasks)
        statuses += [(await wake(lacking, "charge", "1")).status for _ in range(5)]
    waiting = kept(store, job)
    response = await wake(deploy(store, charge), "charge", "1")

    assert set(statuses) == {404}  # Pub/Sub delivers it again
    assert runs == []
    assert (waiting.state, waiting.attempts, waiting.fence) == (State.PENDING, 0, 0)
    assert (response.status, job.result(0)) == (200, "the first version")


def test_a_sweep_without_the_inbox_of_one_task_wakes_the_jobs_of_the_others(
    store: JobStore,
) -> None:
    deploy(store, charge)
    unknown = charge.send(Order(id=1), id="1", delay=A_MOMENT)
    lacking = deploy(store, refund)
    known = refund.send(Order(id=1), id="2", delay=A_MOMENT)
    while store.now() < kept(store, known).due + 0.002:
        pass

    sweep(store, "default", lambda wakes: inbox.wake(lacking.runtime, wakes))

    publisher = lacking.runtime.publisher
    assert isinstance(publisher, MemoryPublisher)
    (message,) = publisher.topics["refund-inbox"]
    assert message.attributes[inbox.JOB_ATTRIBUTE] == "2"
    row = kept(store, unknown)
    assert (row.state, row.fence) == (State.PENDING, 0)
    assert row.visit > store.now() + 30
