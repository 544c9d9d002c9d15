"""`limit=Limit(key, n)`, and the `ordering_key` of a job: some wait while others of a key run."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

import ucam_faas
from tests.jobs.runs import FaultyStore, add, causes, row_of, wake
from tests.serving.harness import exchange, make_app, on_a_loop
from ucam_faas import Limit, RetryPolicy, State
from ucam_faas.config import Settings
from ucam_faas.exceptions import ConfigurationError, NoJobStoreError, TaskDefinitionError
from ucam_faas.execution import inbox, runtime
from ucam_faas.execution.runtime import CURRENT, Runtime
from ucam_faas.jobs.handle import Job
from ucam_faas.jobs.rows import Change, Key, Wake
from ucam_faas.jobs.sweep import sweep
from ucam_faas.serving.app import App
from ucam_faas.tasks.registry import task_of
from ucam_faas.testing import (
    JobsFactory,
    ManualClock,
    MemoryPublisher,
    make_message,
    make_push,
)

LEASE = 315.0
INBOX = "pay-inbox"
DONE = Change(state=State.SUCCESS, cause="finished", visit=3600, result=b"1")


class Payment(BaseModel):
    """A payload."""

    account: str
    number: int = 0


ran: list[int] = []


@pytest.fixture(autouse=True)
def _none_ran() -> None:
    ran.clear()


@ucam_faas.message_handler(limit=Limit(lambda payment: payment.account))
def pay(payment: Payment) -> int:
    """Pay."""
    ran.append(payment.number)
    return payment.number


@ucam_faas.message_handler(retry=RetryPolicy(max_attempts=5, min_backoff=timedelta(seconds=10)))
def change(number: int) -> int:
    """Change something; the first run of 1 fails."""
    ran.append(number)
    if ran == [1]:
        raise ConnectionError("not yet")
    return number


@pytest.fixture
def publisher() -> MemoryPublisher:
    return MemoryPublisher({INBOX: []})


@pytest.fixture
def app_of(store: FaultyStore, clock: ManualClock, publisher: MemoryPublisher) -> Callable[[], App]:
    return lambda: make_app(pay, store=store, clock=clock, publisher=publisher)


def wakes(publisher: MemoryPublisher) -> list[str]:
    """Return the ids of the jobs that were woken, and forget them."""
    ids = [message.attributes[inbox.JOB_ATTRIBUTE] for message in publisher.topics[INBOX]]
    publisher.topics[INBOX].clear()
    return ids


def payment(store: FaultyStore, id: str, account: str | None = "a") -> Key:
    """Insert a job with the limit key of its account; None: without one, as if sent by name."""
    body = Payment(account=account or "a", number=int(id)).model_dump_json().encode()
    return add(store, "pay", id, payload=body, limit_key=account)


class TestRuns:
    @on_a_loop
    async def test_a_wake_of_a_job_that_waits_is_acknowledged_and_spends_nothing(
        self, app_of: Callable[[], App], store: FaultyStore, publisher: MemoryPublisher
    ) -> None:
        first, second = payment(store, "1"), payment(store, "2")
        assert store.claim(first, lease=LEASE, instance="other", limit=1)

        statuses = [(await wake(app_of(), "pay", "2")).status for _ in range(3)]

        assert statuses == [200] * 3
        row = row_of(store, second)
        assert (row.state, row.attempts, row.fence) == (State.PENDING, 0, 0)
        assert (ran, causes(store, second), wakes(publisher)) == ([], ["sent"], [])

    @on_a_loop
    async def test_the_end_of_a_job_wakes_the_next_of_its_key(
        self, app_of: Callable[[], App], store: FaultyStore, publisher: MemoryPublisher
    ) -> None:
        payment(store, "1")
        payment(store, "3", "b")
        payment(store, "4")
        payment(store, "2")

        await wake(app_of(), "pay", "1")

        assert wakes(publisher) == ["4"]

    @on_a_loop
    async def test_a_repeated_wake_of_an_ended_job_wakes_the_next(
        self, app_of: Callable[[], App], store: FaultyStore, publisher: MemoryPublisher
    ) -> None:
        """Its process was killed before it could: its delivery comes again."""
        first = payment(store, "1")
        payment(store, "2")
        held = store.claim(first, lease=LEASE, instance="other", limit=1)
        assert held is not None
        store.change(first, DONE, fence=held.fence)

        await wake(app_of(), "pay", "1")

        assert (ran, wakes(publisher)) == ([], ["2"])

    @on_a_loop
    async def test_a_job_that_is_woken_too_early_wakes_the_one_before(
        self, app_of: Callable[[], App], store: FaultyStore, publisher: MemoryPublisher
    ) -> None:
        """The wake of the first was lost."""
        for id in "123":
            payment(store, id)

        await wake(app_of(), "pay", "3")

        assert (ran, wakes(publisher)) == ([], ["1"])

    @on_a_loop
    async def test_a_job_whose_attempts_are_used_up_wakes_the_next(
        self,
        app_of: Callable[[], App],
        store: FaultyStore,
        publisher: MemoryPublisher,
        clock: ManualClock,
    ) -> None:
        first = payment(store, "1")
        payment(store, "2")
        for _ in range(8):
            assert store.claim(first, lease=1, instance="lost", limit=1)
            clock.advance(1)

        await wake(app_of(), "pay", "1")

        assert row_of(store, first).state is State.FAILURE
        assert wakes(publisher) == ["2"]

    @on_a_loop
    async def test_a_job_that_was_sent_by_name_gets_its_key_from_the_task(
        self, app_of: Callable[[], App], store: FaultyStore, publisher: MemoryPublisher
    ) -> None:
        first, second = payment(store, "1"), payment(store, "2", None)
        assert store.claim(first, lease=LEASE, instance="other", limit=1)

        await wake(app_of(), "pay", "2")

        assert (ran, row_of(store, second).limit_key) == ([], "a")
        assert row_of(store, second).state is State.PENDING

    @on_a_loop
    async def test_a_job_without_a_readable_payload_ends_although_it_has_no_key(
        self, app_of: Callable[[], App], store: FaultyStore
    ) -> None:
        key = add(store, "pay", "1", payload=b"[]")

        await wake(app_of(), "pay", "1")

        assert row_of(store, key).state is State.FAILURE

    @on_a_loop
    async def test_a_message_on_the_topic_waits_as_a_job(
        self, app_of: Callable[[], App], store: FaultyStore, publisher: MemoryPublisher
    ) -> None:
        first = payment(store, "1")
        held = store.claim(first, lease=LEASE, instance="other", limit=1)
        assert held is not None

        message = make_message(Payment(account="a", number=2), message_id="m2")
        push = make_push(message)
        answer = await exchange(app_of(), "/pay", [push.body], headers=push.headers)
        store.change(first, DONE, fence=held.fence)
        await wake(app_of(), "pay", "1")

        assert (answer.status, ran, wakes(publisher)) == (200, [], ["m2"])
        await wake(app_of(), "pay", "m2")
        assert ran == [2]


class TestInMemory:
    @pytest.mark.parametrize("deliveries", ["normal", "hostile"])
    def test_jobs_of_a_key_run_in_the_order_of_sending(
        self, ucam_faas_jobs: JobsFactory, deliveries: Any
    ) -> None:
        jobs = ucam_faas_jobs(pay, deliveries=deliveries)
        sent = pay.send_many([Payment(account=str(n % 3), number=n) for n in range(30)])

        jobs.run_all()

        assert [job.status for job in sent] == [State.SUCCESS] * 30
        for account in range(3):
            first_runs = list(dict.fromkeys(n for n in ran if n % 3 == account))
            assert first_runs == sorted(first_runs)

    def test_an_ordering_key_holds_back_later_jobs_until_the_end_of_one_that_is_retried(
        self, ucam_faas_jobs: JobsFactory
    ) -> None:
        jobs = ucam_faas_jobs(change)
        for number in (1, 2, 3):
            change.send(number, ordering_key="k")
        change.send(4, ordering_key="other")

        jobs.run_all()
        before = list(ran)
        jobs.advance(timedelta(minutes=1))

        assert before == [1, 4]
        assert ran == [1, 4, 1, 2, 3]

    def test_a_limit_lets_others_run_while_one_waits_for_its_next_attempt(
        self, ucam_faas_jobs: JobsFactory
    ) -> None:
        @ucam_faas.message_handler(limit=Limit("all"), retry=RetryPolicy(max_attempts=5))
        def limited(number: int) -> None:
            change(number)

        jobs = ucam_faas_jobs(limited)
        limited.send_many([1, 2, 3])

        jobs.run_all()
        before = list(ran)
        jobs.advance(timedelta(minutes=1))

        assert (before, ran) == ([1, 2, 3], [1, 2, 3, 1])

    def test_a_cancelled_or_expired_job_lets_the_next_in_order_run(
        self, ucam_faas_jobs: JobsFactory
    ) -> None:
        jobs = ucam_faas_jobs(change)
        first = change.send(5, ordering_key="k", delay=timedelta(hours=1))
        change.send(6, ordering_key="k", delay=timedelta(hours=1), ttl=timedelta(hours=2))
        change.send(7, ordering_key="k")
        jobs.run_all()
        assert ran == []

        first.cancel()
        jobs.run_all()
        assert ran == []
        jobs.advance(timedelta(hours=3))

        assert ran == [6, 7]

    def test_inline_jobs_wait_for_each_other(self, ucam_faas_jobs: JobsFactory) -> None:
        ucam_faas_jobs(pay, inline=True)

        for number in range(3):
            pay.send(Payment(account="a", number=number))

        assert ran == [0, 1, 2]


def test_the_sweep_lets_the_next_in_order_run_after_one_that_expired(
    store: FaultyStore, clock: ManualClock
) -> None:
    add(store, id="1", limit_key="k", in_order=True, expires=5.0)
    second = add(store, id="2", limit_key="k", in_order=True)
    woken: list[Wake] = []
    clock.advance(5)

    sweep(store, "default", woken.extend)

    assert woken == [Wake(second)]


@pytest.mark.parametrize("in_order", [True, False])
def test_a_job_that_is_cancelled_or_deleted_wakes_the_next_of_its_key(
    store: FaultyStore, in_order: bool
) -> None:
    keys = [add(store, id=id, limit_key="k", in_order=in_order) for id in "123"]
    woken: list[Wake] = []

    Job(keys[0], store, woken.extend).cancel()
    assert Job(keys[0], store, woken.extend).delete()
    assert woken == [Wake(keys[1])]
    assert Job(keys[1], store, woken.extend).delete()

    assert woken == [Wake(key) for key in keys[1:]]


def handler(**options: Any) -> Any:
    @ucam_faas.message_handler(**options)
    def handled(number: int) -> None: ...

    return handled


class TestRefusals:
    @pytest.mark.parametrize(
        ("make", "problem"),
        [
            (lambda: Limit(3), "expected a function from the payload"),  # type: ignore[arg-type]
            (lambda: Limit("a", 0), "n=0: expected a whole number, from 1"),
            (lambda: Limit("a", True), "n=True: expected a whole number"),
            (lambda: handler(limit="a"), "expected a Limit"),
            (
                lambda: handler(limit=Limit("a"), ordered=True),
                "limit= of 'handled'",
            ),
        ],
    )
    def test_a_limit_that_can_never_work_is_refused(self, make: Any, problem: str) -> None:
        with pytest.raises(TaskDefinitionError, match=problem):
            make()

    def test_a_job_has_one_key(self, ucam_faas_jobs: JobsFactory) -> None:
        ucam_faas_jobs(pay)

        with pytest.raises(ValueError, match="a job waits for one key"):
            pay.send(Payment(account="a"), ordering_key="k")

    def test_a_key_of_another_type_is_the_senders_error(self, ucam_faas_jobs: JobsFactory) -> None:
        @ucam_faas.message_handler(limit=Limit(lambda number: [number]))
        def wrong(number: int) -> None: ...

        ucam_faas_jobs(wrong)

        with pytest.raises(TypeError, match="limit= returned a list"):
            wrong.send(1)

    def test_a_limit_needs_a_store(self) -> None:
        publisher = MemoryPublisher({INBOX: []})
        token = CURRENT.set(Runtime(Settings(), ManualClock(), publisher))
        try:
            with pytest.raises(NoJobStoreError, match="limit="):
                pay.send(Payment(account="a"))
        finally:
            CURRENT.reset(token)
        with pytest.raises(ConfigurationError, match="'pay' become jobs, and no store"):
            runtime.build(Settings(), [task_of(pay)])
