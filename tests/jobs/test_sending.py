"""Sending jobs: `task.send`, its options and errors, by name, in batches, and from tasks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, strategies
from pydantic import BaseModel

import ucam_faas
from ucam_faas import (
    BatchSendError,
    DuplicateJobError,
    Job,
    JobConflictError,
    JobFailed,
    JobLostError,
    JobNotFoundError,
    JobStoreError,
    NoJobStoreError,
    PublishError,
    QueueFull,
    RetryPolicy,
    State,
    TaskDefinitionError,
    exponential,
    http,
    message_handler,
    raw_event,
)
from ucam_faas.config import Settings
from ucam_faas.events import envelopes
from ucam_faas.execution import runtime
from ucam_faas.execution.execution import Execution
from ucam_faas.execution.pipeline import execute
from ucam_faas.execution.runtime import Runtime
from ucam_faas.job_runs import current_job
from ucam_faas.jobs.rows import Change, Entry, Key, Row
from ucam_faas.jobs.send_options import retry_of
from ucam_faas.jobs.stores.sqlite import SqliteStore
from ucam_faas.sending import children
from ucam_faas.testing import ManualClock, MemoryPublisher, make_message_event

INBOX = "charge-inbox"
AMERICA = timezone(timedelta(hours=-5))


class Order(BaseModel):
    """An order."""

    id: int
    total: int = 0


@message_handler
def charge(order: Order) -> int:
    """Charge an order."""
    return order.total


@message_handler
def only_here(order: Order) -> None:
    """Have a name that no other test's task has."""


@dataclass(slots=True)
class Here:
    """This process's store and Pub/Sub."""

    clock: ManualClock
    store: SqliteStore
    publisher: MemoryPublisher

    def row(self, job: Job[Any]) -> Row:
        row = self.store.get(job.key)
        assert row is not None
        return row

    def wakes(self, topic: str = INBOX) -> list[str]:
        return [message.attributes["ucam_faas_job"] for message in self.publisher.topics[topic]]


@pytest.fixture(autouse=True)
def _contexts() -> Iterator[None]:
    """Restore what a test sets."""
    variables: list[Any] = [runtime.CURRENT, children.PARENT, current_job.CURRENT_JOB]
    tokens = [variable.set(None) for variable in variables]
    yield
    for variable, token in zip(variables, tokens, strict=True):
        variable.reset(token)


@pytest.fixture
def publisher() -> MemoryPublisher:
    return MemoryPublisher({INBOX: [], "ask-inbox": []})


@pytest.fixture
def here(publisher: MemoryPublisher) -> Iterator[Here]:
    """Make this process have a store."""
    clock = ManualClock()
    store = SqliteStore(":memory:", clock)
    runtime.CURRENT.set(Runtime(Settings(), clock, publisher, store=store))
    yield Here(clock, store, publisher)
    store.close()


@pytest.fixture
def without_store(publisher: MemoryPublisher) -> MemoryPublisher:
    """Make this process have no store."""
    runtime.CURRENT.set(Runtime(Settings(), ManualClock(), publisher))
    return publisher


def end(here: Here, job: Job[Any], state: State = State.SUCCESS, result: bytes = b"3") -> None:
    """Run a job to its end."""
    row = here.store.claim(job.key, lease=30, instance="test")
    assert row is not None
    change = Change(state=state, cause="ended", visit=60, result=result)
    here.store.change(job.key, change, fence=row.fence)


