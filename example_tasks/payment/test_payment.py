from __future__ import annotations

import sqlite3
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ucam_faas import testing

from . import main
from .main import Payment, Receipt, place, send_receipt, take_payment

PAYMENT = Payment(order="order-17", account="ada", pence=1999)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The database of the shop."""
    file = tmp_path / "payments.db"
    monkeypatch.setattr(main, "DATABASE", str(file))
    return file


def records(table: str) -> list[Any]:
    with main.database() as connection:
        return connection.execute(f"SELECT * FROM {table}").fetchall()


def test_an_order_is_paid_and_its_receipt_sent(
    file: Path, ucam_faas_jobs: testing.JobsFactory
) -> None:
    jobs = ucam_faas_jobs(take_payment, send_receipt, database=file, inline=True)

    job = place(PAYMENT)

    assert job.result() == Receipt(order="order-17", balance=-1999)
    assert records("accounts") == [("ada", -1999)]
    (receipt,) = jobs.store.find("default", task="send_receipt")
    assert receipt.result == b'"The order order-17 is paid, and the account has -1999 pence."'


def test_an_order_that_is_there_already_is_not_placed_again(
    file: Path, ucam_faas_jobs: testing.JobsFactory
) -> None:
    ucam_faas_jobs(take_payment, send_receipt, database=file, inline=True)
    place(PAYMENT)

    with pytest.raises(sqlite3.IntegrityError):
        place(PAYMENT)

    assert records("payments") == [("order-17", 1999)]


def test_a_payment_that_fails_midway_leaves_nothing_behind_and_is_tried_again(
    file: Path, ucam_faas_jobs: testing.JobsFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = ucam_faas_jobs(take_payment, send_receipt, database=file)
    job = place(PAYMENT)
    with monkeypatch.context() as broken:
        broken.setattr(send_receipt, "send", lambda receipt: 1 / 0)
        jobs.run_all()
    failed = [entry.cause for entry in job.history][-1], records("payments")

    jobs.advance(timedelta(minutes=10))

    assert failed == ("failed", [])
    assert job.result().balance == -1999
    assert records("payments") == [("order-17", 1999)]


@pytest.mark.parametrize("seed", range(5))
def test_no_payment_is_doubled_whatever_happens_to_the_jobs(
    file: Path, ucam_faas_jobs: testing.JobsFactory, seed: int
) -> None:
    """Processes lose their lease and go on: their payments are rolled back."""
    jobs = ucam_faas_jobs(
        take_payment, send_receipt, database=file, deliveries="hostile", seed=seed
    )
    sent = [place(Payment(order=f"order-{n}", account="ada", pence=n)) for n in range(1, 5)]

    jobs.advance(timedelta(hours=1))

    assert {job.result().order for job in sent} == {f"order-{n}" for n in range(1, 5)}
    assert sorted(records("payments")) == [(f"order-{n}", n) for n in range(1, 5)]
    assert records("accounts") == [("ada", -10)]
    assert len(jobs.store.find("default", task="send_receipt")) == 4
