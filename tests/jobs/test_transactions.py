"""Jobs in a caller's transaction, over every kind of connection."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from collections.abc import Callable
from contextlib import nullcontext, suppress
from contextvars import copy_context
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from pydantic import BaseModel

import ucam_faas
from tests.jobs import callers
from tests.jobs.callers import Caller, Till
from tests.serving.harness import on_a_loop
from ucam_faas.config import Settings
from ucam_faas.exceptions import (
    ConfigurationError,
    JobConflictError,
    JobLostError,
    JobNotFoundError,
    NoJobStoreError,
    QueueFull,
)
from ucam_faas.execution import runtime
from ucam_faas.execution.runtime import Runtime
from ucam_faas.jobs import transactions
from ucam_faas.jobs.states import State
from ucam_faas.jobs.stores import JobStore
from ucam_faas.jobs.stores.postgresql import PostgresqlStore
from ucam_faas.jobs.stores.sqlite import SqliteStore
from ucam_faas.jobs.transactions.callers import Gate, drive
from ucam_faas.publishing.memory import MemoryPublisher
from ucam_faas.sending import children
from ucam_faas.testing import ManualClock


class Order(BaseModel):
    """A payload."""

    id: int


pytestmark = pytest.mark.usefixtures("own_contexts")


def charge_of(**options: Any) -> Any:
    @ucam_faas.message_handler(**options)
    def charge(order: Order) -> int:
        return order.id

    return charge


async def order_and_send(caller: Caller, charge: Any, id: int) -> None:
    """Write an order, and send its job, in a block."""
    async with caller.transaction():
        await caller.order(id)
        await charge.send_async(Order(id=id), id=str(id))


@on_a_loop
async def test_a_commit_stores_the_job_with_the_effects_and_wakes_it_then(
    till: Till,
) -> None:
    charge = charge_of()
    async with till.caller() as caller, caller.transaction() as connection:
        await caller.order(1)
        job = await charge.send_async(Order(id=1))
        before = (till.jobs, till.wakes, till.orders)

    assert connection is caller.connection
    assert before == (set(), [], [])
    assert (till.jobs, till.wakes, till.orders) == ({job.id}, [job.id], [1])
    assert job.status is State.PENDING


@on_a_loop
async def test_a_rollback_sends_nothing(till: Till) -> None:
    charge = charge_of()
    sent = []

    async def fail(caller: Caller) -> None:
        async with caller.transaction():
            await caller.order(1)
            sent.append(await charge.send_async(Order(id=1)))
            sent.extend(await charge.send_many_async([Order(id=id) for id in range(3)]))
            raise ZeroDivisionError

    async with till.caller() as caller:
        with pytest.raises(ZeroDivisionError):
            await fail(caller)

        assert (till.jobs, till.wakes, till.orders) == (set(), [], [])
        with pytest.raises(JobNotFoundError):
            sent[0].status
        async with caller.transaction():
            await caller.order(2)
            await charge.send_async(Order(id=2), id="2")

    assert (till.jobs, till.wakes, till.orders) == ({"2"}, ["2"], [2])


@on_a_loop
async def test_a_batch_is_sent_with_the_commit_and_its_callback_started_with_one(
    till: Till,
) -> None:
    @ucam_faas.message_handler
    def summarise(batch: ucam_faas.BatchEnded) -> None: ...

    charge, wakes = charge_of(), till.publisher.topics.setdefault("summarise-inbox", [])
    async with till.caller() as caller:
        async with caller.transaction():
            batch = await charge.send_many_async([Order(id=1), Order(id=2)], then=summarise)
            await batch[0].cancel_async()
            before = (await batch.progress_async()).ended, till.jobs
        waiting = batch.then.status
        async with caller.transaction():
            empty = await charge.send_many_async([], then=summarise)
            await batch.cancel_async()
            before_commit = len(wakes)

    assert before == (1, set())
    assert (waiting, before_commit) == (State.PAUSED, 0)
    assert [job.status for job in (batch.then, empty.then)] == [State.PENDING] * 2
    woken = {message.attributes["ucam_faas_job"] for message in wakes}
    assert woken == {batch.then.id, empty.then.id}


@on_a_loop
async def test_the_block_sees_its_jobs_and_can_change_them(till: Till) -> None:
    charge = charge_of()
    async with till.caller() as caller, caller.transaction():
        job = await charge.send_async(Order(id=1), id="1")
        same = await ucam_faas.get_job_async(charge, "1")
        state = await same.cancel_async()
        await transactions.in_thread(lambda: [same.retry(), same.status])
        with pytest.raises(RuntimeError, match="awaited in a transaction"):
            await job.result_async(timeout=5)

    assert state is State.CANCELLED
    assert [entry.cause for entry in job.history] == ["sent", "cancelled", "retried"]
    assert till.wakes == ["1", "1"]


@on_a_loop
async def test_ids_conflicts_unique_keys_and_max_pending_hold_in_the_block(
    till: Till,
) -> None:
    charge = charge_of(unique=lambda order: order.id % 10, max_pending=3)
    await charge.send_async(Order(id=1), id="1")
    async with till.caller() as caller, caller.transaction():
        same = await charge.send_async(Order(id=1), id="1")
        key = await charge.send_async(Order(id=11))
        with pytest.raises(JobConflictError, match="another payload"):
            await charge.send_async(Order(id=2), id="1")
        await charge.send_async(Order(id=2), id="2")
        again = await charge.send_async(Order(id=2), id="2")
        await charge.send_async(Order(id=3), id="3")
        with pytest.raises(QueueFull):
            await charge.send_async(Order(id=4), id="4")

    assert (same.id, key.id, again.id) == ("1", "1", "2")
    assert till.jobs == {"1", "2", "3"}
    assert till.wakes == ["1", "2", "3"]


@on_a_loop
async def test_a_block_that_is_repeated_after_a_rollback_sends_the_jobs_of_the_first_try(
    till: Till,
) -> None:
    """Else the next attempt, whose first try commits, would send others."""
    charge = charge_of()
    parent = await charge.send_async(Order(id=1), id="parent")
    row = till.store.claim(parent.key, lease=60, instance="here")
    assert row is not None
    children.of_job(row)
    tries = []
    async with till.caller() as caller:
        for is_last in (False, True):
            with suppress(ZeroDivisionError):
                async with caller.transaction():
                    tries.append([(await charge.send_async(Order(id=2))).id for _ in range(2)])
                    is_last or 1 / 0

    assert tries[0] == tries[1]
    assert till.jobs == {"parent", *tries[1]}
    assert len(till.jobs) == 3


@pytest.mark.parametrize("kind", ["psycopg", "async psycopg"])
@on_a_loop
async def test_a_rolled_back_send_leaves_its_id_to_the_next_and_not_that_of_a_send_beside_it(
    till: Till,
) -> None:
    charge = charge_of()
    parent = await charge.send_async(Order(id=1), id="parent")
    row = till.store.claim(parent.key, lease=60, instance="here")
    assert row is not None
    children.of_job(row)
    outside, ids = copy_context(), []
    async with till.caller() as caller:
        for is_last in (False, True):
            with suppress(ZeroDivisionError):
                async with caller.transaction():
                    ids.append((await charge.send_async(Order(id=2))).id)
                    is_last or ids.append(outside.run(charge.send, Order(id=2)).id)
                    is_last or 1 / 0

    in_first, beside, in_second = ids
    assert in_first == in_second
    assert till.jobs == {"parent", beside, in_second}
    assert len(till.jobs) == 3


@on_a_loop
async def test_a_process_that_lost_its_job_can_send_nothing_in_a_block(till: Till) -> None:
    charge = charge_of()
    parent = await charge.send_async(Order(id=1), id="parent")
    row = till.store.claim(parent.key, lease=0, instance="first")
    assert row is not None
    children.of_job(row)
    async with till.caller() as caller:
        async with caller.transaction():
            child = await charge.send_async(Order(id=2))
        assert till.store.claim(parent.key, lease=60, instance="second")

        with pytest.raises(JobLostError):
            await order_and_send(caller, charge, 3)

    assert (till.jobs, till.orders) == ({"parent", child.id}, [])


@on_a_loop
async def test_a_block_begins_its_own_transaction_and_leaves_none_behind(
    till: Till,
) -> None:
    async with till.caller() as caller:
        if not getattr(caller.connection, "autocommit", False):
            await caller.execute(
                "BEGIN" if type(caller.connection) is sqlite3.Connection else "SELECT 1"
            )
            with pytest.raises(RuntimeError, match="is in a transaction already"):
                async with caller.transaction():
                    pass
            await callers.value_of(caller.connection.rollback())

        async with caller.transaction():
            await caller.order(1)
            with pytest.raises(RuntimeError, match="is in another one"):
                async with caller.transaction():
                    pass
        async with caller.transaction():
            await caller.order(2)

    assert till.orders == [1, 2]


@on_a_loop
async def test_a_block_that_commits_by_itself_is_refused_at_its_end(till: Till) -> None:
    charge = charge_of()

    async def commit_inside(caller: Caller) -> None:
        async with caller.transaction():
            await caller.order(1)
            await callers.value_of(caller.connection.commit())
            await charge.send_async(Order(id=2))

    async with till.caller() as caller:
        with pytest.raises((RuntimeError, psycopg.ProgrammingError), match=r"itself|forbidden"):
            await commit_inside(caller)

    assert (till.jobs, till.wakes) == (set(), [])


@on_a_loop
async def test_what_outlives_the_block_can_not_send(till: Till) -> None:
    charge, go = charge_of(), asyncio.Event()

    async def late() -> None:
        await go.wait()
        await charge.send_async(Order(id=2))

    async with till.caller() as caller:
        async with caller.transaction():
            await caller.order(1)
            task = asyncio.create_task(late())
            await asyncio.sleep(0)
        go.set()
        with pytest.raises(RuntimeError, match="has ended"):
            await task

    assert till.jobs == set()


OF_POSTGRESQL = [kind for kind, (store, _) in callers.KINDS.items() if store == "postgresql"]
ASYNC = [kind for kind in OF_POSTGRESQL if kind.startswith("async")]


@pytest.mark.parametrize("kind", OF_POSTGRESQL)
@on_a_loop
async def test_a_block_that_hides_a_failed_statement_is_refused(till: Till) -> None:
    """PostgreSQL would answer the commit with a rollback, and without an error."""
    charge = charge_of()

    async def hide(caller: Caller) -> None:
        async with caller.transaction():
            await charge.send_async(Order(id=1))
            with suppress(Exception):
                await caller.execute("SELECT 1 / 0")

    async with till.caller() as caller:
        with pytest.raises(RuntimeError, match="statement of the block has failed"):
            await hide(caller)
        await order_and_send(caller, charge, 2)

    assert (till.jobs, till.wakes) == ({"2"}, ["2"])


@pytest.mark.parametrize("kind", OF_POSTGRESQL)
@on_a_loop
async def test_a_commit_that_fails_sends_nothing(till: Till) -> None:
    till.on_another_connection(
        "ALTER TABLE orders ADD CONSTRAINT once UNIQUE (id) DEFERRABLE INITIALLY DEFERRED"
    )
    till.on_another_connection("ALTER TABLE orders DROP CONSTRAINT orders_pkey")
    charge = charge_of()

    async def order_twice(caller: Caller) -> None:
        async with caller.transaction():
            await charge.send_async(Order(id=1))
            await caller.order(1)
            await caller.order(1)

    async with till.caller() as caller:
        with pytest.raises(Exception, match="once"):
            await order_twice(caller)
        await order_and_send(caller, charge, 2)

    assert (till.jobs, till.wakes, till.orders) == ({"2"}, ["2"], [2])


@pytest.mark.parametrize("kind", ASYNC)
@on_a_loop
async def test_a_cancelled_send_is_not_sent_after_the_rollback(till: Till) -> None:
    """Its thread goes on, and meets a closed gate, or an open transaction that is rolled back."""
    charge = charge_of()

    async def give_up(caller: Caller) -> None:
        async with caller.transaction():
            task = asyncio.create_task(charge.send_async(Order(id=1)))
            await asyncio.sleep(0)
            task.cancel()
            raise ZeroDivisionError

    async with till.caller() as caller:
        for _ in range(20):
            with pytest.raises(ZeroDivisionError):
                await give_up(caller)
        await asyncio.get_running_loop().shutdown_default_executor()

    assert (till.jobs, till.wakes) == (set(), [])


@pytest.mark.parametrize("kind", ASYNC)
@on_a_loop
async def test_a_block_that_is_cancelled_while_it_waits_for_a_statement_is_rolled_back(
    till: Till,
) -> None:
    charge, sending = charge_of(), []
    waits = "SELECT 1 FROM pg_locks WHERE NOT granted"

    async def leave(caller: Caller) -> None:
        async with caller.transaction():
            await caller.order(1)
            sending.append(asyncio.create_task(charge.send_async(Order(id=1), id="1")))
            while not till.on_another_connection(waits):
                await asyncio.sleep(0.01)
            asyncio.get_running_loop().call_soon(task.cancel)

    async with till.caller() as caller:
        with till.database() as other:
            other.execute("LOCK TABLE ucam_faas_jobs IN SHARE ROW EXCLUSIVE MODE")
            task = asyncio.create_task(leave(caller))
            while not task.cancelling():
                await asyncio.sleep(0.01)
            other.rollback()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.gather(*sending, return_exceptions=True)
        await order_and_send(caller, charge, 2)

    assert (till.jobs, till.orders) == ({"2"}, [2])


@pytest.mark.parametrize("kind", ASYNC)
@on_a_loop
async def test_an_async_block_refuses_calls_that_block_its_loop(till: Till) -> None:
    charge = charge_of()
    async with till.caller() as caller:
        with pytest.raises(TypeError, match="async with"), ucam_faas.transaction(caller.connection):
            pass
        async with caller.transaction():
            with pytest.raises(RuntimeError, match="send_async"):
                charge.send(Order(id=1))

    assert till.jobs == set()


@pytest.mark.parametrize("kind", ["sqlite3", "psycopg"])
def test_threads_have_transactions_of_their_own(till: Till) -> None:
    charge = charge_of()
    runtime_here = runtime.current()

    def work(number: int) -> None:
        runtime.CURRENT.set(runtime_here)
        asyncio.run(send(number))

    async def send(number: int) -> None:
        async with till.caller() as caller:
            for id in range(10 * number, 10 * number + 10):
                with suppress(ZeroDivisionError):
                    async with caller.transaction():
                        await caller.order(id)
                        charge.send(Order(id=id), id=str(id))
                        if id % 2:
                            raise ZeroDivisionError

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    even = [id for id in range(40) if id % 2 == 0]
    assert (till.orders, till.jobs) == (even, {str(id) for id in even})
    assert sorted(map(int, till.wakes)) == even


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    blocks=st.lists(
        st.tuples(
            st.lists(st.tuples(st.integers(1, 4), st.sampled_from("abc")), max_size=4),
            st.booleans(),
        ),
        max_size=6,
    )
)
@pytest.mark.parametrize("kind", ["sqlite3", "psycopg"])
def test_the_jobs_are_those_of_the_committed_blocks(till: Till, blocks: Any) -> None:
    """Against a model: ids and payloads, conflicts that the block survives, and rollbacks."""
    charge = charge_of()
    till.store.migrate()
    till.on_another_connection("DELETE FROM ucam_faas_jobs")
    till.publisher.topics[callers.INBOX].clear()
    committed: dict[str, int] = {}
    with till.database() as connection:
        for sends, is_committed in blocks:
            within = dict(committed)
            with suppress(ZeroDivisionError), ucam_faas.transaction(connection):
                for number, id in sends:
                    is_other = within.setdefault(id, number) != number
                    refusal = pytest.raises(JobConflictError) if is_other else nullcontext()
                    with refusal:
                        charge.send(Order(id=number), id=id)
                if not is_committed:
                    raise ZeroDivisionError
                committed = within

    rows = till.store.find("default")
    assert {row.key.id: json.loads(row.payload)["id"] for row in rows} == committed
    assert sorted(till.wakes) == sorted(committed)


@pytest.mark.parametrize("kind", ["psycopg", "psycopg with autocommit"])
def test_a_block_may_be_in_a_pipeline(till: Till) -> None:
    charge = charge_of()
    with psycopg.connect(till.url) as connection, connection.pipeline():
        with ucam_faas.transaction(connection):
            connection.execute("INSERT INTO orders VALUES (1)")
            charge.send(Order(id=1), id="1")
        with suppress(psycopg.Rollback), ucam_faas.transaction(connection):
            connection.execute("INSERT INTO orders VALUES (2)")
            charge.send(Order(id=2), id="2")
            raise psycopg.Rollback

    assert (till.orders, till.jobs, till.wakes) == ([1], {"1"}, ["1"])


@pytest.mark.parametrize("kind", ["sqlite3"])
class TestSqlite:
    def test_the_connections_own_rows_stay_as_they_are(self, till: Till) -> None:
        charge = charge_of()
        connection = sqlite3.connect(till.store.path)  # type: ignore[attr-defined]
        connection.row_factory = factory = lambda cursor, row: list(row)
        with ucam_faas.transaction(connection):
            job = charge.send(Order(id=1))
            again = charge.send(Order(id=1), id=job.id)
            record = connection.execute("SELECT id FROM ucam_faas_jobs").fetchone()

        assert (again, record, connection.row_factory) == (job, [job.id], factory)
        connection.close()

    def test_the_block_has_the_lock_for_writing_from_its_beginning(self, till: Till) -> None:
        """SQLite refuses it at once to a transaction that has read before another has written."""
        connection = sqlite3.connect(till.store.path)  # type: ignore[attr-defined]
        other = sqlite3.connect(till.store.path, timeout=0)  # type: ignore[attr-defined]
        with ucam_faas.transaction(connection):
            connection.execute("SELECT * FROM orders").fetchall()
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                other.execute("INSERT INTO orders VALUES (1)")
            connection.execute("INSERT INTO orders VALUES (2)")

        assert till.orders == [2]
        connection.close()
        other.close()

    def test_a_connection_that_is_always_in_a_transaction_is_refused(self, till: Till) -> None:
        class WithoutAutocommit(sqlite3.Connection):
            autocommit = False  # from Python 3.12 on

        connection = WithoutAutocommit(till.store.path)  # type: ignore[attr-defined]

        with pytest.raises(RuntimeError, match="autocommit=True"):
            ucam_faas.transaction(connection).__enter__()

        connection.close()

    def test_a_batch_that_fails_midway_leaves_none_of_its_jobs(self, till: Till) -> None:
        charge = charge_of()
        connection = sqlite3.connect(till.store.path)  # type: ignore[attr-defined]
        with ucam_faas.transaction(connection):
            connection.execute(
                "CREATE TEMP TRIGGER broken BEFORE INSERT ON main.ucam_faas_jobs WHEN new.id = '3' "
                "BEGIN SELECT raise(ABORT, 'broken'); END"
            )
            with pytest.raises(ucam_faas.JobError):
                charge.send_many([Order(id=id) for id in range(5)], id=lambda order: str(order.id))
            charge.send(Order(id=7), id="7")

        assert (till.jobs, till.wakes) == ({"7"}, ["7"])
        connection.close()

    def test_a_file_is_the_stores_by_any_path_and_may_be_new(
        self, till: Till, tmp_path: Path
    ) -> None:
        charge = charge_of()
        (tmp_path / "link.db").symlink_to(tmp_path / "new.db")
        store = SqliteStore(str(tmp_path / "link.db"), ManualClock())
        runtime.CURRENT.set(Runtime(Settings(), ManualClock(), till.publisher, store=store))
        connection = sqlite3.connect(tmp_path / "new.db")

        with ucam_faas.transaction(connection):
            job = charge.send(Order(id=1))

        assert job.status is State.PENDING
        connection.close()
        store.close()


class TestAnotherDatabase:
    """Refused, with the names of both."""

    @pytest.fixture
    def refused(self) -> Callable[[Any, JobStore], str]:
        def refused(connection: Any, store: JobStore) -> str:
            publisher = MemoryPublisher({callers.INBOX: []})
            runtime.CURRENT.set(Runtime(Settings(), ManualClock(), publisher, store=store))
            with pytest.raises(ConfigurationError) as caught:
                ucam_faas.transaction(connection).__enter__()
            connection.close()
            store.close()
            return str(caught.value)

        return refused

    def test_another_file(self, tmp_path: Path, refused: Any) -> None:
        store = SqliteStore(str(tmp_path / "jobs.db"), ManualClock())

        text = refused(sqlite3.connect(tmp_path / "shop.db"), store)

        assert f"{tmp_path}/shop.db" in text
        assert f"{tmp_path}/jobs.db" in text

    def test_memory(self, refused: Any) -> None:
        text = refused(sqlite3.connect(":memory:"), SqliteStore(":memory:", ManualClock()))

        assert "SQLite in memory" in text
        assert "this process's memory" in text

    def test_sqlite_and_postgresql(self, tmp_path: Path, database: str, refused: Any) -> None:
        file = SqliteStore(str(tmp_path / "jobs.db"), ManualClock())

        of_psycopg = refused(psycopg.connect(database), file)
        of_sqlite = refused(sqlite3.connect(tmp_path / "shop.db"), PostgresqlStore(database))

        name = database.rpartition("/")[2]
        assert f"the PostgreSQL database {name} at 127.0.0.1:" in of_psycopg
        assert f"the PostgreSQL database {name} at 127.0.0.1:" in of_sqlite
        assert "shop.db" in of_sqlite

    def test_another_postgresql_database(
        self, database: str, new_database: Callable[[], str], refused: Any
    ) -> None:
        other = new_database()

        text = refused(psycopg.connect(other), PostgresqlStore(database))

        assert f"database {other.rpartition('/')[2]} at" in text
        assert f"database {database.rpartition('/')[2]} at" in text

    @pytest.mark.parametrize("has_jobs", [True, False])
    def test_another_schema(
        self, new_database: Callable[[], str], has_jobs: bool, refused: Any
    ) -> None:
        url = new_database()
        connection = psycopg.connect(url, autocommit=True)
        connection.execute("CREATE SCHEMA shop")
        if has_jobs:
            connection.execute("CREATE TABLE shop.ucam_faas_jobs AS TABLE public.ucam_faas_jobs")
        connection.execute("SET search_path TO shop")

        assert "schema shop" in refused(connection, PostgresqlStore(url))


def test_a_connection_of_another_kind_is_refused(tmp_path: Path, sqlite_url: str) -> None:
    Till(sqlite_url, "sqlite3")

    with pytest.raises(TypeError, match=r"expected a connection of sqlite3 or psycopg 3"):
        ucam_faas.transaction(object())


def test_a_block_needs_a_store() -> None:
    runtime.CURRENT.set(Runtime(Settings(), ManualClock(), MemoryPublisher()))

    with pytest.raises(NoJobStoreError, match="sent in a transaction"):
        ucam_faas.transaction(sqlite3.connect(":memory:"))


@pytest.mark.parametrize(
    "url_of", ["sqlite_url", pytest.param("postgresql_url", marks=pytest.mark.slow)]
)
def test_an_engine_that_commits_each_statement_is_refused(
    url_of: str, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue(url_of)
    Till(url, "sqlite3")
    engine = callers.sqlalchemy().create_engine(
        callers.engine_url(url), isolation_level="AUTOCOMMIT"
    )

    with engine.connect() as connection:
        if url_of == "sqlite_url":  # the driver's connection begins, and SQLAlchemy commits it
            with ucam_faas.transaction(connection):
                pass
        else:
            with pytest.raises(RuntimeError, match="AUTOCOMMIT"):
                ucam_faas.transaction(connection).__enter__()
    engine.dispose()


class Watched:
    """A lock that does something each time that it is free again."""

    def __init__(self, action: Callable[[], object]) -> None:
        self.action = action

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self.action()


def test_no_statement_of_another_thread_slips_in_before_the_commit() -> None:
    """It would be sent after the commit, in a transaction of its own."""
    gate, let_through = Gate(is_async=False), []
    gate._lock = Watched(lambda: let_through.append(gate._is_open))  # type: ignore[assignment]

    drive(gate.close())

    assert let_through == [False]
