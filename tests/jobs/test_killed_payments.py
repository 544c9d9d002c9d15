"""`kill -9` at each step of a transaction: nothing has happened, or all of it once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.jobs.postgresql_proxy import Fault, cut_after, cut_before, failing, killed
from tests.support.postgresql import Server

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
NOTHING = {"orders": 0, "payments": 0, "paid": None, "jobs": None}
PAID = {
    "orders": 1,
    "payments": 1,
    "paid": 1999,
    "jobs": "take_payment SUCCESS,send_receipt SUCCESS",
}


def killed_at_each_step(folder: Path, instructions: int) -> list[dict[str, Any]]:
    """Return the states of the database, one for each step at which a process was killed."""
    script = Path(__file__).with_name("killed_payments.py")
    result = subprocess.run(
        [sys.executable, str(script), str(folder), str(instructions)],
        capture_output=True,
        env={"PYTHONPATH": str(ROOT)},
        text=True,
        timeout=500,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    lines: list[dict[str, Any]] = [json.loads(line) for line in result.stdout.splitlines()]
    assert lines[-1]["code"] == 0, result.stderr
    assert all(line["recovered"] == 0 for line in lines), result.stderr
    return lines


def check(line: dict[str, Any]) -> None:
    """Check the database after a kill, and after the rest was done."""
    after, end = line["after"], line["end"]
    has_job = after["jobs"] is not None
    assert after["orders"] == has_job, line
    assert (after["payments"] == 1) == (after["paid"] == 1999), line
    assert (after["payments"] == 1) == (has_job and "send_receipt" in after["jobs"]), line
    assert end == (PAID if has_job else NOTHING), line


def test_a_payment_is_taken_once_or_was_never_ordered(tmp_path: Path) -> None:
    lines = killed_at_each_step(tmp_path, instructions=0)

    for line in lines:
        check(line)
    states = [json.dumps(line["after"]) for line in lines]
    assert len(set(states)) >= 6  # nothing, ordered, claimed, paid, the receipt's job
    assert len(lines) > 40


TRANSACTIONS = """
import sys
import psycopg
import ucam_faas
from ucam_faas.clock import SystemClock
from ucam_faas.config import Settings
from ucam_faas.execution import runtime
from ucam_faas.job_runs import current_job
from ucam_faas.job_runs.completion import Completion
from ucam_faas.job_runs.lease import Lease
from ucam_faas.jobs.stores.postgresql import PostgresqlStore
from ucam_faas.publishing.memory import MemoryPublisher

direct, through = sys.argv[1:]
store = PostgresqlStore(direct)
publisher = MemoryPublisher({"charge-inbox": []})
runtime.CURRENT.set(runtime.Runtime(Settings(), SystemClock(), publisher, store=store))

@ucam_faas.message_handler
def charge(number: int) -> int: ...

connection = psycopg.connect(through)
with ucam_faas.transaction(connection):
    connection.execute("INSERT INTO orders VALUES (1)")
    job = charge.send(1, id="1")
print("sent", flush=True)
row = store.claim(job.key, lease=0, instance="first")
with ucam_faas.transaction(connection):
    connection.execute("INSERT INTO payments VALUES (1)")
    current_job.enter(Lease(store, row), Completion(), SystemClock())
    current_job.current_job().complete(7)
print("completed", flush=True)
connection.close()
store.close()
"""


@pytest.mark.parametrize("fault", [cut_before, cut_after])
def test_a_client_of_postgresql_that_is_killed_around_any_statement(
    postgresql: Server, postgresql_url: str, fault: Fault
) -> None:
    """An order is there with its job, and a payment with the job's end, or neither."""
    seen = set()
    with psycopg.connect(postgresql_url, autocommit=True) as database:
        for statement in range(1, 100):
            database.execute("TRUNCATE ucam_faas_jobs CASCADE")
            database.execute("DROP TABLE IF EXISTS orders, payments")
            database.execute("CREATE TABLE orders (id int); CREATE TABLE payments (id int)")
            process: Any = None
            kill = killed(lambda: process.pid, fault)  # noqa: B023
            with failing(postgresql, statement, kill) as proxy:
                process = subprocess.Popen(
                    [sys.executable, "-c", TRANSACTIONS, postgresql_url, proxy.url(postgresql_url)],
                    stdout=subprocess.PIPE,
                    text=True,
                )
                output, _ = process.communicate(timeout=60)
            orders = len(database.execute("SELECT * FROM orders").fetchall())
            payments = len(database.execute("SELECT * FROM payments").fetchall())
            states = database.execute("SELECT state, result FROM ucam_faas_jobs").fetchall()

            assert len(states) == orders >= output.count("sent")
            assert (states == [("SUCCESS", b"7")]) == (payments == 1)
            assert payments >= output.count("completed")
            seen.add((orders, payments))
            if process.returncode == 0:
                break

    assert process.returncode == 0
    assert seen == {(0, 0), (1, 0), (1, 1)}
    assert statement == 11  # begin, look at the table, two statements, commit; twice
