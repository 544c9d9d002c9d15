from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ucam_faas import testing
from ucam_faas.exceptions import JobConflictError, JobFailed

from . import main
from .bank import Bank
from .main import Order, Parcel, Receipt, charge, pack, place

ORDER = Order(id="order-17", amount=1999)
RECEIPT = Receipt(order="order-17", payment="payment-order-17")


class SlowBank(Bank):
    """Doesn't answer the first calls; the payment is taken all the same."""

    def __init__(self, failures: int) -> None:
        super().__init__()
        self._failures = failures

    def pay(self, amount: int, *, key: str) -> str:
        payment = super().pay(amount, key=key)
        self._failures -= 1
        if self._failures >= 0:
            raise ConnectionError("the bank does not answer")
        return payment


@pytest.fixture
def bank(monkeypatch: pytest.MonkeyPatch) -> Bank:
    """An empty bank."""
    bank = Bank()
    monkeypatch.setattr(main, "bank", bank)
    return bank


def test_an_order_is_paid_and_packed(bank: Bank, ucam_faas_jobs: testing.JobsFactory) -> None:
    ucam_faas_jobs(charge, pack, inline=True)

    assert place(ORDER) == RECEIPT

    assert bank.payments == {"order-17": 1999}
    parcel = pack.send(RECEIPT, id="order-17")  # the job that is there
    assert parcel.result() == Parcel(order="order-17", number="parcel-order-17")


def test_the_readmes_python_has_the_value_that_it_shows(
    bank: Bank, ucam_faas_jobs: testing.JobsFactory
) -> None:
    readme = Path(__file__).with_name("README.md").read_text()
    block = re.search(r"```python\n(.*?)\n\n(.*?)  # => (.*?)\n```", readme, re.DOTALL)
    assert block is not None
    imports, call, shown = block.groups()
    ucam_faas_jobs(charge, pack, inline=True)
    names: dict[str, Any] = {}

    exec(imports, names)

    assert str(eval(call, names)) == shown


def test_an_order_that_is_placed_twice_is_one_job(
    bank: Bank, ucam_faas_jobs: testing.JobsFactory
) -> None:
    jobs = ucam_faas_jobs(charge, pack)

    first, second = (charge.send(ORDER, id=ORDER.id) for _ in range(2))
    jobs.run_all()

    assert first == second
    assert [entry.cause for entry in first.history] == ["sent", "claimed", "finished"]


def test_another_order_with_the_same_id_is_a_conflict(
    bank: Bank, ucam_faas_jobs: testing.JobsFactory
) -> None:
    ucam_faas_jobs(charge, pack, inline=True)
    place(ORDER)

    with pytest.raises(JobConflictError):
        place(Order(id="order-17", amount=1))


def test_a_bank_that_does_not_answer_is_asked_again_and_paid_once(
    monkeypatch: pytest.MonkeyPatch, ucam_faas_jobs: testing.JobsFactory
) -> None:
    bank = SlowBank(failures=2)
    monkeypatch.setattr(main, "bank", bank)
    jobs = ucam_faas_jobs(charge, pack)
    job = charge.send(ORDER, id=ORDER.id)

    jobs.advance(timedelta(minutes=10))

    assert job.result() == RECEIPT
    assert bank.payments == {"order-17": 1999}


def test_a_refused_card_fails_at_once_and_nothing_is_packed(
    bank: Bank, ucam_faas_jobs: testing.JobsFactory
) -> None:
    jobs = ucam_faas_jobs(charge, pack, inline=True)

    with pytest.raises(JobFailed, match="refused") as caught:
        place(Order(id="order-18", amount=10**6))

    assert caught.value.attempts == 1
    assert jobs.store.find("default", task="pack") == []


@pytest.mark.parametrize("seed", range(5))
def test_nothing_is_paid_or_packed_twice_whatever_happens_to_the_jobs(
    bank: Bank, ucam_faas_jobs: testing.JobsFactory, seed: int
) -> None:
    jobs = ucam_faas_jobs(charge, pack, deliveries="hostile", seed=seed)
    orders = [Order(id=f"order-{number}", amount=number) for number in range(1, 5)]
    sent = [charge.send(order, id=order.id) for order in orders]

    jobs.advance(timedelta(hours=1))

    assert [job.result().order for job in sent] == [order.id for order in orders]
    assert bank.payments == {order.id: order.amount for order in orders}
    assert len(jobs.store.find("default", task="pack")) == len(orders)
