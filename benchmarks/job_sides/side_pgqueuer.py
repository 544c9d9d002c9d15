"""pgqueuer: a finished job moves to a log, without a result."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os

import asyncpg
import common
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.queries import Queries

URL = os.environ["JOBS_POSTGRESQL"]


def prepare() -> None:
    async def install():
        connection = await asyncpg.connect(URL)
        await Queries(AsyncpgDriver(connection)).install()
        await connection.close()

    asyncio.run(install())


@contextlib.asynccontextmanager
async def sender():
    connection = await asyncpg.connect(URL)
    queries = Queries(AsyncpgDriver(connection))

    async def send(number):
        await queries.enqueue("act", json.dumps(number).encode())

    async def send_many(numbers):
        bodies = [json.dumps(number).encode() for number in numbers]
        await queries.enqueue(["act"] * len(bodies), bodies, [0] * len(bodies))

    yield send, send_many
    await connection.close()


def worker() -> None:
    async def run():
        connection = await asyncpg.connect(URL)
        queue = PgQueuer(AsyncpgDriver(connection))

        @queue.entrypoint("act")
        async def act(job):
            return common.act(json.loads(job.payload))

        await queue.run(batch_size=10, max_concurrent_tasks=20)

    asyncio.run(run())


async def done():
    connection = await asyncpg.connect(URL)
    try:
        query = "SELECT count(*) FROM pgqueuer_log WHERE status = 'successful'"
        return await connection.fetchval(query)
    finally:
        await connection.close()


if __name__ == "__main__":
    common.main(sender, worker, done, prepare)