class TestSend:
    def test_a_job_is_a_row_and_a_wake_with_its_id_alone(self, here: Here) -> None:
        job = charge.send(Order(id=1), attributes={"a": "b"}, ordering_key="k")

        row = here.row(job)
        assert (row.key, row.state) == (Key("default", "charge", job.id), State.PENDING)
        assert (row.payload, row.attributes, row.ordering_key) == (
            b'{"id":1,"total":0}',
            {"a": "b"},
            "k",
        )
        assert here.wakes() == [job.id]
        assert here.publisher.topics[INBOX][0].data == b""

    def test_a_job_can_be_sent_from_async_code(self, here: Here) -> None:
        job = asyncio.run(charge.send_async(Order(id=1), id="one"))

        assert (job.id, here.wakes()) == ("one", ["one"])

    def test_a_job_with_a_delay_is_not_woken_now(self, here: Here) -> None:
        now = here.clock.now()

        delayed = charge.send(Order(id=1), delay=timedelta(days=400))
        at = charge.send(Order(id=2), at=now.astimezone(UTC) + timedelta(hours=1))
        past = charge.send(Order(id=3), at=datetime(2001, 1, 1, tzinfo=UTC))

        assert here.row(delayed).due == now.timestamp() + 400 * 86400
        assert here.row(at).due == pytest.approx(now.timestamp() + 3600)
        assert here.wakes() == [past.id]

    def test_a_job_expires_after_its_ttl(self, here: Here) -> None:
        row = here.row(charge.send(Order(id=1), ttl=timedelta(minutes=1)))

        assert row.expires == row.created + 60

    def test_a_row_keeps_the_options_of_its_job(self, here: Here) -> None:
        retry = RetryPolicy(max_attempts=1, backoff=exponential(multiplier=7))

        job = charge.send(
            Order(id=1),
            retry=retry,
            timeout=timedelta(seconds=20),
            retention=timedelta(days=1),
        )

        row = here.row(job)
        assert retry_of(row, RetryPolicy()) == retry
        assert (row.options["timeout"], row.options["retention"]) == (20, 86400)

    def test_a_job_without_options_has_those_of_its_task(self, here: Here) -> None:
        policy = RetryPolicy(backoff=lambda failures: failures)

        row = here.row(charge.send(Order(id=1)))

        assert retry_of(row, policy) is policy
        assert row.options == {}

    def test_the_tasks_retention_is_kept_with_the_job(self, here: Here) -> None:
        @message_handler(name="charge", retention=timedelta(days=30))
        def keeps(order: Order) -> None: ...

        assert here.row(keeps.send(Order(id=1))).options == {"retention": 30 * 86400}

    def test_a_task_without_a_parameter_is_sent_nothing(self, here: Here) -> None:
        @message_handler(name="charge")
        def tidy() -> None: ...

        assert here.row(tidy.send()).payload == b""

    @pytest.mark.parametrize(
        ("options", "error", "text"),
        [
            ({"delay": 5}, TypeError, "expected a timedelta"),
            ({"at": datetime(2030, 1, 1)}, ValueError, "a time with a time zone"),
            ({"at": "now"}, TypeError, "a datetime with a time zone"),
            (
                {"at": datetime(2030, 1, 1, tzinfo=UTC), "delay": timedelta(1)},
                ValueError,
                "use one of them",
            ),
            ({"at": datetime(9999, 12, 31, 23, tzinfo=AMERICA)}, ValueError, "years 1 and 9999"),
            ({"delay": timedelta.max}, ValueError, "at most 36500 days"),
            ({"retention": timedelta.max}, ValueError, "at most 36500 days"),
            ({"ttl": timedelta(0)}, ValueError, "positive"),
            ({"ttl": timedelta(1), "delay": timedelta(2)}, ValueError, "ttl=1 d: .* in 2 d"),
            ({"timeout": timedelta(minutes=6)}, ValueError, "=6 min: .* at most 300 s"),
            ({"retry": 3}, TypeError, "expected a RetryPolicy"),
            ({"retry": RetryPolicy(backoff=float)}, TypeError, "can't be stored with a job"),
            ({"retention": timedelta(-1)}, ValueError, "positive"),
            ({"id": 17}, TypeError, r"id=str\(17\)"),
            ({"id": ""}, ValueError, "1 to 1024 bytes"),
            ({"id": "a\nb"}, ValueError, "printable"),
            ({"id": "é" * 513}, ValueError, "1 to 1024 bytes"),
            ({"dealy": timedelta(1)}, TypeError, "no option 'dealy': it has .*delay"),
            ({"attributes": {"a": 1}}, ValueError, "attribute"),
            ({"ordering_key": 1}, TypeError, "expected a text"),
        ],
    )
    def test_options_that_can_never_work_are_refused_before_anything_leaves(
        self, here: Here, options: dict[str, Any], error: type[Exception], text: str
    ) -> None:
        with pytest.raises(error, match=text):
            charge.send(Order(id=1), **options)

        assert here.store.find("default") == []
        assert here.wakes() == []

    def test_a_payload_that_the_task_would_reject_does_not_leave(self, here: Here) -> None:
        with pytest.raises(ValueError, match=r"rejects the payload: .*id.* It takes Order\."):
            charge.send({"id": "x"})  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="takes Order"):
            charge.send()  # type: ignore[call-arg]

        assert here.store.find("default") == []

    def test_a_wake_that_is_lost_is_left_to_the_sweep(self, here: Here) -> None:
        del here.publisher.topics[INBOX]

        job = charge.send(Order(id=1))

        assert job.status is State.PENDING
        assert here.row(job).visit <= here.store.now() + 60

    def test_an_http_task_says_what_to_do_instead(self, here: Here) -> None:
        @http(path="/room")
        def room(request: Any) -> str:
            return ""

        with pytest.raises(TaskDefinitionError, match="send a request to /room"):
            room.send()  # type: ignore[attr-defined]

    def test_a_cloud_run_job_says_how_to_run_it(self, here: Here) -> None:
        @message_handler(run_as="cloud-run-job", retry=RetryPolicy(max_attempts=1))
        def report() -> None: ...

        with pytest.raises(TaskDefinitionError, match="gcloud run jobs execute report"):
            report.send()


