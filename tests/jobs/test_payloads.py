"""Large payloads and results by reference, in a directory or a bucket, removed with the job."""

from __future__ import annotations

import itertools
import json
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

import ucam_faas
from tests.contract.job_store_contract import JobStoreContract
from tests.contract.payload_store_contract import PayloadStoreContract
from tests.jobs.runs import wake
from tests.serving.harness import exchange, make_app, on_a_loop
from tests.support.cloud_storage import cloud_storage
from tests.support.payloads import names_in
from ucam_faas import State
from ucam_faas.actions import job_documents
from ucam_faas.config import Settings
from ucam_faas.exceptions import (
    ConfigurationError,
    JobConflictError,
    JobFailed,
    JobLostError,
    JobStoreError,
    PayloadMissingError,
)
from ucam_faas.execution import runtime
from ucam_faas.execution.runtime import Runtime
from ucam_faas.jobs.handle import Job
from ucam_faas.jobs.payloads import PayloadStore, connect
from ucam_faas.jobs.payloads.directory import Directory
from ucam_faas.jobs.rows import Change, Key, Row
from ucam_faas.jobs.stores.by_reference import ByReference
from ucam_faas.jobs.stores.sqlite import SqliteStore
from ucam_faas.jobs.sweep import RETENTION_SECONDS, sweep
from ucam_faas.publishing.memory import MemoryPublisher
from ucam_faas.serving.app import App
from ucam_faas.testing import ManualClock, make_message, make_push

KEY = Key("default", "task", "1")
LARGE = b'"' + b"large" * 1000 + b'"'
ABOVE = 1000
_buckets = itertools.count(1)


@pytest.fixture(scope="session", name="cloud_storage")
def _cloud_storage() -> Iterator[str]:
    with cloud_storage() as address:
        yield address


@pytest.fixture
def bucket(cloud_storage: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of an empty bucket, as UCAM_FAAS_PAYLOADS has it."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import storage

    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://{cloud_storage}")
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "test-project")
    name = f"payloads-{next(_buckets)}"
    client = storage.Client(project="test-project", credentials=AnonymousCredentials())
    client.create_bucket(name)
    client.close()
    return f"gs://{name}"


class TestDirectory(PayloadStoreContract):
    @pytest.fixture
    def payloads(self, tmp_path: Path) -> PayloadStore:
        return connect(f"file:{tmp_path}/made/for/it")


class TestBucket(PayloadStoreContract):
    @pytest.fixture
    def payloads(self, bucket: str) -> PayloadStore:
        return connect(bucket)


class TestStoreOfReferences(JobStoreContract):
    """A store with small payloads is as before."""

    @pytest.fixture
    def store(self, clock: ManualClock, tmp_path: Path) -> Iterator[Any]:
        store = SqliteStore(":memory:", clock)
        yield ByReference(store, Directory(str(tmp_path)), ABOVE)
        store.close()


