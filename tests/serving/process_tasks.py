"""Tasks that run in processes; see test_processes."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sqlite3
import sys
import threading
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel

import ucam_faas
from ucam_faas import CallNext, Depends, TaskDelivery, current_job
from ucam_faas.events.context import MESSAGE_CONTEXT

STARTED: list[str] = []
"""The tasks whose start-up code this process has run."""


def note_start(task: str) -> None:
    STARTED.append(task)


class Order(BaseModel):
    pence: int


processes = ucam_faas.TaskCollection(
    run_in_process=True, concurrency=1, timeout=timedelta(seconds=60), init=[note_start]
)


@processes.message_handler
def total(order: Order) -> dict[str, Any]:
    logging.getLogger("shop").warning("adding up", extra={"fields": {"process": os.getpid()}})
    return {
        "pence": order.pence,
        "process": os.getpid(),
        "started": list(STARTED),
        "message": MESSAGE_CONTEXT.get().pubsub_message.message_id,
    }


def note_process(delivery: TaskDelivery, call_next: CallNext) -> dict[str, int]:
    return {"middleware": os.getpid(), **call_next(delivery)}


@processes.message_handler(middleware=[note_process])
def composed(order: Order, process: Annotated[int, Depends(os.getpid)]) -> dict[str, int]:
    return {"dependency": process, "function": os.getpid()}


class OwnError(Exception):
    def __init__(self, pence: int, reason: str) -> None:
        super().__init__(f"{reason}: {pence}")


class SoldOut(ucam_faas.DeadLetter):
    pass


@processes.message_handler
def end(data: bytes) -> Any:
    """End as the message says."""
    match data:
        case b"crash":
            ctypes.string_at(0)
        case b"exit":
            os._exit(7)
        case b"kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case b"retry":
            raise ucam_faas.Retry(timedelta(seconds=7), reason="busy")
        case b"ignore":
            return ucam_faas.Ignore("seen")
        case b"give up":
            raise SoldOut("no more")
        case b"own":
            raise OwnError(3, "no money")
        case b"caused":
            try:
                raise OwnError(3, "no money")
            except OwnError as error:
                raise LookupError("no account") from error
        case b"object":
            return object()
        case b"fork":
            return "task" if os.fork() else "copy"
        case b"sys.exit":
            sys.exit(3)
    return os.getpid()


@processes.message_handler
def compute(data: bytes) -> None:
    """Write the process id to a file, and hold the interpreter lock for good."""
    path = Path(data.decode())
    path.with_suffix(".new").write_text(str(os.getpid()))
    path.with_suffix(".new").rename(path)
    libc = ctypes.PyDLL(None)  # calls hold the lock
    libc.sleep(10_000)


@processes.message_handler
def use_job(data: bytes) -> dict[str, Any]:
    job = current_job()
    done = job.step("charge", len, data)
    job.progress(1, 2)
    if data == b"sleep":
        job.sleep(timedelta(hours=1))
    return {"id": job.id, "attempt": job.attempt, "done": done}


@processes.message_handler
def complete(data: bytes) -> str:
    """End the job in a transaction; the message is the path of the store's database."""
    with closing(sqlite3.connect(data.decode(), isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        current_job().complete("by hand", connection=connection)
    return "by return"


@processes.message_handler(id=lambda order: f"order-{order.pence}")
def adopted(order: Order) -> list[Any]:
    job, message = current_job(), MESSAGE_CONTEXT.get().pubsub_message
    return [job.id, job.attempt, message.message_id == job.id]


@ucam_faas.message_handler(run_in_process=True, init=[lambda: 1 // 0])
def broken(data: bytes) -> None: ...


@ucam_faas.message_handler
def thread(data: bytes) -> int:
    return threading.get_ident()
