"""huey: a row is deleted when it is dequeued, so a job runs at most once; results are stored."""

from __future__ import annotations

import contextlib
import sqlite3

import common

common.with_same_fsync()

from huey import SqliteHuey  # noqa: E402  # as in side_dbos

FILE = str(common.FOLDER / "huey.db")
huey = SqliteHuey("bench", filename=FILE)


@huey.task()
def act(number):
    return common.act(number)


@contextlib.asynccontextmanager
async def sender():
    yield act, lambda numbers: [act(number) for number in numbers]


def worker() -> None:
    huey.create_consumer(workers=4, worker_type="thread").run()


def done() -> int:
    connection = sqlite3.connect(FILE, timeout=30)
    count = connection.execute("SELECT count(*) FROM kv").fetchone()[0]
    connection.close()
    return count


if __name__ == "__main__":
    common.main(sender, worker, done)