class TestIds:
    def test_an_id_is_one_job(self, here: Here) -> None:
        first, second = (charge.send(Order(id=1), id="a") for _ in range(2))

        assert (first, hash(first)) == (second, hash(second))
        assert here.wakes() == ["a"]

    def test_another_payload_of_an_id_is_a_conflict_that_names_the_field(self, here: Here) -> None:
        charge.send(Order(id=1, total=5), id="a")

        with pytest.raises(JobConflictError, match=r"another payload \('total' differs\)"):
            charge.send(Order(id=1, total=6), id="a")

    def test_the_same_json_in_another_form_is_the_same_payload(self, here: Here) -> None:
        first = charge.send(b'{"id": 1, "total": 0}', id="a")  # type: ignore[arg-type]

        assert charge.send(Order(id=1), id="a") == first

    @pytest.mark.parametrize(
        ("options", "name"),
        [
            ({"attributes": {"a": "2"}}, r"attributes \('a' differs\)"),
            ({"ordering_key": "k"}, "or"),
        ],
    )
    def test_other_attributes_or_another_key_is_a_conflict(
        self, here: Here, options: Any, name: str
    ) -> None:
        charge.send(Order(id=1), id="a", attributes={"a": "1"})

        with pytest.raises(JobConflictError, match=f"another {name}"):
            charge.send(Order(id=1), id="a", **{"attributes": {"a": "1"}, **options})

    def test_an_id_belongs_to_its_job_after_the_end_too(self, here: Here) -> None:
        job = charge.send(Order(id=1), id="a")
        end(here, job, State.FAILURE)

        assert charge.send(Order(id=1), id="a").status is State.FAILURE

    def test_the_tasks_function_makes_ids(self, here: Here) -> None:
        @message_handler(name="charge", id=lambda order: order.id)
        def by_id(order: Order) -> None: ...

        assert by_id.send(Order(id=5)).id == "5"
        assert by_id.send({"id": 6}).id == "6"  # type: ignore[arg-type]
        assert by_id.send(Order(id=5), id="other").id == "other"

    @pytest.mark.parametrize(
        ("value", "text"),
        [("a", "a"), (1, "1"), (UUID(int=1), str(UUID(int=1))), (date(2026, 1, 2), "2026-01-02")],
    )
    def test_an_id_may_be_made_of_these(self, here: Here, value: Any, text: str) -> None:
        @message_handler(name="charge", id=lambda _: value)
        def by_id(order: Order) -> None: ...

        assert by_id.send(Order(id=5)).id == text

    @pytest.mark.parametrize("value", [None, b"a", True, Order(id=1)])
    def test_an_id_of_another_kind_is_refused(self, here: Here, value: Any) -> None:
        @message_handler(name="charge", id=lambda _: value)
        def by_id(order: Order) -> None: ...

        with pytest.raises(TypeError, match=r"id= returned a .*: expected a text"):
            by_id.send(Order(id=5))


