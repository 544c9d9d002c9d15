"""The tricks of hostile deliveries, and their limits."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from ucam_faas import MESSAGE_CONTEXT, message_handler
from ucam_faas.config import Settings
from ucam_faas.local_testing import EmbeddedCloud
from ucam_faas.testing import deliveries

from .cases import Serve, per_seed


@message_handler(message_type=bytes.decode)
def note(text: str) -> str:
    return text


def play(serve: Serve, seed: int, count: int = 8) -> EmbeddedCloud:
    """Publish some messages, let them come, and return the closed cloud."""
    cloud = serve(note, deliveries="hostile", seed=seed)
    for number in range(1, count + 1):
        cloud.publish(note, str(number))
    cloud.wait_idle()
    cloud.close()
    return cloud


def test_the_same_seed_does_the_same(ucam_faas_local: Serve) -> None:
    first, second = play(ucam_faas_local, 3), play(ucam_faas_local, 3)

    assert first.tricks == second.tricks
    assert first.executions[0].message_id != second.executions[0].message_id


def test_another_seed_does_something_else(ucam_faas_local: Serve) -> None:
    tricks = {tuple(play(ucam_faas_local, seed).tricks) for seed in range(5)}

    assert len(tricks) == 5


@per_seed
def test_each_message_comes_several_times(ucam_faas_local: Serve, seed: int) -> None:
    cloud = play(ucam_faas_local, seed)

    counts = Counter(execution.value for execution in cloud.executions)
    assert counts.keys() == {str(number) for number in range(1, 9)}
    assert all(4 <= count <= 7 for count in counts.values())


@per_seed
def test_the_newest_comes_first_and_the_oldest_last(ucam_faas_local: Serve, seed: int) -> None:
    cloud = play(ucam_faas_local, seed)

    values = [execution.value for execution in cloud.executions]
    assert (values[0], values[-1]) == ("8", "1")
    first_times = list(dict.fromkeys(values))
    assert first_times[-1] == "1"
    late = values[len(values) - values[::-1].index("8") :]
    assert "8" not in late


def test_nothing_comes_before_the_test_waits(ucam_faas_local: Serve) -> None:
    cloud = ucam_faas_local(note, deliveries="hostile")
    cloud.publish(note, "1")
    cloud.publish(note, "2")

    before = len(cloud.executions)
    cloud.advance(timedelta())

    assert before == 0
    assert {execution.value for execution in cloud.executions} == {"1", "2"}


@pytest.mark.parametrize("asynchronous", [False, True])
def test_copies_do_run_at_once(ucam_faas_local: Serve, asynchronous: bool) -> None:
    """However little they do before they look at each other."""
    running, most = [0], [0]

    @message_handler(message_type=None)
    def sync(data: bytes) -> None:
        running[0] += 1
        time.sleep(0.001)
        most[0] = max(most[0], running[0])
        running[0] -= 1

    @message_handler(message_type=None)
    async def coroutine(data: bytes) -> None:
        running[0] += 1
        await asyncio.sleep(0)
        most[0] = max(most[0], running[0])
        running[0] -= 1

    task: Any = coroutine if asynchronous else sync
    cloud = ucam_faas_local(task, deliveries="hostile")
    cloud.publish(task, b"x")
    cloud.wait_idle()

    assert most[0] >= 2


@pytest.mark.parametrize("queue", [0, None])
def test_copies_do_not_wait_for_one_that_cannot_come(
    ucam_faas_local: Serve, queue: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is one thread; and without a queue, of two requests at once one gets 429."""
    monkeypatch.setattr(deliveries, "MEETING_SECONDS", 600.0)  # `wait_idle` gives up before
    settings = Settings(threads=1, queue=queue)
    cloud = ucam_faas_local(note, deliveries="hostile", settings=settings)
    cloud.publish(note, "1")

    cloud.wait_idle()

    assert {execution.value for execution in cloud.executions} >= {"1"}
    assert cloud.dead_letters == []


def test_duplicates_burn_no_attempts(ucam_faas_local: Serve) -> None:
    """Of two copies one fails: that is an acknowledgement."""
    attempts: set[int | None] = set()
    busy = threading.Lock()

    @message_handler(message_type=None)
    def one_at_a_time(data: bytes) -> None:
        attempts.add(MESSAGE_CONTEXT.get().delivery_attempt)
        if not busy.acquire(blocking=False):
            raise ConnectionError
        time.sleep(0.002)
        busy.release()

    cloud = ucam_faas_local(one_at_a_time, deliveries="hostile")
    for number in range(5):
        cloud.publish(one_at_a_time, str(number))
    cloud.wait_idle()

    assert attempts == {1}
    assert any(execution.error for execution in cloud.executions)
    assert cloud.dead_letters == []


def test_a_key_keeps_its_order_where_the_task_asks_for_it(ucam_faas_local: Serve) -> None:
    seen: list[str] = []

    @message_handler(message_type=bytes.decode, ordered=True)
    def follow(text: str) -> None:
        seen.append(text)

    cloud = ucam_faas_local(follow, deliveries="hostile", seed=1)
    for text in ("a1", "b1", "a2", "b2", "a3"):
        cloud.publish(follow, text, ordering_key=text[0])
    cloud.publish(follow, "free")
    cloud.wait_idle()

    steps = list(pairwise(text for text in seen if text[0] == "a"))
    assert list(dict.fromkeys(after for _, after in steps)) == ["a1", "a2", "a3"]
    back = [after for before, after in steps if after < before]
    assert len(back) == 1  # and from there on in order again
    assert steps[-1] == ("a2", "a3")
    assert all(count >= 4 for count in Counter(seen).values())


def test_a_late_copy_comes_after_what_was_published_later(ucam_faas_local: Serve) -> None:
    """Also when the test waited in between."""
    cloud = ucam_faas_local(note, deliveries="hostile")
    cloud.publish(note, "first")
    cloud.wait_idle()
    before = len(cloud.executions)

    cloud.publish(note, "second")
    cloud.wait_idle()

    assert {execution.value for execution in cloud.executions[:before]} == {"first"}
    assert [execution.value for execution in cloud.executions[-2:]] == ["second", "first"]


def test_idle_is_idle(ucam_faas_local: Serve) -> None:
    cloud = ucam_faas_local(note, deliveries="hostile")
    cloud.publish(note, "1")
    cloud.publish(note, "2")
    cloud.wait_idle()
    before = len(cloud.executions)

    cloud.wait_idle()
    cloud.advance(timedelta(days=1))

    assert len(cloud.executions) == before


def test_normal_deliveries_play_no_tricks(ucam_faas_local: Serve) -> None:
    cloud = ucam_faas_local(note)
    cloud.publish(note, "1")
    cloud.wait_idle()

    assert (len(cloud.executions), cloud.tricks) == (1, [])
