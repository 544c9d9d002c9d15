"""`ucam_faas_local`: failures, backoffs, dead letters, and wrong uses."""

from __future__ import annotations

import asyncio
import threading
import urllib.error
import urllib.request
from datetime import timedelta
from itertools import pairwise
from typing import Any

import flask
import pytest

from ucam_faas import (
    DeadLetter,
    RetryPolicy,
    UCAMFAASCouldNotLoadTarget,
    http,
    message_handler,
)
from ucam_faas.config import Settings
from ucam_faas.local_testing import EmbeddedCloud, EmbeddedPubsub, NotIdleError
from ucam_faas.testing import ManualClock

from .cases import Serve
from .tasks import ATTEMPTS, User, crash, greet, values


def test_backoffs_pass_at_once(ucam_faas_local: Serve, ucam_faas_clock: ManualClock) -> None:
    times: list[float] = []

    @message_handler(message_type=None, retry=RetryPolicy(max_attempts=6))
    def fail(data: bytes) -> None:
        times.append(ucam_faas_clock.monotonic())
        raise ConnectionError

    cloud = ucam_faas_local(fail)
    cloud.publish(fail, b"x")
    cloud.wait_idle()

    waits = [round(after - before) for before, after in pairwise(times)]
    assert waits == [10, 20, 40, 80, 160]


def test_what_fails_each_time_is_dead_lettered(ucam_faas_local: Serve) -> None:
    cloud = ucam_faas_local(crash)

    message_id = cloud.publish(crash, b"x", attributes={"kind": "order"})
    cloud.wait_idle()

    (letter,) = cloud.dead_letters
    assert (letter.data, letter.attributes["kind"]) == (b"x", "order")
    assert letter.attributes["CloudPubSubDeadLetterSourceDeliveryCount"] == str(ATTEMPTS)
    assert [execution.message_id for execution in cloud.executions] == [message_id] * ATTEMPTS


def test_the_last_attempt_says_why_it_failed(ucam_faas_local: Serve) -> None:
    cloud = ucam_faas_local(crash)
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    message_id = cloud.publish(crash, b"x", attributes={"googclient_traceparent": trace})
    cloud.wait_idle()

    (letter,) = cloud.dead_letters
    reason = f"ZeroDivisionError (attempt {ATTEMPTS}, the last)"
    assert letter.attributes["ucam_faas_reason"] == reason
    assert letter.attributes["ucam_faas_message_id"] == message_id
    assert letter.attributes["googclient_traceparent"] == trace
    outcomes = [type(execution.outcome).__name__ for execution in cloud.executions]
    assert outcomes == ["Crashed"] * (ATTEMPTS - 1) + ["DeadLettered"]


def test_a_job_is_run_as_often_as_in_the_cloud(ucam_faas_local: Serve) -> None:
    """Pub/Sub would deliver it five times at least."""

    @message_handler(message_type=None, run_as="cloud-run-job", retry=RetryPolicy(max_attempts=2))
    def task(data: bytes) -> None:
        raise ValueError

    cloud = ucam_faas_local(task)
    cloud.publish(task, b"x")
    cloud.wait_idle()

    assert len(cloud.executions) == 2
    assert len(cloud.dead_letters) == 1


@pytest.mark.parametrize("deliveries", ["normal", "parallel", "hostile"])
def test_a_dead_letter_lets_the_later_messages_of_its_key_through(
    deliveries: Any, ucam_faas_local: Serve
) -> None:
    handled: list[bytes] = []

    @message_handler(message_type=None, ordered=True)
    def task(data: bytes) -> None:
        if data == b"poison":
            raise ValueError
        handled.append(data)

    cloud = ucam_faas_local(task, deliveries=deliveries)
    for data in (b"1", b"poison", b"3"):
        cloud.publish(task, data, ordering_key="k")
    cloud.wait_idle()

    (letter,) = cloud.dead_letters
    assert (letter.data, letter.ordering_key) == (b"poison", "k")
    assert letter.attributes["ucam_faas_reason"] == f"ValueError (attempt {ATTEMPTS}, the last)"
    assert list(dict.fromkeys(handled)) == [b"1", b"3"]


def test_what_a_task_gives_up_is_dead_lettered_at_once(ucam_faas_local: Serve) -> None:
    @message_handler(message_type=None, dead_letter_topic="rejected")
    def reject(data: bytes) -> None:
        raise DeadLetter("no such address")

    cloud = ucam_faas_local(reject)
    cloud.publish(reject, b"x")
    cloud.wait_idle()

    (letter,) = cloud.dead_letters
    assert letter.attributes["ucam_faas_reason"] == "no such address"
    assert len(cloud.executions) == 1
    assert [message.data for message in cloud.dead_letters] == [b"x"]  # it stays there


def test_settings_are_served_with(ucam_faas_local: Serve) -> None:
    settings = Settings(dead_letter_topic="all-dead")

    cloud = ucam_faas_local(greet, settings=settings)
    cloud.publish(greet, b"junk")
    cloud.wait_idle()

    (letter,) = cloud.dead_letters
    assert letter.data == b"junk"
    assert len(cloud.executions) == 1