@pytest.fixture(params=["directory", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return an empty payload store, as UCAM_FAAS_PAYLOADS has it."""
    if request.param == "bucket":
        return str(request.getfixturevalue("bucket"))
    return f"file:{tmp_path}/payloads"


@pytest.fixture
def payloads(place: str) -> PayloadStore:
    return connect(place)


@pytest.fixture
def rows(clock: ManualClock) -> Iterator[SqliteStore]:
    store = SqliteStore(":memory:", clock)
    yield store
    store.close()


@pytest.fixture
def store(rows: SqliteStore, payloads: PayloadStore) -> Any:
    return ByReference(rows, payloads, ABOVE)


def insert(store: Any, payload: bytes = LARGE, owner: str = "me", **values: Any) -> Row:
    (kept,) = store.insert(
        [Row(key=KEY, payload=payload, owner=owner, visit=60.0, **values)], wait=[0.0]
    )
    assert isinstance(kept, Row)
    return kept


@pytest.fixture
def app(store: Any, clock: ManualClock) -> App:
    """A task that returns its payload three times."""

    @ucam_faas.message_handler(message_type=None, name="task")
    def task(data: bytes) -> str:
        return data.decode() * 3

    return make_app(task, clock=clock, store=store, publisher=MemoryPublisher())


@on_a_loop
async def test_a_large_payload_reaches_its_task_and_a_large_result_its_sender(
    app: App, store: Any, rows: SqliteStore, payloads: PayloadStore
) -> None:
    insert(store)

    await wake(app)

    assert Job(KEY, store).result() == LARGE.decode() * 3
    row = rows.get(KEY)
    assert row is not None
    assert (len(row.payload) < 300, len(row.result or b"") < 300) == (True, True)
    assert len(names_in(payloads)) == 2


@on_a_loop
async def test_a_small_payload_and_its_result_are_in_the_row(
    app: App, store: Any, rows: SqliteStore, payloads: PayloadStore
) -> None:
    insert(store, b"small")

    await wake(app)

    row = rows.get(KEY)
    assert row is not None
    assert (row.payload, row.result) == (b"small", b'"smallsmallsmall"')
    assert names_in(payloads) == []


@on_a_loop
async def test_objects_are_removed_with_their_job(
    app: App, store: Any, payloads: PayloadStore
) -> None:
    insert(store)
    await wake(app)

    assert Job(KEY, store).delete()

    assert names_in(payloads) == []


@on_a_loop
async def test_the_sweep_removes_objects_with_their_job(
    app: App, store: Any, payloads: PayloadStore, clock: ManualClock
) -> None:
    insert(store)
    await wake(app)
    clock.advance(RETENTION_SECONDS)

    sweep(store, "default", bool)

    assert (store.get(KEY), names_in(payloads)) == (None, [])


def test_a_job_that_is_not_deleted_keeps_its_objects(store: Any, payloads: PayloadStore) -> None:
    insert(store)

    assert not store.delete(KEY, states={State.SUCCESS})

    assert len(names_in(payloads)) == 1


@on_a_loop
@pytest.mark.parametrize("loss", ["missing", "another"])
async def test_a_job_without_its_payload_ends_at_once_and_says_why(
    app: App, store: Any, payloads: PayloadStore, loss: str
) -> None:
    insert(store)
    (name,) = names_in(payloads)
    if loss == "missing":
        payloads.remove([name])
    else:
        payloads.put(name, b"another")

    answer = await wake(app)

    reason = "isn't in the payload store" if loss == "missing" else "has changed"
    assert answer.status == 200
    with pytest.raises(
        JobFailed, match=f"PayloadMissingError: The payload of .* {reason}: .*{name}"
    ):
        Job(KEY, store).result()
    assert [entry.cause for entry in Job(KEY, store).history] == ["sent", "claimed", "failed"]


@on_a_loop
async def test_a_result_that_is_missing_is_an_error_for_those_who_ask(
    app: App, store: Any, payloads: PayloadStore
) -> None:
    insert(store)
    await wake(app)
    payloads.remove(names_in(payloads))

    with pytest.raises(PayloadMissingError, match="The result of the job '1' of 'task'"):
        Job(KEY, store).result()


def test_the_same_job_again_leaves_one_object(
    store: Any, payloads: PayloadStore, rows: SqliteStore
) -> None:
    first = insert(store)

    second = insert(store, owner="other")

    assert second == first
    assert len(names_in(payloads)) == 1
    assert store.payload_of(second) == LARGE


def test_a_job_that_lost_its_sender_leaves_no_object(store: Any, payloads: PayloadStore) -> None:
    parent = Row(key=KEY._replace(id="parent"), payload=b"", fence=1)

    with pytest.raises(JobLostError):
        store.insert([Row(key=KEY, payload=LARGE, owner="me")], wait=[0.0], parent=parent)

    assert names_in(payloads) == []


def test_a_result_of_a_lost_claim_leaves_no_object_and_that_of_the_holder_stays(
    store: Any, payloads: PayloadStore, clock: ManualClock
) -> None:
    insert(store, b"small")
    first = store.claim(KEY, lease=1, instance="first")
    clock.advance(2)
    second = store.claim(KEY, lease=30, instance="second")
    done = Change(state=State.SUCCESS, cause="finished", visit=60, result=LARGE)

    kept = store.change(KEY, done, fence=second.fence)
    late = store.change(KEY, done, fence=first.fence)
    again = store.change(KEY, done, fence=second.fence)  # its answer was lost

    assert (late, again) == (None, None)
    assert len(names_in(payloads)) == 1
    assert store.result_of(kept) == LARGE


def test_a_second_result_of_a_run_leaves_the_first_one_that_is_stored(
    store: Any, payloads: PayloadStore
) -> None:
    insert(store, b"small")
    fence = store.claim(KEY, lease=30, instance="me").fence
    done = Change(state=State.SUCCESS, cause="finished", visit=60, result=LARGE)

    kept = store.change(KEY, done, fence=fence)  # by complete(…), whose answer is lost
    other = store.change(KEY, replace(done, result=LARGE[::-1] + b" "), fence=fence)

    assert other is None
    assert len(names_in(payloads)) == 1
    assert store.result_of(kept) == LARGE


class Order(BaseModel):
    """A payload."""

    text: str


@pytest.fixture
def shop(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A task that others send to, with the settings of an environment."""

    @ucam_faas.message_handler(name="task")
    def task(order: Order) -> int:
        return len(order.text)

    settings = Settings(job_store=f"sqlite:{tmp_path}/jobs.db", payloads=place, payloads_over=ABOVE)
    publisher = MemoryPublisher({"task-inbox": []})
    here = runtime.Runtime(settings, ManualClock(), publisher)
    token = runtime.CURRENT.set(here)
    yield task
    runtime.CURRENT.reset(token)
    store = here.jobs()
    assert store is not None
    store.close()


def test_an_id_whose_large_payload_differs_is_a_conflict(shop: Any, payloads: PayloadStore) -> None:
    first = shop.send(Order(text="a" * 5000), id="1")

    assert shop.send(Order(text="a" * 5000), id="1") == first
    with pytest.raises(JobConflictError, match="another payload"):
        shop.send(Order(text="b" * 5000), id="1")
    with pytest.raises(JobConflictError, match="another payload"):
        shop.send(Order(text="b"), id="1")

    assert len(names_in(payloads)) == 1


def test_many_large_payloads_are_sent_in_one_batch(shop: Any, payloads: PayloadStore) -> None:
    orders = [Order(text=str(number) * (number * 200)) for number in range(1, 20)]

    jobs = shop.send_many(orders)

    store = runtime.current().jobs()
    assert store is not None
    stored = [json.loads(store.payload_of(row)) for job in jobs if (row := store.get(job.key))]
    assert stored == [order.model_dump() for order in orders]
    assert len(names_in(payloads)) == len([o for o in orders if len(o.model_dump_json()) > ABOVE])


@on_a_loop
async def test_a_large_message_that_becomes_a_job_runs_once(
    store: Any, clock: ManualClock, payloads: PayloadStore
) -> None:
    sizes: list[int] = []

    @ucam_faas.message_handler(idempotent=True, name="task")
    def task(order: Order) -> str:
        sizes.append(len(order.text))
        return order.text

    app = make_app(task, clock=clock, store=store, publisher=MemoryPublisher())
    push = make_push(make_message(Order(text="a" * 5000), message_id="1"))

    statuses = [
        (await exchange(app, "/task", [push.body], headers=push.headers)).status for _ in range(2)
    ]

    assert (statuses, sizes) == ([200, 200], [5000])
    assert len(names_in(payloads)) == 2


class Down(Directory):
    """A payload store that doesn't answer."""

    def get(self, name: str) -> bytes | None:
        raise JobStoreError("down")

    def put(self, name: str, data: bytes) -> None:
        raise JobStoreError("down")

    def remove(self, names: Any) -> None:
        raise JobStoreError("down")


@on_a_loop
async def test_a_payload_store_that_is_down_costs_no_attempt(
    rows: SqliteStore, tmp_path: Path, clock: ManualClock
) -> None:
    insert(ByReference(rows, Directory(str(tmp_path)), ABOVE))
    down: Any = ByReference(rows, Down(str(tmp_path)), ABOVE)

    @ucam_faas.message_handler(message_type=None, name="task")
    def task(data: bytes) -> None: ...

    app = make_app(task, clock=clock, store=down, publisher=MemoryPublisher())
    answer = await wake(app)

    row = rows.get(KEY)
    assert row is not None
    assert (answer.status, row.state, row.attempts) == (503, State.PENDING, 0)
    assert row.history[-1].message == "the payload store doesn't answer"


@on_a_loop
async def test_a_process_without_the_payload_store_leaves_the_job_to_those_that_have_it(
    app: App, store: Any, rows: SqliteStore, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    insert(store)
    bare = App(app.tasks, Runtime(Settings(), clock, MemoryPublisher(), store=rows))

    response = await wake(bare, "task", "1")
    row = rows.get(KEY)
    await wake(app, "task", "1")

    assert response.status == 503
    assert "UCAM_FAAS_PAYLOADS isn't set here" in caplog.text
    assert row is not None
    assert (row.state, row.attempts) == (State.PENDING, 0)
    ended = rows.get(KEY)
    assert ended is not None
    assert ended.state is State.SUCCESS
    with pytest.raises(JobStoreError, match="UCAM_FAAS_PAYLOADS isn't set here"):
        Job(KEY, rows).result()


def test_nothing_is_sent_whose_payload_cant_be_stored(rows: SqliteStore, tmp_path: Path) -> None:
    down: Any = ByReference(rows, Down(str(tmp_path)), ABOVE)

    with pytest.raises(JobStoreError):
        insert(down)

    assert rows.get(KEY) is None


def test_a_job_is_removed_though_its_objects_cant_be(
    rows: SqliteStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    insert(ByReference(rows, Directory(str(tmp_path)), ABOVE))
    down = ByReference(rows, Down(str(tmp_path)), ABOVE)

    with caplog.at_level(logging.ERROR, logger="ucam_faas"):
        assert down.delete(KEY, states=frozenset(State))

    assert [record.message for record in caplog.records] == ["ucam_faas_payload_not_removed"]


def test_a_bucket_that_is_missing_is_named(bucket: str) -> None:
    with pytest.raises(JobStoreError, match=r"gs://no-such-bucket .*roles/storage\.objectUser"):
        connect("gs://no-such-bucket").put("a", b"data")


@pytest.mark.parametrize("place", ["", "gs://", "gs://bucket/folder", "/tmp", "s3://b", "file:"])
def test_another_payload_store_is_refused(place: str) -> None:
    with pytest.raises(ConfigurationError, match="expected gs://BUCKET, or file:DIRECTORY"):
        connect(place)


def test_the_command_line_shows_references(store: Any) -> None:
    row = insert(store)

    shown = job_documents.as_json(row, data=True, traceback=False)

    assert shown["payload_bytes"] == len(LARGE)
    assert shown["payload"].startswith(f"{len(LARGE)} bytes in the payload store, as ")


def test_a_large_payload_is_sent_in_a_transaction(shop: Any, tmp_path: Path) -> None:
    store = runtime.current().jobs()
    assert store is not None
    store.migrate()
    connection = sqlite3.connect(tmp_path / "jobs.db", isolation_level=None)

    with ucam_faas.transaction(connection):
        job = shop.send(Order(text="a" * 5000), id="1")
        inside = store.get(job.key)
    connection.close()

    row = store.get(job.key)
    assert inside is None
    assert row is not None
    assert len(row.payload) < 300
    assert json.loads(store.payload_of(row)) == {"text": "a" * 5000}


@pytest.mark.parametrize("is_rolled_back", [True, False])
def test_a_job_that_is_deleted_in_a_transaction_keeps_its_objects_until_the_commit(
    shop: Any, payloads: PayloadStore, tmp_path: Path, is_rolled_back: bool
) -> None:
    job = shop.send(Order(text="a" * 5000), id="1")
    connection = sqlite3.connect(tmp_path / "jobs.db", isolation_level=None)

    with suppress(ZeroDivisionError), ucam_faas.transaction(connection):
        assert job.delete()
        inside = len(names_in(payloads))
        if is_rolled_back:
            raise ZeroDivisionError
    connection.close()

    assert inside == 1
    assert len(names_in(payloads)) == is_rolled_back
