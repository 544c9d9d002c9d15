"""Ours: the embedded Pub/Sub, and a served task; the store is that of UCAM_FAAS_JOB_STORE."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import sys

import common

if __name__ != "__main__" or sys.argv[1] not in ("await", "prepare"):
    from pydantic import BaseModel

    import ucam_faas

    class Order(BaseModel):
        number: int
        user: str = "abc"

    @ucam_faas.message_handler
    def act(order: Order) -> dict:
        return common.act(order.number)


STORE = os.environ["UCAM_FAAS_JOB_STORE"]


@contextlib.asynccontextmanager
async def sender():
    def send(number: int) -> None:
        act.send(Order(number=number))

    def send_many(numbers) -> None:
        act.send_many([Order(number=number) for number in numbers])

    yield send, send_many


def connect():
    if STORE.startswith("sqlite:"):
        return sqlite3.connect(STORE.removeprefix("sqlite:"), timeout=30)
    import psycopg

    return psycopg.connect(STORE, autocommit=True)


CONNECTION = []


def done() -> int:
    if not CONNECTION:
        CONNECTION.append(connect())
    query = "SELECT count(*) FROM ucam_faas_jobs WHERE state = 'SUCCESS'"
    return CONNECTION[0].execute(query).fetchone()[0]


if __name__ == "__main__":
    common.main(sender, None, done)