class TestLimits:
    def unique(self, **options: Any) -> Any:
        @message_handler(name="charge", unique=lambda order: order.id, **options)
        def one_at_a_time(order: Order) -> int:
            return 0

        return one_at_a_time

    def test_a_unique_key_has_one_job_until_it_ends(self, here: Here) -> None:
        task = self.unique()
        first, again = task.send(Order(id=1, total=1)), task.send(Order(id=1, total=2))
        other = task.send(Order(id=2))
        end(here, first)

        assert first == again != other
        assert task.send(Order(id=1)) not in (first, other)
        assert len(here.wakes()) == 3

    def test_a_duplicate_raises_if_the_task_says_so(self, here: Here) -> None:
        task = self.unique(on_duplicate="raise")
        first = task.send(Order(id=1))

        with pytest.raises(DuplicateJobError, match="hasn't ended") as caught:
            task.send(Order(id=1))

        assert caught.value.id == first.id

    def test_a_failed_job_is_not_retried_while_another_has_its_key(self, here: Here) -> None:
        task = self.unique()
        first = task.send(Order(id=1))
        end(here, first, State.FAILURE)
        task.send(Order(id=1))

        with pytest.raises(JobConflictError, match="unique key"):
            first.retry()

    def test_a_full_queue_refuses_new_jobs_and_knows_those_it_has(self, here: Here) -> None:
        @message_handler(name="charge", max_pending=2)
        def bounded(order: Order) -> None: ...

        first, _ = bounded.send(Order(id=1), id="a"), bounded.send(Order(id=2))
        with pytest.raises(QueueFull, match="2 jobs of 'charge' wait"):
            bounded.send(Order(id=3))

        assert bounded.send(Order(id=1), id="a") == first
        end(here, first)
        bounded.send(Order(id=3))

    def test_a_full_queue_returns_the_job_of_a_unique_key(self, here: Here) -> None:
        @message_handler(name="charge", max_pending=1, unique=lambda order: order.id)
        def bounded(order: Order) -> None: ...

        first = bounded.send(Order(id=1))

        assert bounded.send(Order(id=1, total=5)) == first
        with pytest.raises(QueueFull):
            bounded.send(Order(id=2))


class TestByName:
    @pytest.mark.parametrize("name", ["only_here", f"{__name__}.only_here"])
    def test_a_task_of_this_process_is_found_by_its_name(self, here: Here, name: str) -> None:
        job = ucam_faas.send(name, Order(id=1), id="a")

        assert job == only_here.send(Order(id=1), id="a")
        with pytest.raises(ValueError, match="rejects the payload"):
            ucam_faas.send(name, {"total": 1})

    @pytest.mark.parametrize(
        ("payload", "data"),
        [
            ({"day": date(2026, 1, 2)}, b'{"day":"2026-01-02"}'),
            (Order(id=1), b'{"id":1,"total":0}'),
            (b"\x00", b"\x00"),
            ("text", b'"text"'),
        ],
    )
    def test_a_task_of_another_process_gets_json_or_bytes(
        self, here: Here, payload: Any, data: bytes
    ) -> None:
        job = ucam_faas.send("elsewhere.tasks.ask", payload)

        assert (job.task, here.row(job).payload) == ("ask", data)
        assert here.wakes("ask-inbox") == [job.id]

    def test_a_payload_may_be_missing(self, here: Here) -> None:
        row = here.row(asyncio.run(ucam_faas.send_async("ask")))

        assert (row.payload, row.attributes) == (b"", {"ucam_faas_trigger": "publish"})

    def test_a_payload_that_is_not_json_is_refused(self, here: Here) -> None:
        with pytest.raises(TypeError, match=r"type object .* 'ask'"):
            ucam_faas.send("ask", object())

    def test_a_timeout_is_at_most_pubsubs_longest(self, here: Here) -> None:
        ucam_faas.send("ask", timeout=timedelta(minutes=10))

        with pytest.raises(ValueError, match="at most 600 s"):
            ucam_faas.send("ask", timeout=timedelta(minutes=11))

    def test_a_name_that_no_task_can_have_is_refused(self, here: Here) -> None:
        with pytest.raises(TaskDefinitionError, match="expected letters"):
            ucam_faas.send("shop.the task")

    def test_a_job_is_found_by_its_task_and_its_id(self, here: Here) -> None:
        job = charge.send(Order(id=1), id="a")

        assert job == ucam_faas.get_job("charge", "a") == ucam_faas.get_job(charge, "a")
        assert job == asyncio.run(ucam_faas.get_job_async(f"{__name__}.charge", "a"))
        assert job == ucam_faas.get_job("a")

    @pytest.mark.parametrize("arguments", [("charge", "b"), ("ask", "a"), ("b",)])
    def test_a_job_that_is_not_there_is_not_found(self, here: Here, arguments: Any) -> None:
        charge.send(Order(id=1), id="a")

        with pytest.raises(JobNotFoundError, match="'default' has no job"):
            ucam_faas.get_job(*arguments)

    def test_a_task_alone_names_no_job(self, here: Here) -> None:
        with pytest.raises(TypeError, match="expected the id of a job, or a task and an id"):
            ucam_faas.get_job(charge)

    def test_a_job_of_another_application_is_not_found(self, here: Here) -> None:
        charge.send(Order(id=1), id="a")
        other = replace(runtime.current(), settings=Settings(app="other"))
        runtime.CURRENT.set(other)

        with pytest.raises(JobNotFoundError, match="'other' has no job"):
            ucam_faas.get_job("charge", "a")

    def test_an_id_of_several_tasks_needs_the_task(self, here: Here) -> None:
        charge.send(Order(id=1), id="a")
        ucam_faas.send("ask", id="a")

        with pytest.raises(JobConflictError, match=r"'charge', 'ask'|'ask', 'charge'"):
            ucam_faas.get_job("a")

    def test_something_that_is_not_a_task_is_named(self, here: Here) -> None:
        with pytest.raises(TypeError, match="is not a task"):
            ucam_faas.get_job(len, "a")


