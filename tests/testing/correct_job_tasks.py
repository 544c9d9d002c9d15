"""Tasks for jobs that stand all that can happen to a job; each is a test that always passes."""

from __future__ import annotations

import threading
from datetime import timedelta

import ucam_faas
from ucam_faas import RetryPolicy, message_handler
from ucam_faas.testing import ManualClock

from .cases import Case, Serve
from .events import Order


def pays_with_the_jobs_id_as_key(serve: Serve, clock: ManualClock) -> None:
    """The bank takes one payment for a key, whoever asks."""
    payments: dict[str, int] = {}

    @message_handler
    def pay(order: Order) -> str:
        key = ucam_faas.current_job().id
        payments.setdefault(key, order.amount)
        return key

    cloud = serve(pay)
    jobs = [pay.send(Order(id=f"o{number}", amount=number)) for number in range(3)]
    cloud.wait_idle()

    assert payments == {job.id: number for number, job in enumerate(jobs)}
    assert [job.result() for job in jobs] == [job.id for job in jobs]


def keeps_the_newest(serve: Serve, clock: ManualClock) -> None:
    """An older version never replaces a newer one."""
    versions = {"doc": 0}
    lock = threading.Lock()

    @message_handler
    def store(version: int) -> None:
        with lock:
            versions["doc"] = max(versions["doc"], version)

    cloud = serve(store)
    for version in (1, 2, 3):
        store.send(version)
    cloud.wait_idle()

    assert versions == {"doc": 3}


def sends_children_once(serve: Serve, clock: ManualClock) -> None:
    """A parent has three children: a process that lost it can send none, and equal ones are one."""
    packed: set[int] = set()

    @message_handler
    def pack(number: int) -> None:
        packed.add(number)

    @message_handler
    def split(count: int) -> list[str]:
        return [pack.send(number).id for number in range(count)]

    cloud = serve(split, pack)
    job = split.send(3)
    cloud.wait_idle()

    assert packed == {0, 1, 2}
    assert len(set(job.result())) == 3
    assert {execution.task for execution in cloud.executions} == {"split", "pack"}


def succeeds_at_last(serve: Serve, clock: ManualClock) -> None:
    """A service is away for two attempts."""
    answers = iter([ConnectionError(), ConnectionError()])

    @message_handler(retry=RetryPolicy(max_attempts=8))
    def ask(number: int) -> int:
        error = next(answers, None)
        if error is not None:
            raise error
        return number

    cloud = serve(ask)
    job = ask.send(1)
    cloud.wait_idle()

    assert job.result() == 1


def keeps_its_last_attempt(serve: Serve, clock: ManualClock) -> None:
    """A job with one attempt has no holder that loses it: that would be the attempt."""
    sent: list[int] = []

    @message_handler
    def mail(number: int) -> int:
        sent.append(number)
        return number

    cloud = serve(mail)
    job = mail.send(1, retry=RetryPolicy(max_attempts=1))
    cloud.wait_idle()

    assert (job.result(), sent) == (1, [1])


def waits_for_its_delay(serve: Serve, clock: ManualClock) -> None:
    """A reminder comes after a month, whatever happens to its wakes."""
    reminded: set[int] = set()

    @message_handler
    def remind(user: int) -> None:
        reminded.add(user)

    cloud = serve(remind)
    remind.send(7, delay=timedelta(days=31))
    cloud.advance(timedelta(days=30))
    assert reminded == set()
    cloud.advance(timedelta(days=2))

    assert reminded == {7}


CORRECT_JOBS: list[Case] = [
    pays_with_the_jobs_id_as_key,
    keeps_the_newest,
    sends_children_once,
    succeeds_at_last,
    keeps_its_last_attempt,
    waits_for_its_delay,
]
