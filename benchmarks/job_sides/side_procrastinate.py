"""procrastinate: stores the state of a job, and no result."""

from __future__ import annotations

import contextlib
import os

import common
import procrastinate
import psycopg

URL = os.environ["JOBS_POSTGRESQL"]
app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=URL))


@app.task(name="act")
async def act(number):
    return common.act(number)


def prepare() -> None:
    with psycopg.connect(URL, autocommit=True) as connection:
        connection.execute(procrastinate.schema.SchemaManager.get_schema())


@contextlib.asynccontextmanager
async def sender():
    async with app.open_async():

        async def send(number):
            await act.defer_async(number=number)

        async def send_many(numbers):
            await act.batch_defer_async(*({"number": number} for number in numbers))

        yield send, send_many


def done() -> int:
    query = "SELECT count(*) FROM procrastinate_jobs WHERE status = 'succeeded'"
    with psycopg.connect(URL) as connection:
        return connection.execute(query).fetchone()[0]


if __name__ == "__main__":
    common.main(sender, lambda: app.run_worker(concurrency=20), done, prepare)
