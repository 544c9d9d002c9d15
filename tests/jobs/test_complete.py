"""`job.complete(…)`: the result is stored with the task's effects, once, or neither is."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import nullcontext, suppress
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from pydantic import BaseModel

import ucam_faas
from tests.jobs import callers
from tests.jobs.callers import Caller, Till
from tests.jobs.postgresql_proxy import cut_after, failing
from tests.jobs.runs import wake
from tests.serving.harness import make_app, on_a_loop
from tests.support.postgresql import Server
from ucam_faas.exceptions import JobLostError
from ucam_faas.jobs.rows import Row
from ucam_faas.jobs.states import State

pytestmark = pytest.mark.usefixtures("own_contexts")


AT_ONCE = ucam_faas.RetryPolicy(min_backoff=timedelta(0), max_backoff=timedelta(0))


class Order(BaseModel):
    """A payload."""

    id: int


@ucam_faas.message_handler
def pack(order: Order) -> None:
    """Be sent."""


def row_of(till: Till, id: str = "1", task: str = "charge") -> Row:
    (row,) = till.store.find("default", task=task, id=id)
    return row


def causes(till: Till, id: str = "1") -> list[str]:
    return [entry.cause for entry in row_of(till, id).history]


async def run(
    till: Till,
    act: Callable[[Caller, Order], Any],
    times: int = 1,
    events: Any = "failures",
    **settings: Any,
) -> list[int]:
    """Send a job whose task acts, deliver its wake so often, and return the statuses."""

    @ucam_faas.message_handler(retry=AT_ONCE, events=events)
    async def charge(order: Order) -> Any:
        async with till.caller() as caller:
            return await act(caller, order)

    app = make_app(charge, store=till.store, publisher=till.publisher, **settings)
    await charge.send_async(Order(id=1), id="1")
    till.publisher.topics["pack-inbox"] = []
    return [(await wake(app, "charge")).status for _ in range(times)]


async def complete(caller: Caller, result: Any, **options: Any) -> None:
    """Complete the running job, as code with such a connection does."""
    job = ucam_faas.current_job()
    if caller.is_async:
        await job.complete_async(result, **options)
    else:
        job.complete(result, **options)


@on_a_loop
async def test_the_result_and_the_effects_are_stored_by_the_blocks_commit(till: Till) -> None:
    before: list[Any] = []

    async def act(caller: Caller, order: Order) -> str:
        async with caller.transaction():
            await caller.order(order.id)
            await complete(caller, {"paid": order.id})
            before.append((row_of(till).state, till.orders))
        return "ignored"

    statuses = await run(till, act, times=2)

    assert before == [(State.STARTED, [])]
    assert (row_of(till).state, row_of(till).result) == (State.SUCCESS, b'{"paid": 1}')
    assert causes(till) == ["sent", "claimed", "finished"]
    assert (till.orders, statuses) == ([1], [200, 200])


@on_a_loop
async def test_complete_commits_the_connections_own_transaction(till: Till) -> None:
    refusals: list[str] = []

    async def act(caller: Caller, order: Order) -> None:
        with pytest.raises(RuntimeError, match="isn't in a transaction"):
            await complete(caller, 0, connection=caller.connection)
        await caller.begin()
        await caller.order(order.id)
        try:
            await complete(caller, 7, connection=caller.connection)
        except RuntimeError as error:
            refusals.append(str(error))

    await run(till, act)

    assert refusals == []
    assert (till.orders, row_of(till).result) == ([1], b"7")
    assert causes(till) == ["sent", "claimed", "finished"]


@pytest.mark.parametrize("hides", [False, True])
@on_a_loop
async def test_a_process_that_lost_its_job_rolls_its_effects_back(till: Till, hides: bool) -> None:
    async def act(caller: Caller, order: Order) -> None:
        with till.database() as database:  # the lease ends
            database.execute("UPDATE ucam_faas_jobs SET fence = fence + 1")
            database.commit()
        async with caller.transaction():
            await caller.order(order.id)
            with suppress(JobLostError) if hides else nullcontext():
                await complete(caller, 7)

    (status,) = await run(till, act)

    assert status == 200  # superseded
    assert (till.orders, row_of(till).state, row_of(till).result) == ([], State.STARTED, None)


@on_a_loop
async def test_a_process_that_lost_its_job_commits_no_block_in_it(till: Till) -> None:
    """Though nothing in the block uses jobs."""
    refusals: list[JobLostError] = []

    async def act(caller: Caller, order: Order) -> None:
        async with caller.transaction():
            await caller.order(1)
        with till.database() as database:  # the lease ends
            database.execute("UPDATE ucam_faas_jobs SET fence = fence + 1")
            database.commit()
        try:
            async with caller.transaction():
                await caller.order(2)
        except JobLostError as error:
            refusals.append(error)

    await run(till, act)

    assert (till.orders, len(refusals)) == ([1], 1)


@on_a_loop
async def test_a_block_after_the_one_that_completes_is_committed(till: Till) -> None:
    async def act(caller: Caller, order: Order) -> None:
        async with caller.transaction():
            await complete(caller, 1)
        async with caller.transaction():
            await caller.order(2)

    await run(till, act)

    assert (till.orders, row_of(till).state) == ([2], State.SUCCESS)


@on_a_loop
async def test_a_block_that_fails_after_complete_is_a_failed_attempt(till: Till) -> None:
    attempts: list[int] = []

    async def act(caller: Caller, order: Order) -> None:
        attempts.append(ucam_faas.current_job().attempt)
        async with caller.transaction():
            await caller.order(order.id)
            await complete(caller, len(attempts))
            if len(attempts) == 1:
                raise ZeroDivisionError

    statuses = await run(till, act, times=2)

    assert statuses == [200, 200]
    assert causes(till) == ["sent", "claimed", "failed", "claimed", "finished"]
    assert (till.orders, row_of(till).result) == ([1], b"2")


@pytest.mark.parametrize(
    "error", [ZeroDivisionError(), ucam_faas.Retry(after=timedelta(0)), ucam_faas.Pause("later")]
)
@pytest.mark.parametrize("kind", ["sqlite3", "async psycopg"])
@on_a_loop
async def test_a_failure_after_the_commit_changes_nothing_and_is_logged(
    till: Till, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    async def act(caller: Caller, order: Order) -> None:
        async with caller.transaction():
            await caller.order(order.id)
            await complete(caller, 7)
        raise error

    with caplog.at_level(logging.INFO, "ucam_faas"):
        statuses = await run(till, act, times=2)

    assert statuses == [200, 200]
    assert (row_of(till).state, row_of(till).result, till.orders) == (State.SUCCESS, b"7", [1])
    (line,) = [each for each in caplog.records if each.msg == "ucam_faas_failed_after_complete"]
    assert type(error).__name__ in str(line.__dict__)


@pytest.mark.parametrize("kind", ["sqlite3", "psycopg", "async session"])
@on_a_loop
async def test_a_job_is_completed_once_and_sends_children_before_or_after(till: Till) -> None:
    async def act(caller: Caller, order: Order) -> None:
        async with caller.transaction():
            await pack.send_async(Order(id=1), id="before")
            await complete(caller, 7)
            await pack.send_async(Order(id=2), id="after")
        with pytest.raises(RuntimeError, match="completed already"):
            async with caller.transaction():
                await complete(caller, 8)
        with pytest.raises(JobLostError):
            await pack.send_async(Order(id=3), id="too late")

    await run(till, act)

    packed = till.store.find("default", task="pack")
    assert {(row.key.id, row.source) for row in packed} == {
        ("before", "charge"),
        ("after", "charge"),
    }
    assert row_of(till).result == b"7"


@pytest.mark.parametrize("kind", ["sqlite3", "async psycopg"])
@on_a_loop
async def test_a_completed_job_has_its_event(till: Till) -> None:
    topic = "projects/test/topics/events"
    till.publisher.topics[topic] = []

    async def act(caller: Caller, order: Order) -> None:
        async with caller.transaction():
            await complete(caller, 7)
            before.append(len(till.publisher.topics[topic]))

    before: list[int] = []
    await run(till, act, events="all", events_topic=topic)

    (message,) = till.publisher.topics[topic]
    assert (before, message.attributes["ce-type"]) == ([0], "core.task.charge.success.v1")
    assert not row_of(till).event_due


@pytest.mark.parametrize("kind", ["sqlite3", "async psycopg"])
@on_a_loop
async def test_the_pipeline_stores_nothing_after_complete(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act(caller: Caller, order: Order) -> None:
        async with caller.transaction():
            await complete(caller, 7)
        monkeypatch.delattr(type(till.store), "_write")

    assert await run(till, act) == [200]

    monkeypatch.undo()
    assert row_of(till).result == b"7"


@pytest.mark.parametrize("kind", ["sqlite3"])
@on_a_loop
async def test_a_result_may_have_each_type_that_a_task_may_return(till: Till) -> None:
    async def act(caller: Caller, order: Order) -> None:
        async with caller.transaction():
            await complete(caller, msgspec.defstruct("Receipt", ["pence"])(5))

    await run(till, act)

    assert row_of(till).result == b'{"pence": 5}'


@pytest.mark.parametrize("kind", ["sqlite3"])
@on_a_loop
async def test_wrong_uses_name_the_right_one(till: Till) -> None:
    async def act(caller: Caller, order: Order) -> None:
        job = ucam_faas.current_job()
        with pytest.raises(TypeError, match="pass connection="):
            job.complete(1)
        async with caller.transaction():
            await caller.order(1)
            with pytest.raises(ValueError, match="another connection"):
                job.complete(1, connection=object())
            with pytest.raises(TypeError, match=r"type object can't be stored"):
                job.complete(object())
            job.complete(2, connection=caller.connection)

    await run(till, act)

    assert row_of(till).result == b"2"


@pytest.mark.parametrize("kind", ["psycopg", "async psycopg", "SQLAlchemy, PostgreSQL"])
@on_a_loop
async def test_a_commit_whose_answer_is_lost_has_completed_the_job(
    till: Till, postgresql: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """The task fails with the driver's error, and the job doesn't run again."""
    cut, topic = 0, "projects/test/topics/events"
    while True:
        cut += 1
        till.publisher.topics[topic] = []
        till.on_another_connection("TRUNCATE ucam_faas_jobs, orders CASCADE")
        with failing(postgresql, cut, cut_after) as proxy:

            async def act(caller: Caller, order: Order) -> None:
                connect = callers.KINDS[till.kind][1]
                async with connect(proxy.url(till.url)) as through, through.transaction():
                    await through.order(order.id)
                    await complete(through, 7)

            await run(till, act, times=3, events="all", events_topic=topic)
            has_failed = proxy.has_failed

        assert (row_of(till).state, row_of(till).result) == (State.SUCCESS, b"7"), cut
        assert till.orders == [1]
        assert len(till.publisher.topics[topic]) == 1
        if not has_failed:
            break

    assert cut > 4  # begin, table, insert, complete, commit
    assert [each.msg for each in caplog.records].count("ucam_faas_failed_after_complete") == 1
