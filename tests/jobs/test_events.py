"""The events of jobs: published at their ends, at least once, and with one id each."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import ucam_faas
from tests.jobs.runs import FaultyStore, add, row_of, wake
from tests.serving.harness import exchange, make_app, on_a_loop
from ucam_faas import JobEvent, RetryPolicy, State
from ucam_faas.events.messages import PubsubMessage
from ucam_faas.exceptions import PublishError
from ucam_faas.execution import inbox
from ucam_faas.job_runs import events
from ucam_faas.jobs.handle import Job
from ucam_faas.jobs.rows import Key
from ucam_faas.jobs.sweep import RETENTION_SECONDS, sweep
from ucam_faas.publishing import Draft
from ucam_faas.publishing.memory import MemoryPublisher
from ucam_faas.serving.app import App
from ucam_faas.testing import ManualClock, make_message, make_push


class Topic(MemoryPublisher):
    """An events topic, which can fail."""

    def __init__(self) -> None:
        super().__init__({"events": [], "task-inbox": []})
        self.raises: BaseException | None = None

    def publish_many(self, topic: str, drafts: Sequence[Draft], **options: Any) -> list[str]:
        if self.raises is not None and topic == "events":
            raise self.raises
        return super().publish_many(topic, drafts, **options)

    @property
    def messages(self) -> list[PubsubMessage]:
        return self.topics["events"]

    @property
    def events(self) -> list[JobEvent]:
        return [JobEvent.model_validate_json(message.data) for message in self.messages]

    @property
    def ids(self) -> list[str]:
        return [message.attributes["ce-id"] for message in self.messages]


@pytest.fixture
def topic() -> Topic:
    return Topic()


@pytest.fixture
def serve(clock: ManualClock, store: FaultyStore, topic: Topic) -> Any:
    """Return a function that serves a task which fails unless its payload is b"good"."""

    def serve(events_topic: str | None = "events", **options: Any) -> App:
        def task(data: bytes) -> None:
            if data != b"good":
                raise ValueError("the card of Ada was refused")

        options = {"message_type": None, "retry": RetryPolicy(max_attempts=1), **options}
        made = ucam_faas.message_handler(**options)(task)
        return make_app(made, clock=clock, store=store, publisher=topic, events_topic=events_topic)

    return serve


def swept(app: App, store: FaultyStore) -> int:
    """Sweep once."""
    here = app.runtime
    publish = events.publisher(here)
    return sweep(store, "default", lambda wakes: inbox.wake(here, wakes), publish=publish)


@on_a_loop
async def test_a_job_that_failed_has_an_event_without_data_of_its_payload(
    serve: Any, store: FaultyStore, topic: Topic, clock: ManualClock
) -> None:
    app = serve()
    key = add(store, payload=b"Ada's order", id="order-17")

    await wake(app, id="order-17")

    (event,), (message,) = topic.events, topic.messages
    ended = datetime.fromtimestamp(row_of(store, key).history[-1].time, UTC)
    assert event == JobEvent(
        app="default",
        task="task",
        id="order-17",
        state=State.FAILURE,
        cause="failed",
        attempts=1,
        error="ValueError",
        ended=ended,
    )
    assert event.type == "core.task.task.failure.v1"
    assert b"Ada" not in message.data
    assert message.attributes == {
        "ce-specversion": "1.0",
        "ce-id": topic.ids[0],
        "ce-source": "/ucam-faas/apps/default/tasks/task",
        "ce-type": "core.task.task.failure.v1",
        "ce-time": ended.isoformat(),
        "Content-Type": "application/json",
        "app": "default",
        "task": "task",
        "state": "FAILURE",
        "cause": "failed",
    }


@on_a_loop
async def test_an_event_is_noted_in_its_row_which_is_kept_until_the_retention_ends(
    serve: Any, store: FaultyStore, topic: Topic, clock: ManualClock
) -> None:
    app = serve()
    key = add(store)

    await wake(app)

    row = row_of(store, key)
    assert (row.event_due, row.visit) == (False, pytest.approx(store.now() + RETENTION_SECONDS))
    clock.advance(RETENTION_SECONDS - 1)
    assert swept(app, store) == 0
    assert len(topic.events) == 1


@on_a_loop
@pytest.mark.parametrize(
    ("events", "payload", "states"),
    [
        ("failures", b"good", []),
        ("failures", b"bad", [State.FAILURE]),
        ("all", b"good", [State.SUCCESS]),
        ("all", b"bad", [State.FAILURE]),
        ("none", b"bad", []),
    ],
)
async def test_a_task_says_which_ends_have_events(
    serve: Any, store: FaultyStore, topic: Topic, events: str, payload: bytes, states: list[State]
) -> None:
    app = serve(events=events)
    add(store, payload=payload)

    await wake(app)

    assert [event.state for event in topic.events] == states
    assert all(
        event.type.startswith("core.task.task.success") == (event.state is State.SUCCESS)
        for event in topic.events
    )


@on_a_loop
async def test_a_success_whose_event_nobody_asked_for_costs_no_write(
    serve: Any, store: FaultyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = serve()
    add(store, payload=b"good")
    visits: list[Any] = []
    monkeypatch.setattr(store, "visit", lambda *arguments, **options: visits.append(arguments))

    await wake(app)

    assert (store.changes, visits) == (1, [])


@on_a_loop
async def test_there_are_no_events_without_a_topic(
    serve: Any, store: FaultyStore, topic: Topic
) -> None:
    app = serve(events_topic=None, events="all")
    key = add(store)

    await wake(app)

    assert (topic.events, row_of(store, key).event_due) == ([], False)


@on_a_loop
async def test_a_job_that_is_tried_again_has_no_event_before_its_last_attempt(
    serve: Any, store: FaultyStore, topic: Topic, clock: ManualClock
) -> None:
    app = serve(retry=RetryPolicy(max_attempts=5))
    add(store)
    counts = []

    for _ in range(5):
        await wake(app)
        counts.append(len(topic.events))
        clock.advance(700)

    assert counts == [0, 0, 0, 0, 1]


@on_a_loop
@pytest.mark.parametrize("repeats", ["wake", "sweep"])
async def test_the_event_of_a_process_that_ended_before_it_was_published_is_repeated(
    serve: Any, store: FaultyStore, topic: Topic, clock: ManualClock, repeats: str
) -> None:
    app = serve()
    add(store)
    topic.raises = PublishError("killed here")
    await wake(app)
    topic.raises = None
    assert topic.events == []

    if repeats == "wake":
        await wake(app)
    else:
        clock.advance(60)
        swept(app, store)
        swept(app, store)
    await wake(app)

    assert [event.state for event in topic.events] == [State.FAILURE]


@on_a_loop
async def test_an_event_that_was_published_before_its_process_ended_is_repeated_with_its_id(
    serve: Any, store: FaultyStore, topic: Topic, clock: ManualClock
) -> None:
    app = serve()
    key = add(store)
    visit = store.visit
    store.visit = lambda *_, **__: None  # type: ignore[method-assign]
    await wake(app)
    store.visit = visit  # type: ignore[method-assign]
    assert row_of(store, key).event_due

    clock.advance(60)
    swept(app, store)

    first, second = topic.messages
    assert (first.data, first.attributes) == (second.data, second.attributes)
    assert not row_of(store, key).event_due


@on_a_loop
async def test_a_job_that_is_retried_and_fails_again_has_an_event_of_another_id(
    serve: Any, store: FaultyStore, topic: Topic
) -> None:
    app = serve()
    key = add(store)
    await wake(app)

    Job(key, store).retry()
    await wake(app)

    assert [event.attempts for event in topic.events] == [1, 1]
    assert len(set(topic.ids)) == 2


@on_a_loop
async def test_a_job_that_fails_again_while_its_event_is_published_has_both_events(
    serve: Any, store: FaultyStore, topic: Topic, clock: ManualClock
) -> None:
    app = serve()
    key = add(store)
    topic.raises = PublishError("503")
    await wake(app)
    first = store.get(key)
    assert first is not None
    Job(key, store).retry()
    await wake(app)
    topic.raises = None

    assert events.publish(app.runtime, [first])  # by a process that was slow
    clock.advance(61)
    swept(app, store)

    assert len(set(topic.ids)) == 2


@on_a_loop
async def test_an_event_that_cant_be_published_changes_nothing_else(
    serve: Any,
    store: FaultyStore,
    topic: Topic,
    clock: ManualClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = serve()
    key = add(store)
    topic.raises = PublishError("no such topic")

    with caplog.at_level(logging.ERROR, logger="ucam_faas"):
        answer = await wake(app)

    assert (answer.status, row_of(store, key).state) == (200, State.FAILURE)
    assert "ucam_faas_event_failed" in [record.message for record in caplog.records]
    due = add(store, id="2")
    clock.advance(60)
    assert swept(app, store) == 2
    assert [message.attributes[inbox.JOB_ATTRIBUTE] for message in topic.topics["task-inbox"]] == [
        due.id
    ]


@on_a_loop
async def test_an_event_that_cant_be_published_is_given_up_when_the_retention_ends(
    serve: Any, store: FaultyStore, topic: Topic, clock: ManualClock
) -> None:
    app = serve()
    key = add(store, options={"retention": 150.0})
    topic.raises = PublishError("no such topic")
    await wake(app)

    there = []
    for _ in range(3):
        clock.advance(60)
        swept(app, store)
        there.append(store.get(key) is not None)

    assert there == [True, True, False]


@on_a_loop
async def test_events_that_are_due_when_the_topic_is_unset_are_dropped(
    serve: Any, store: FaultyStore, topic: Topic, clock: ManualClock
) -> None:
    topic.raises = PublishError("down")
    await wake(serve(), id=add(store).id)
    topic.raises = None

    clock.advance(60)
    app = serve(events_topic=None)
    counts = swept(app, store), swept(app, store)

    assert (counts, topic.events) == ((1, 0), [])


@on_a_loop
async def test_a_job_whose_processes_were_lost_too_often_has_an_event(
    serve: Any, store: FaultyStore, topic: Topic, clock: ManualClock
) -> None:
    app = serve()
    key = add(store)
    store.claim(key, lease=1, instance="lost")
    clock.advance(2)

    await wake(app)

    assert [(event.cause, event.error) for event in topic.events] == [("crashed", "Crashed")]


@on_a_loop
@pytest.mark.parametrize(("options", "count"), [({}, 1), ({"events": "none"}, 0)])
async def test_a_job_that_expired_has_an_event(
    serve: Any,
    store: FaultyStore,
    topic: Topic,
    clock: ManualClock,
    options: dict[str, Any],
    count: int,
) -> None:
    app = serve()
    key = add(store, expires=30.0, options=options)

    clock.advance(30)
    swept(app, store)

    assert row_of(store, key).visit == store.now() + RETENTION_SECONDS
    expected = [(State.EXPIRED, "expired", None, "core.task.task.failure.v1")]
    events = [(event.state, event.cause, event.error, event.type) for event in topic.events]
    assert events == expected * count


@on_a_loop
async def test_a_job_that_expired_with_its_process_has_an_event(
    serve: Any, store: FaultyStore, topic: Topic, clock: ManualClock
) -> None:
    app = serve()
    key = add(store, expires=20.0)
    store.claim(key, lease=30, instance="lost")

    clock.advance(31)
    await wake(app)

    assert [(event.state, event.cause) for event in topic.events] == [(State.EXPIRED, "expired")]
    assert not row_of(store, key).event_due


@on_a_loop
async def test_a_job_that_was_cancelled_has_no_event(
    serve: Any, store: FaultyStore, topic: Topic
) -> None:
    serve(events="all")
    key = add(store)

    assert Job(key, store).cancel() is State.CANCELLED

    assert (topic.events, row_of(store, key).event_due) == ([], False)


@on_a_loop
@pytest.mark.parametrize("name", ["events", "projects/p/topics/events"])
async def test_a_reader_of_events_that_fails_has_no_event(
    serve: Any, store: FaultyStore, topic: Topic, name: str
) -> None:
    """It would get its own failure, and fail again."""
    app = serve(topic=name, idempotent=True)
    push = make_push(make_message(b"an event", message_id="1"))

    await exchange(app, "/task", [push.body], headers=push.headers)

    assert row_of(store, Key("default", "task", "1")).state is State.FAILURE
    assert topic.events == []


def test_the_test_tools_have_the_events(ucam_faas_jobs: Any) -> None:
    @ucam_faas.message_handler(retry=RetryPolicy(max_attempts=1))
    def charge(pence: int) -> None:
        raise ValueError

    @ucam_faas.message_handler(events="all")
    def ship(order: int) -> None: ...

    jobs = ucam_faas_jobs(charge, ship)
    charge.send(1)
    ship.send(2, delay=timedelta(minutes=1), ttl=timedelta(minutes=2))
    jobs.advance(timedelta(minutes=1))

    assert [(event.task, event.state) for event in jobs.events] == [
        ("charge", State.FAILURE),
        ("ship", State.SUCCESS),
    ]


@pytest.mark.parametrize("seed", range(5))
def test_each_failure_has_an_event_whatever_happens_to_the_jobs(
    ucam_faas_jobs: Any, seed: int
) -> None:
    @ucam_faas.message_handler(retry=RetryPolicy(max_attempts=1))
    def charge(pence: int) -> None:
        raise ValueError

    jobs = ucam_faas_jobs(charge, deliveries="hostile", seed=seed)
    sent = [charge.send(pence) for pence in range(5)]

    jobs.advance(timedelta(hours=1))

    assert {event.id for event in jobs.events} == {job.id for job in sent}