def test_advancing_ends_the_backoffs_of_that_time(ucam_faas_local: Serve) -> None:
    cloud = ucam_faas_local(crash)
    cloud.publish(crash, b"x")
    counts = []

    for seconds in (0, 9, 1, 19, 1, 3600):
        cloud.advance(timedelta(seconds=seconds))
        counts.append(len(cloud.executions))

    assert counts == [1, 1, 2, 2, 3, ATTEMPTS]


def test_a_task_that_does_not_end_is_named(ucam_faas_local: Serve) -> None:
    ended = threading.Event()

    @message_handler(message_type=None)
    def forever(data: bytes) -> None:
        ended.wait()

    cloud = ucam_faas_local(forever, greet)
    cloud.publish(greet, User(name="Ada"))
    message_id = cloud.publish(forever, b"x")

    with pytest.raises(NotIdleError, match="the task 'forever'") as raised:
        cloud.wait_idle(timeout_seconds=0.05)
    ended.set()
    cloud.wait_idle()

    assert f"message {message_id}" in str(raised.value)
    assert "0.05 s" in str(raised.value)
    assert "greet" not in str(raised.value)


@pytest.mark.parametrize("deliveries", ["normal", "hostile"])
def test_a_cloud_is_closed_though_a_task_does_not_end(
    ucam_faas_pubsub: EmbeddedPubsub, ucam_faas_clock: ManualClock, deliveries: Any
) -> None:
    ended = threading.Event()

    @message_handler(message_type=None)
    def forever(data: bytes) -> None:
        ended.wait()

    @message_handler(message_type=None)
    async def forever_too(data: bytes) -> None:
        await asyncio.Event().wait()

    cloud = EmbeddedCloud(
        ucam_faas_pubsub, ucam_faas_clock, forever, forever_too, deliveries=deliveries
    )
    cloud.publish(forever, b"x")
    cloud.publish(forever_too, b"x")
    with pytest.raises(NotIdleError):
        cloud.wait_idle(timeout_seconds=0.05)

    cloud.close()
    ended.set()

    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(cloud.url, timeout=10)


@pytest.mark.parametrize("broken", [False, True])
def test_a_cloud_that_is_closed_leaves_no_thread(
    ucam_faas_clock: ManualClock, broken: bool
) -> None:
    """Also when its Pub/Sub is gone, so that closing fails."""
    before = set(threading.enumerate())
    pubsub = EmbeddedPubsub()
    pubsub.reset(ucam_faas_clock)
    cloud = EmbeddedCloud(pubsub, ucam_faas_clock, greet)
    cloud.publish(greet, User(name="Ada"))
    cloud.wait_idle()

    if broken:
        pubsub.close()
        with pytest.raises(RuntimeError, match="Pub/Sub is closed"):
            cloud.close()
    else:
        cloud.close()
        pubsub.close()

    left = [thread for thread in threading.enumerate() if thread not in before]
    for thread in left:
        thread.join(60)
    assert [thread.name for thread in left if thread.is_alive()] == []


def test_there_is_one_cloud_at_a_time(ucam_faas_local: Serve) -> None:
    first = ucam_faas_local(greet)

    with pytest.raises(RuntimeError, match="all tasks to one call"):
        ucam_faas_local(crash)
    first.publish(greet, User(name="Ada"))
    first.wait_idle()
    first.close()
    second = ucam_faas_local(crash)

    assert values(first, greet) == ["Hello Ada"]
    assert second.executions == []


def test_a_cloud_that_cannot_start_leaves_nothing_behind(ucam_faas_local: Serve) -> None:
    with pytest.raises(ValueError, match="'hostil': expected one of 'normal'"):
        ucam_faas_local(greet, deliveries="hostil")
    with pytest.raises(UCAMFAASCouldNotLoadTarget, match="not a task: decorate it"):
        ucam_faas_local(len)

    cloud = ucam_faas_local(greet)
    cloud.publish(greet, User(name="Ada"))
    cloud.wait_idle()

    assert values(cloud, greet) == ["Hello Ada"]


def test_two_tasks_of_one_name_are_refused(ucam_faas_local: Serve) -> None:
    def make() -> Any:
        @message_handler(message_type=None)
        def twin(data: bytes) -> None: ...

        return twin

    with pytest.raises(UCAMFAASCouldNotLoadTarget, match="two tasks named 'twin'"):
        ucam_faas_local(make(), make())


def test_an_http_task_has_no_topic_to_publish_to(ucam_faas_local: Serve) -> None:
    @http(path="/")
    def page(request: flask.Request) -> str:
        return "hello"

    cloud = ucam_faas_local(page)

    with pytest.raises(UCAMFAASCouldNotLoadTarget, match="'page' is an HTTP task"):
        cloud.publish(page, b"x")
