"""Trials of a transaction with a payment and its job, whose processes are killed many times.

The example `payment` takes the payments. The short form of the first trial is in `tests/jobs`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dev.cloud import Dev, running
from tests.integration.processes import wait_until
from tests.jobs.test_killed_payments import check, killed_at_each_step
from tests.trials.running import SECONDS, lines, script

EXAMPLE = Path(__file__).parents[2] / "example_tasks/payment/main.py"
ORDERS = 30
KILLED = """

import random
from datetime import timedelta
from pathlib import Path
from ucam_faas.job_runs.current_job import CURRENT_JOB

whole_database = database


def die_sometimes(_: str) -> None:
    if random.random() < 0.02:
        with Path("kills").open("a") as kills:
            kills.write("kill\\n")
        os.kill(os.getpid(), 9)


@contextmanager
def database() -> Iterator[sqlite3.Connection]:
    with whole_database() as connection:
        if CURRENT_JOB.get() is not None:
            connection.set_trace_callback(die_sometimes)  # before each statement
        yield connection


"""


@pytest.mark.parametrize("instructions", [7, 3])
def test_a_kill_at_any_instruction_takes_a_payment_once_or_never(
    tmp_path: Path, instructions: int
) -> None:
    states = killed_at_each_step(tmp_path, instructions)

    for state in states:
        check(state)
    assert len(states) > 100


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Dev]:
    """Serve the example, whose processes kill themselves while they take payments."""
    code = EXAMPLE.read_text() + KILLED
    options = "timeout=timedelta(seconds=1), retry=ucam_faas.RetryPolicy(max_attempts=100)"
    head = '@ucam_faas.message_handler(sends=["send_receipt"])\ndef take_payment'
    assert head in code
    code = code.replace(head, head.replace("handler(", f"handler({options}, "))
    code = code.replace("import os\n", "import os\nfrom datetime import timedelta\n", 1)
    (tmp_path / "main.py").write_text(code)
    with running(tmp_path, UCAM_FAAS_JOB_STORE=f"sqlite:{tmp_path}/payments.db") as dev:
        yield dev


def test_no_payment_is_lost_or_doubled_by_real_processes_that_are_killed(shop: Dev) -> None:
    place = f"""
for number in range({ORDERS}):
    main.place(main.Payment(order=f"order-{{number}}", account="ada", pence=number + 1))
"""

    def ended() -> bool:
        with sqlite3.connect(shop.folder / "payments.db") as database:
            states = database.execute("SELECT state, count(*) FROM ucam_faas_jobs GROUP BY state")
            return dict(states.fetchall()) == {"SUCCESS": 2 * ORDERS}

    assert script(shop, place, UCAM_FAAS_JOB_STORE=f"sqlite:{shop.folder}/payments.db") == 0
    wait_until(ended, "all payments are taken, and all receipts sent", SECONDS)

    with sqlite3.connect(shop.folder / "payments.db") as database:
        payments = database.execute("SELECT id, pence FROM payments ORDER BY pence").fetchall()
        balances = database.execute("SELECT name, pence FROM accounts").fetchall()
    assert payments == [(f"order-{number}", number + 1) for number in range(ORDERS)]
    assert balances == [("ada", -sum(range(1, ORDERS + 1)))]
    assert len(lines(shop, "kills")) >= 5
