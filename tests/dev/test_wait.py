"""`ucam-faas publish --wait` under a real `ucam-faas dev`: it ends as the message does."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from ucam_faas.dev.history import History
from ucam_faas.dev.observer import SessionObserver
from ucam_faas.dev.stream import Stream
from ucam_faas.emulator.core.storage import Message
from ucam_faas.tasks.needs import ScheduleNeeds, TaskNeeds

from .cloud import Dev
from .conftest import StartDev


@pytest.mark.slow
def test_waiting_ends_with_0_when_the_task_has_handled_the_message(dev: Dev) -> None:
    done = dev.run("publish", "store", '{"number": 901}', "--wait")

    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("Handled by store, attempt 1.\n")
    assert dev.effects("store", number=901)


@pytest.mark.slow
def test_waiting_ends_with_1_at_a_dead_letter_and_tells_the_attempts(dev: Dev) -> None:
    done = dev.run("publish", "fail", "nine", "--wait")

    assert done.returncode == 1, done.stderr
    *attempts, last = done.stdout.splitlines()[1:]
    assert [line.partition(" failed")[0] for line in attempts] == [
        f"Attempt {number}" for number in range(1, 5)
    ]
    assert last.startswith("Given up by fail: it is a dead letter now, message ")
    assert last.endswith(" of fail-dead-letter.")


@pytest.mark.slow
def test_waiting_ends_with_an_error_when_dev_ends(start_dev: StartDev) -> None:
    dev = start_dev(UCAM_FAAS_GRACE_SECONDS="0")
    dev.say("broken")
    dev.rest.publish("flaky", b"first")
    dev.wait_shown("retry", "flaky")
    waiting = dev.start("publish", "flaky", "second", "--wait")
    try:
        dev.wait_shown("published", "flaky", count=2)

        dev.end()

        assert waiting.wait() == 2
        assert "`ucam-faas dev` has ended before the message was handled" in waiting.stderr
    finally:
        waiting.kill()


def page(history: History, query: str) -> Any:
    return json.loads(asyncio.run(history.page(query))[1])


def steps(history: History, number: int, after: int = 0) -> Any:
    return page(history, f"task=store&message={number}&after={after}")["steps"]


def tell(history: History, event: str, number: int, **fields: Any) -> None:
    message = Message(number, 0.0, "", {}, b"")
    getattr(history, event)("projects/local/subscriptions/store", message, **fields)


def test_a_message_that_is_only_published_or_delivered_has_no_history() -> None:
    history = History()
    observer = SessionObserver(Stream(lambda line: None, colours=False), history)
    message = Message(1, 0.0, "", {}, b"")

    observer.published("t", [message])
    observer.delivered("projects/local/subscriptions/store", message, 1)

    assert steps(history, 1) == []


def test_only_the_steps_that_are_new_are_told() -> None:
    history = History()
    tell(history, "failed", 1, attempt=1, status=500, retry_seconds=1.0)
    tell(history, "acknowledged", 1, attempt=2)

    assert [step["event"] for step in steps(history, 1)] == ["failed", "acknowledged"]
    assert [step["event"] for step in steps(history, 1, after=1)] == ["acknowledged"]
    assert steps(history, 1, after=2) == []
    assert page(history, "") == {"steps": [], "down": None}


def test_a_task_whose_start_up_failed_is_told_until_it_is_served() -> None:
    history = History()

    history.serves({"store": "connect failed"})
    assert page(history, "task=store&message=1")["down"] == "connect failed"
    assert page(history, "task=other&message=1")["down"] is None
    history.serves({})
    assert page(history, "task=store&message=1")["down"] is None


def test_the_last_run_of_a_schedule_has_its_task_and_message() -> None:
    history = History()
    job, message = "projects/local/locations/local/jobs/tidy", Message(5, 0.0, "", {}, b"")
    schedule = ScheduleNeeds(
        expression="0 3 * * *", time_zone="Etc/UTC", data="", attributes={}, paused=False
    )
    plan = TaskNeeds(name="tidy", path="/", takes="T", topic="tidy", schedules=(schedule,))
    history.serves({}, [plan])

    assert page(history, "schedule=tidy")["run"] == {"task": "tidy", "message": None}
    history.scheduled(job, message)
    assert page(history, "schedule=tidy")["run"] == {"task": "tidy", "message": "5"}
    history.scheduled(job, None)  # one that can't publish
    assert page(history, "schedule=tidy")["run"] == {"task": "tidy", "message": None}
    assert "run" not in page(history, "schedule=other")


def test_the_oldest_messages_are_forgotten_but_none_that_has_not_ended() -> None:
    history = History()
    tell(history, "failed", 0, attempt=1, status=500, retry_seconds=1.0)

    for number in range(1, 2001):
        tell(history, "acknowledged", number, attempt=1)

    assert steps(history, 1000) == []
    assert all(steps(history, number) for number in (0, 1001, 2000))