class TestWithoutAStore:
    def test_the_payload_is_published_to_the_inbox(self, without_store: MemoryPublisher) -> None:
        job = charge.send(Order(id=1), attributes={"a": "b"}, ordering_key="k")

        (message,) = without_store.topics[INBOX]
        assert (message.data, message.attributes) == (b'{"id":1,"total":0}', {"a": "b"})
        assert (message.message_id, message.ordering_key) == (job.id, "k")

    def test_the_handle_says_that_it_can_not_be_followed(
        self, without_store: MemoryPublisher
    ) -> None:
        job = charge.send(Order(id=1))

        assert repr(job) == "<Job '1' of 'charge', which no store keeps>"
        for action in (
            lambda: job.status,
            lambda: job.history,
            lambda: job.result(1),
            lambda: asyncio.run(job.wait_async()),
            job.cancel,
            job.retry,
            job.resume,
            job.delete,
        ):
            with pytest.raises(NoJobStoreError, match="UCAM_FAAS_JOB_STORE"):
                action()

    @pytest.mark.parametrize(
        "options",
        [{"id": "a"}, {"delay": timedelta(1)}, {"ttl": timedelta(1)}, {"retry": RetryPolicy()}],
    )
    def test_options_that_need_a_store_are_refused(
        self, without_store: MemoryPublisher, options: dict[str, Any]
    ) -> None:
        with pytest.raises(NoJobStoreError, match=f"so {next(iter(options))}= can have no effect"):
            charge.send(Order(id=1), **options)

        assert without_store.topics[INBOX] == []

    def test_limits_that_need_a_store_are_refused(self, without_store: MemoryPublisher) -> None:
        @message_handler(name="charge", max_pending=2)
        def bounded(order: Order) -> None: ...

        with pytest.raises(NoJobStoreError, match="the task's max_pending="):
            bounded.send(Order(id=1))

    def test_no_job_is_found(self, without_store: MemoryPublisher) -> None:
        with pytest.raises(NoJobStoreError, match="no job can be found"):
            ucam_faas.get_job("charge", "a")

    def test_a_message_that_is_not_published_is_not_sent(
        self, without_store: MemoryPublisher
    ) -> None:
        del without_store.topics[INBOX]

        with pytest.raises(PublishError):
            charge.send(Order(id=1))


