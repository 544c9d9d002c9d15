"""A script: places and takes a payment of the example, in processes that are killed at each step.

    python killed_payments.py FOLDER INSTRUCTIONS

A step is a statement of SQLite, or a number of instructions in it (0: none are counted), or a wake.
After each killed process another one does the rest, an hour later. The state of the database after
both is written as a line of JSON; the last line is that of a process that lived.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import sys
import traceback
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from example_tasks.payment import main
from ucam_faas import testing
from ucam_faas.execution import inbox
from ucam_faas.testing import ManualClock

TASKS = main.take_payment, main.send_receipt
PAYMENT = main.Payment(order="order-17", account="ada", pence=1999)


def pay(database: Path) -> None:
    """Place the order, and run its jobs."""
    with testing.jobs(*TASKS, database=database) as jobs:
        main.place(PAYMENT)
        jobs.run_all()


def recover(database: Path) -> None:
    """Run the jobs that are left, after all leases."""
    clock = ManualClock()
    clock.advance(3600)
    with testing.jobs(*TASKS, database=database, clock=clock) as jobs:
        jobs.advance(timedelta(hours=1))


def die_at(last: int, instructions: int) -> None:
    """Kill this process at its step of this number."""
    steps = 0

    def step(*_: Any) -> None:
        nonlocal steps
        steps += 1
        if steps == last:
            os.kill(os.getpid(), signal.SIGKILL)

    connect, wake = sqlite3.connect, inbox.wake

    def connect_and_count(*args: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(*args, **options)
        connection.set_trace_callback(step)
        if instructions:
            connection.set_progress_handler(step, instructions)
        return connection

    def wake_and_count(*args: Any, **options: Any) -> bool:
        step()
        woken = wake(*args, **options)
        step()
        return woken

    sqlite3.connect = connect_and_count  # type: ignore[assignment]
    inbox.wake = wake_and_count


def in_a_process(work: Callable[[], None]) -> int:
    """Return the exit code of a process that does the work; negative: it was killed."""
    process = os.fork()
    if process:
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    try:
        work()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def state(database: Path) -> dict[str, Any]:
    """Return the records of a database."""
    tables = "SELECT name FROM sqlite_master"
    with sqlite3.connect(database) as connection:
        there = {name for (name,) in connection.execute(tables)}
        return {
            "orders": _count(connection, there, "orders"),
            "payments": _count(connection, there, "payments"),
            "paid": _count(connection, there, "accounts", "-sum(pence)"),
            "jobs": _count(
                connection, there, "ucam_faas_jobs", "group_concat(task || ' ' || state)"
            ),
        }


def _count(connection: Any, there: set[str], table: str, value: str = "count(*)") -> Any:
    if table not in there:
        return 0 if value == "count(*)" else None
    return connection.execute(f"SELECT {value} FROM {table}").fetchone()[0]


def try_step(folder: Path, step: int, instructions: int) -> bool:
    """Kill a process at a step, and recover; return False if the process ended before it."""
    database = folder / f"{step}.db"
    main.DATABASE = str(database)

    def killed() -> None:
        die_at(step, instructions)
        pay(database)

    code = in_a_process(killed)
    after = state(database)
    recovered = in_a_process(lambda: recover(database))
    line = {"step": step, "code": code, "recovered": recovered}
    print(json.dumps({**line, "after": after, "end": state(database)}), flush=True)
    return code < 0


if __name__ == "__main__":
    folder, instructions = Path(sys.argv[1]), int(sys.argv[2])
    number = 1
    while try_step(folder, number, instructions):
        number += 1
