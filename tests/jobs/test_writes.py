"""How often the store writes for a job, counted by the database itself."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydantic import BaseModel

import ucam_faas
from tests.jobs.runs import add, wake
from tests.serving.harness import exchange, make_app, on_a_loop
from ucam_faas.jobs.stores import JobStore
from ucam_faas.testing import make_message, make_push

COUNT_IN_SQLITE = """
CREATE TABLE writes (kind);
CREATE TRIGGER inserts AFTER INSERT ON ucam_faas_jobs BEGIN INSERT INTO writes VALUES (1); END;
CREATE TRIGGER updates AFTER UPDATE ON ucam_faas_jobs BEGIN INSERT INTO writes VALUES (1); END;
"""
COUNT_IN_POSTGRESQL = """
CREATE TABLE writes (kind int);
CREATE FUNCTION count_write() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN INSERT INTO writes VALUES (1); RETURN NULL; END';
CREATE TRIGGER writes AFTER INSERT OR UPDATE ON ucam_faas_jobs
  FOR EACH ROW EXECUTE FUNCTION count_write();
"""


pytestmark = pytest.mark.parametrize("job_store", ["sqlite", "postgresql"], indirect=True)


class Order(BaseModel):
    """A payload."""

    id: int


@pytest.fixture
def store(opened_store: JobStore) -> JobStore:
    return opened_store


@pytest.fixture
def writes(store: JobStore, job_store: str) -> Iterator[Callable[[], int]]:
    """Return the number of rows written so far."""
    if job_store.startswith("sqlite:"):
        connection: Any = sqlite3.connect(job_store.removeprefix("sqlite:"))
        connection.executescript(COUNT_IN_SQLITE)
    else:
        psycopg = pytest.importorskip("psycopg")
        connection = psycopg.connect(job_store, autocommit=True)
        connection.execute(COUNT_IN_POSTGRESQL)
    yield lambda: int(connection.execute("SELECT count(*) FROM writes").fetchone()[0])
    connection.close()


@on_a_loop
async def test_a_job_that_is_sent_is_written_three_times(
    store: Any, writes: Callable[[], int]
) -> None:
    """It is inserted, claimed and ended."""

    @ucam_faas.message_handler
    def charge(order: Order) -> int:
        return order.id

    app = make_app(charge, store=store)
    key = add(store, "charge", payload=b'{"id": 7}')

    await wake(app, "charge")

    assert store.get(key).result == b"7"
    assert writes() == 3


@on_a_loop
async def test_a_message_that_becomes_a_job_is_written_three_times_and_its_duplicate_never(
    store: Any, writes: Callable[[], int]
) -> None:
    @ucam_faas.message_handler(idempotent=True)
    def charge(order: Order) -> int:
        return order.id

    app = make_app(charge, store=store)
    push = make_push(make_message(Order(id=7), message_id="1"))

    first = await exchange(app, "/charge", [push.body], headers=push.headers)
    after_first = writes()
    await exchange(app, "/charge", [push.body], headers=push.headers)

    assert first.status == 200
    assert (after_first, writes()) == (3, 3)