class TestFollowing:
    def test_an_entry_of_the_history_is_one_short_line(self) -> None:
        entry = Entry(time=1.5, state=State.PENDING, cause="failed", execution=2, message="503")

        assert repr(entry) == "<1970-01-01 00:00:01+00:00 PENDING failed: 503>"
        assert repr(replace(entry, message="")) == "<1970-01-01 00:00:01+00:00 PENDING failed>"

    def test_a_result_has_the_type_of_the_tasks_annotation(self, here: Here) -> None:
        @message_handler(name="charge")
        def receipt(order: Order) -> Order:
            return order

        job = receipt.send(Order(id=1))
        end(here, job, result=b'{"id": 1, "total": 2}')

        assert job.result(1) == Order(id=1, total=2)
        assert asyncio.run(job.result_async(timeout=1)) == Order(id=1, total=2)
        assert job.wait(1) is asyncio.run(job.wait_async(1)) is State.SUCCESS

    def test_waiting_ends_with_its_timeout(self, here: Here) -> None:
        job = charge.send(Order(id=1))

        with pytest.raises(TimeoutError, match="has not ended within 0 s: it is PENDING"):
            job.result(timeout=0)
        with pytest.raises(TimeoutError, match="has not ended within 0 s: it is PENDING"):
            asyncio.run(job.result_async(timeout=0))

    def test_every_action_has_an_async_twin(self, here: Here) -> None:
        async def main() -> list[object]:
            job = await charge.send_async(Order(id=1))
            return [
                await job.cancel_async(),
                await job.retry_async(),
                await job.resume_async(),
                await job.delete_async(),
                await job.delete_async(),
            ]

        assert asyncio.run(main()) == ["CANCELLED", "PENDING", "PENDING", True, False]

    def test_a_job_that_ended_stays_as_it_is(self, here: Here) -> None:
        job = charge.send(Order(id=1))
        end(here, job)

        assert (job.cancel(), job.retry(), job.resume()) == (State.SUCCESS,) * 3

    def test_a_failure_has_its_state(self, here: Here) -> None:
        job = charge.send(Order(id=1))
        job.cancel()

        with pytest.raises(JobFailed, match="CANCELLED") as caught:
            job.result(1)
        assert (caught.value.state, caught.value.cause) == ("CANCELLED", None)


class BrokenStore(SqliteStore):
    """A store that stops answering after some batches."""

    batches = 1

    def insert(self, rows: Any, **options: Any) -> list[Row]:
        """Insert rows, the first times."""
        if self.batches == 0:
            raise JobStoreError("The job store is down.")
        self.batches -= 1
        return super().insert(rows, **options)


class LateStore(SqliteStore):
    """A store before whose inserts something happens."""

    on_insert: Any = bool

    def insert(self, rows: Any, **options: Any) -> list[Row]:
        """Insert rows, late."""
        self.on_insert()
        return super().insert(rows, **options)


class DyingPublisher(MemoryPublisher):
    """A Pub/Sub that stops answering after its first batch."""

    refused = 0

    def publish_many(self, topic: str, drafts: Any, *, timeout_seconds: float = 10.0) -> list[str]:
        """Publish a batch, once."""
        if self.topics[topic]:
            self.refused += 1
            raise PublishError("Pub/Sub does not answer")
        return super().publish_many(topic, drafts, timeout_seconds=timeout_seconds)


