"""The runtime is built, or refused with an error, at start-up."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

from ucam_faas import message_handler
from ucam_faas.clock import SystemClock
from ucam_faas.config import Settings
from ucam_faas.exceptions import ConfigurationError, MissingExtraError, UCAMFAASException
from ucam_faas.execution import runtime
from ucam_faas.execution.runtime import Runtime, build, of_environment
from ucam_faas.publishing.google import GooglePublisher
from ucam_faas.testing import ManualClock

TOPIC = "projects/p/topics/dead"


def task(topic: str | None = None) -> Any:
    @message_handler(message_type=None, dead_letter_topic=topic)
    def made(data: bytes) -> None: ...

    return made.task


def test_a_short_name_is_a_topic_of_the_project() -> None:
    made = Runtime(Settings(dead_letter_topic="dead", project="p"), ManualClock())

    assert made.dead_letter_topic(task()) == TOPIC


def test_a_full_name_is_kept() -> None:
    made = Runtime(Settings(dead_letter_topic=TOPIC, project="other"), ManualClock())

    assert made.dead_letter_topic(task()) == TOPIC


def test_a_tasks_own_topic_comes_first() -> None:
    made = Runtime(Settings(dead_letter_topic=TOPIC, project="p"), ManualClock())

    assert made.dead_letter_topic(task("own")) == "projects/p/topics/own"


def test_without_a_topic_there_is_none() -> None:
    assert Runtime(Settings(), ManualClock()).dead_letter_topic(task()) is None


@pytest.mark.parametrize(
    ("settings", "topic"), [(Settings(dead_letter_topic="dead"), None), (Settings(), "dead")]
)
def test_a_short_name_without_a_project_is_refused_at_start_up(
    settings: Settings, topic: str | None
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        build(settings, [task(topic)])

    assert "'dead'" in str(caught.value)
    assert "'made'" in str(caught.value)
    assert "GOOGLE_CLOUD_PROJECT" in str(caught.value)


def test_a_bad_name_in_the_environment_is_refused_at_start_up() -> None:
    with pytest.raises(UCAMFAASException, match="projects/PROJECT/topics/TOPIC"):
        build(Settings(dead_letter_topic="topics/dead"), [task()])


def test_the_name_of_a_topic_is_refused_even_where_no_task_uses_it() -> None:
    with pytest.raises(UCAMFAASException):
        build(Settings(dead_letter_topic="topics/dead", project="p"), [task(TOPIC)])


def test_without_a_topic_no_publisher_is_made() -> None:
    made = build(Settings(), [task(), task()])

    assert made.publisher is None
    assert isinstance(made.clock, SystemClock)


def test_one_task_with_a_topic_needs_the_publisher() -> None:
    made = build(Settings(), [task(), task(TOPIC)])

    assert isinstance(made.publisher, GooglePublisher)


def test_a_topic_without_the_extra_is_refused_at_start_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google.auth", None)

    with pytest.raises(MissingExtraError, match=r"ucam-faas\[pubsub\]"):
        build(Settings(dead_letter_topic=TOPIC), [task()])


def test_outside_a_front_door_nothing_is_published(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UCAM_FAAS_DEAD_LETTER_TOPIC", TOPIC)

    assert of_environment().publisher is None


def test_threads_that_come_at_once_share_one_store() -> None:
    two = threading.Barrier(2)

    @runtime._once
    def make(settings: Settings) -> object:
        with suppress(threading.BrokenBarrierError):
            two.wait(0.05)  # for a second thread that makes one, too
        return object()

    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(make, [Settings()] * 8))

    assert len(made) == 1
