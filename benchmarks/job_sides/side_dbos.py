"""DBOS: a workflow on a queue, polled as often as it allows; results are stored."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading

import common

common.with_same_fsync()

from dbos import DBOS, DBOSClient  # noqa: E402  # it connects as sqlite3 was when it was imported

URL = os.environ.get("JOBS_POSTGRESQL") or f"sqlite:///{common.FOLDER}/dbos.sqlite"
OPTIONS = {"workflow_name": "act", "queue_name": "q"}


def launch() -> None:
    DBOS(
        config={
            "name": "bench",
            "system_database_url": URL,
            "max_executor_threads": 20,
            "log_level": "WARNING",
        }
    )

    @DBOS.workflow(name="act")
    def act(number: int) -> dict:
        return common.act(number)

    DBOS.launch()
    DBOS.register_queue("q", worker_concurrency=20, polling_interval_sec=0.01)


def worker() -> None:
    launch()
    threading.Event().wait()


def prepare() -> None:
    launch()
    DBOS.destroy()
    os._exit(0)


@contextlib.asynccontextmanager
async def sender():
    client = DBOSClient(system_database_url=URL)

    def send(number: int) -> None:
        client.enqueue(dict(OPTIONS), number)

    def send_many(numbers) -> None:  # there is no bulk call: one transaction
        with client._sys_db.engine.begin() as transaction:
            for number in numbers:
                client.enqueue_in_transaction(transaction, dict(OPTIONS), number)

    yield send, send_many
    client.destroy()


def done() -> int:
    if "JOBS_POSTGRESQL" in os.environ:
        import psycopg

        query = "SELECT count(*) FROM dbos.workflow_status WHERE status = 'SUCCESS'"
        with psycopg.connect(URL) as connection:
            return connection.execute(query).fetchone()[0]
    connection = sqlite3.connect(f"{common.FOLDER}/dbos.sqlite", timeout=30)
    query = "SELECT count(*) FROM workflow_status WHERE status = 'SUCCESS'"
    count = connection.execute(query).fetchone()[0]
    connection.close()
    return count


if __name__ == "__main__":
    common.main(sender, worker, done, prepare)