class TestSendMany:
    @pytest.mark.slow
    def test_a_batch_is_as_many_jobs_in_its_order(self, here: Here) -> None:
        orders = [Order(id=number) for number in range(2500)]

        jobs = charge.send_many(orders)

        assert here.wakes() == [job.id for job in jobs]
        assert [json.loads(here.row(job).payload)["id"] for job in jobs[::500]] == [
            *range(0, 2500, 500)
        ]

    def test_the_rest_is_sent_and_the_error_says_which_were_not_and_why(self, here: Here) -> None:
        orders: list[Any] = [Order(id=number) for number in range(10)]
        orders[3], orders[7] = {"id": "x"}, object()
        charge.send(Order(id=0), id="5")

        with pytest.raises(BatchSendError, match="3 of 10 jobs were not sent") as caught:
            charge.send_many(orders, id=lambda order: order.id)

        assert [failure.index for failure in caught.value.failed] == [3, 5, 7]
        kinds = (ValueError, JobConflictError, ValueError)
        errors = [failure.error for failure in caught.value.failed]
        assert all(map(isinstance, errors, kinds)), errors
        assert caught.value.failed[0].payload == {"id": "x"}
        assert "x" not in repr(caught.value.failed[0]).replace("index", "")
        assert [job.id for job in caught.value.jobs] == [*"0124689"]

    @pytest.mark.slow
    def test_the_same_call_again_sends_only_the_rest(self, publisher: MemoryPublisher) -> None:
        store = BrokenStore(":memory:", ManualClock())
        runtime.CURRENT.set(Runtime(Settings(), ManualClock(), publisher, store=store))
        orders = [Order(id=number) for number in range(2500)]

        def call() -> Any:
            return charge.send_many(orders, id=lambda order: order.id)

        with pytest.raises(BatchSendError, match="The job store is down") as caught:
            call()
        store.batches = 99
        again = call()

        assert [failure.index for failure in caught.value.failed] == [*range(1000, 2500)]
        assert [job.id for job in again] == [str(number) for number in range(2500)]
        assert len(publisher.topics[INBOX]) == 2500

    def test_a_silent_pubsub_is_asked_to_wake_one_batch_alone(self, here: Here) -> None:
        charge.send(Order(id=0))
        publisher = DyingPublisher({INBOX: here.publisher.topics[INBOX]})
        runtime.CURRENT.set(Runtime(Settings(), here.clock, publisher, store=here.store))

        jobs = charge.send_many([Order(id=number) for number in range(2500)])

        assert len(jobs) == 2500
        assert publisher.refused == 1

    def test_without_a_store_the_error_has_the_payloads_that_are_left(self) -> None:
        publisher = DyingPublisher({INBOX: []})
        runtime.CURRENT.set(Runtime(Settings(), ManualClock(), publisher))

        with pytest.raises(BatchSendError, match="500 of 1500") as caught:
            charge.send_many([Order(id=number) for number in range(1500)])

        assert caught.value.failed[0].payload == Order(id=1000)
        assert len(publisher.topics[INBOX]) == len(caught.value.jobs) == 1000

    def test_a_full_queue_takes_as_many_as_it_has_room_for(self, here: Here) -> None:
        @message_handler(name="charge", max_pending=3)
        def bounded(order: Order) -> None: ...

        with pytest.raises(BatchSendError) as caught:
            bounded.send_many([Order(id=number) for number in range(5)])

        assert [failure.index for failure in caught.value.failed] == [3, 4]
        assert isinstance(caught.value.failed[0].error, QueueFull)

    def test_a_full_queue_knows_the_jobs_of_a_batch_that_it_has(self, here: Here) -> None:
        @message_handler(name="charge", max_pending=3, id=lambda order: order.id)
        def bounded(order: Order) -> None: ...

        orders = [Order(id=number) for number in (0, 0, 1, 2, 2, 3, 4)]
        with pytest.raises(BatchSendError) as first:
            bounded.send_many(orders)
        end(here, ucam_faas.get_job("charge", "0"))

        with pytest.raises(BatchSendError) as caught:
            bounded.send_many(orders)

        assert [job.id for job in first.value.jobs] == [*"00122"]
        assert [failure.index for failure in caught.value.failed] == [6]
        assert [job.id for job in caught.value.jobs] == [*"001223"]
        assert here.wakes() == [*"0123"]

    def test_a_batch_with_options_that_can_never_work_sends_nothing(self, here: Here) -> None:
        with pytest.raises(TypeError, match="expected a timedelta"):
            charge.send_many([Order(id=1)], delay=5)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="expected a function"):
            charge.send_many([Order(id=1)], id="a")  # type: ignore[arg-type]

        assert here.store.find("default") == []

    def test_an_empty_batch_is_no_jobs(self, here: Here) -> None:
        assert asyncio.run(charge.send_many_async([])) == []


class TestFromWithinATask:
    """The sends of a running execution."""

    def attempt(self, here: Here, sends: list[int], key: Key) -> list[str]:
        """Run a parent that sends orders."""
        row = here.store.claim(key, lease=30, instance="test")
        assert row is not None
        token = children.PARENT.set(None)
        children.of_job(row)
        try:
            return [charge.send(Order(id=number)).id for number in sends]
        finally:
            children.PARENT.reset(token)
            again = Change(state=State.PENDING, cause="failed", visit=0, wait=0)
            here.store.change(key, again, fence=row.fence)

    def test_a_parent_that_is_retried_doubles_no_child(self, here: Here) -> None:
        key = ucam_faas.send("ask").key

        first = self.attempt(here, [1, 2, 2], key)
        second = self.attempt(here, [1, 2, 2], key)

        assert first == second
        assert len(here.store.find("default", task="charge")) == 3
        assert {here.row(charge_job).source for charge_job in map(get, first)} == {"ask"}

    def test_the_children_of_two_parents_are_not_each_others(self, here: Here) -> None:
        keys = [ucam_faas.send("ask").key for _ in range(2)]

        first, second = (self.attempt(here, [1], key) for key in keys)

        assert first != second

    @pytest.mark.slow
    @given(sends=strategies.lists(strategies.integers(1, 3), max_size=6), data=strategies.data())
    def test_an_attempt_that_breaks_off_leaves_no_child_out_and_doubles_none(
        self, sends: list[int], data: strategies.DataObject
    ) -> None:
        clock = ManualClock()
        store = SqliteStore(":memory:", clock)
        publisher = MemoryPublisher({INBOX: [], "ask-inbox": []})
        runtime.CURRENT.set(Runtime(Settings(), clock, publisher, store=store))
        here = Here(clock, store, publisher)
        key = ucam_faas.send("ask").key

        self.attempt(here, sends[: data.draw(strategies.integers(0, len(sends)))], key)
        self.attempt(here, data.draw(strategies.permutations(sends)), key)

        rows = store.find("default", task="charge")
        assert sorted(json.loads(row.payload)["id"] for row in rows) == sorted(sends)
        store.close()

    def test_a_process_that_lost_its_job_can_not_send(self, here: Here) -> None:
        key = ucam_faas.send("ask").key
        row = here.store.claim(key, lease=30, instance="old")
        assert row is not None
        here.clock.advance(30)
        assert here.store.claim(key, lease=30, instance="new") is not None
        children.of_job(row)

        with pytest.raises(JobLostError, match="isn't this execution's any more"):
            charge.send(Order(id=1))
        with pytest.raises(JobLostError):
            charge.send_many([Order(id=1)])

        assert here.store.find("default", task="charge") == []

    def test_a_process_that_loses_its_job_while_it_sends_sends_nothing(self) -> None:
        clock = ManualClock()
        publisher = MemoryPublisher({INBOX: [], "ask-inbox": []})
        store = LateStore(":memory:", clock)
        runtime.CURRENT.set(Runtime(Settings(), clock, publisher, store=store))
        key = ucam_faas.send("ask").key
        row = store.claim(key, lease=30, instance="old")
        assert row is not None
        children.of_job(row)
        store.on_insert = lambda: (clock.advance(30), store.claim(key, lease=30, instance="new"))

        with pytest.raises(JobLostError):
            charge.send(Order(id=1))
        with pytest.raises(JobLostError):
            charge.send_many([Order(id=1)])

        assert store.find("default", task="charge") == []
        store.close()

    def test_a_redelivered_message_doubles_no_child(self, here: Here) -> None:
        @message_handler(message_type=None)
        def parent(data: bytes) -> None:
            charge.send(Order(id=1))
            charge.send(Order(id=1))

        def deliver(id: str) -> None:
            event = make_message_event(b"x")
            event["id"] = id
            delivery = envelopes.of_cloud_event(event)
            assert execute(Execution(parent.task, delivery, runtime.current())).error is None

        for _ in range(2):
            deliver("1")
        children_so_far = len(here.store.find("default"))
        deliver("2")

        assert (children_so_far, len(here.store.find("default"))) == (2, 4)


def get(id: str) -> Job[Any]:
    return ucam_faas.get_job("charge", id)


def test_a_raw_task_is_sent_bytes(here: Here, publisher: MemoryPublisher) -> None:
    @raw_event(name="charge")
    def count(body: bytes) -> int:
        return len(body)

    assert here.row(count.send(b"1234")).payload == b"1234"
