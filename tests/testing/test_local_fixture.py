"""`ucam_faas_local`: tasks are served, and get the messages that are published."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from cloudevents.http import CloudEvent
from google.cloud import pubsub_v1

from ucam_faas import RetryPolicy, cloud_event, http, message_handler
from ucam_faas.emulator.errors import RpcError
from ucam_faas.local_testing import NotIdleError
from ucam_faas.outcomes import Crashed, Done
from ucam_faas.tasks import registry
from ucam_faas.testing import ManualClock

from .cases import Serve
from .tasks import ATTEMPTS, User, count, crash, greet, shout, values, wait_a_moment


@pytest.mark.parametrize("deliveries", ["normal", "parallel", "hostile"])
def test_what_is_published_is_delivered(ucam_faas_local: Serve, deliveries: str) -> None:
    cloud = ucam_faas_local(greet, wait_a_moment, shout, deliveries=deliveries)

    cloud.publish(greet, User(name="Ada"))
    cloud.publish(wait_a_moment, b"four")
    cloud.publish(shout, "hello")
    cloud.wait_idle()

    assert set(values(cloud, greet)) == {"Hello Ada"}
    assert set(values(cloud, wait_a_moment)) == {4}
    assert {type(execution.outcome) for execution in cloud.executions_of(shout)} == {Done}


def test_a_task_is_named_by_its_name_or_by_its_function(ucam_faas_local: Serve) -> None:
    cloud = ucam_faas_local(count)

    cloud.publish(count, b"four")
    cloud.wait_idle()

    assert values(cloud, count) == [4]
    assert len(cloud.executions_of("count-letters")) == 1


def test_what_can_never_succeed_is_a_dead_letter_at_once(ucam_faas_local: Serve) -> None:
    """In the topic of the task's dead letters, if none is configured."""
    cloud = ucam_faas_local(greet)

    cloud.publish(greet, "no user")
    cloud.wait_idle()

    assert len(cloud.executions) == 1
    (letter,) = cloud.dead_letters
    assert letter.data == b"no user"
    assert "ucam_faas_reason" in letter.attributes


@message_handler(message_type=None, retry=RetryPolicy(max_attempts=None))
def fail_for_ever(data: bytes) -> None:
    raise ConnectionError


def test_a_message_that_fails_for_ever_is_told(ucam_faas_local: Serve) -> None:
    cloud = ucam_faas_local(fail_for_ever)
    cloud.publish(fail_for_ever, b"x")

    with pytest.raises(NotIdleError, match="fail_for_ever"):
        cloud.wait_idle()


def test_an_execution_says_what_happened(ucam_faas_local: Serve) -> None:
    cloud = ucam_faas_local(greet, crash)

    message_id = cloud.publish(greet, {"name": "Ada"})
    cloud.publish(crash, b"x")
    cloud.wait_idle()

    (greeted,) = cloud.executions_of("greet")
    assert (greeted.task, greeted.message_id) == ("greet", message_id)
    assert (greeted.value, greeted.error) == ("Hello Ada", None)
    assert greeted.info.model_dump()["result"] == "Hello Ada"
    crashed = cloud.executions_of(crash)[0]
    assert (type(crashed.outcome), type(crashed.error)) == (Crashed, ZeroDivisionError)
    assert len(cloud.executions) == 1 + ATTEMPTS


def test_messages_come_one_after_the_other_and_in_order(ucam_faas_local: Serve) -> None:
    running, most, seen = set[bytes](), [0], []

    @message_handler(message_type=None)
    def task(data: bytes) -> None:
        running.add(data)
        most[0] = max(most[0], len(running))
        time.sleep(0.001)
        seen.append(data)
        running.discard(data)

    cloud = ucam_faas_local(task)
    for number in range(10):
        cloud.publish(task, str(number))
    cloud.wait_idle()

    assert (most, seen) == ([1], [b"%d" % number for number in range(10)])


def test_parallel_deliveries_run_at_once(ucam_faas_local: Serve) -> None:
    meeting = threading.Barrier(2)

    @message_handler(message_type=None)
    def task(data: bytes) -> None:
        meeting.wait(timeout=10)

    cloud = ucam_faas_local(task, deliveries="parallel")
    for number in range(2):
        cloud.publish(task, str(number))
    cloud.wait_idle()

    assert not meeting.broken


def test_two_tasks_on_one_topic_both_get_its_messages(ucam_faas_local: Serve) -> None:
    @message_handler(message_type=None, topic="orders")
    def bill(data: bytes) -> str:
        return "billed"

    @message_handler(message_type=None, topic="orders")
    def ship(data: bytes) -> str:
        return "shipped"

    cloud = ucam_faas_local(bill, ship)
    cloud.publish("orders", b"x")
    cloud.wait_idle()

    assert (values(cloud, bill), values(cloud, ship)) == (["billed"], ["shipped"])


def test_ordered_tasks_get_the_messages_of_a_key_in_order_though_one_fails(
    ucam_faas_local: Serve,
) -> None:
    seen: list[str] = []
    failures = Counter[str]()

    @message_handler(message_type=bytes.decode, ordered=True)
    def follow(text: str) -> None:
        failures[text] += 1
        if text == "a1" and failures[text] < 3:
            raise ConnectionError
        seen.append(text)

    cloud = ucam_faas_local(follow)
    for text in ("a1", "b1", "a2", "b2", "a3"):
        cloud.publish(follow, text, ordering_key=text[0])
    cloud.wait_idle()

    assert [text for text in seen if text[0] == "a"] == ["a1", "a2", "a3"]
    assert [text for text in seen if text[0] == "b"] == ["b1", "b2"]


def test_a_missing_topic_is_named_with_those_that_there_are(ucam_faas_local: Serve) -> None:
    cloud = ucam_faas_local(greet)

    for topic in ("gret", shout):
        with pytest.raises(RpcError, match=r"Topic not found: '\w+'. Topics here: 'greet', "):
            cloud.publish(topic, b"x")


def test_time_is_advanced_by_seconds_too(
    ucam_faas_local: Serve, ucam_faas_clock: ManualClock
) -> None:
    ucam_faas_local(greet).advance(60)

    assert ucam_faas_clock.monotonic() == 60.0


def test_filters_let_only_their_messages_through(ucam_faas_local: Serve) -> None:
    @message_handler(message_type=None, filter='attributes.kind = "order"')
    def handle(data: bytes) -> str:
        return data.decode()

    cloud = ucam_faas_local(handle)
    cloud.publish(handle, b"1", attributes={"kind": "order"})
    cloud.publish(handle, b"2", attributes={"kind": "invoice"})
    cloud.publish(handle, b"3")
    cloud.wait_idle()

    assert values(cloud, handle) == ["1"]


def test_a_source_is_served(
    ucam_faas_local: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(registry, "_TASKS", {})
    source = tmp_path / "a_source_with_tasks.py"
    source.write_text(
        "import ucam_faas\n"
        "@ucam_faas.message_handler(message_type=None)\n"
        "def measure(data):\n"
        "    return len(data)\n"
    )

    cloud = ucam_faas_local(source)
    cloud.publish("measure", b"four")
    cloud.wait_idle()

    del sys.modules["a_source_with_tasks"]
    assert values(cloud, "measure") == [4]


def test_tasks_are_served_over_http(ucam_faas_local: Serve) -> None:
    @http(path="/users/<name>", methods=["GET"])
    def user(name: str) -> dict[str, Any]:
        return {"name": name}

    cloud = ucam_faas_local(user, greet)

    with urllib.request.urlopen(f"{cloud.url}/users/ada", timeout=10) as response:
        body = response.read()
    assert body.strip() == b'{"name":"ada"}'
    (execution,) = cloud.executions
    assert (execution.task, execution.message_id) == ("user", None)


def test_a_task_publishes_to_another_one_with_googles_client(ucam_faas_local: Serve) -> None:
    @message_handler(message_type=None)
    def split(data: bytes) -> None:
        client = pubsub_v1.PublisherClient()
        topic = client.topic_path(os.environ["GOOGLE_CLOUD_PROJECT"], "take_part")
        futures = [client.publish(topic, part) for part in data.split()]
        for future in futures:
            future.result(timeout=10)
        client.stop()
        client.transport.close()

    @message_handler(message_type=None)
    async def take_part(data: bytes) -> str:
        return data.decode()

    cloud = ucam_faas_local(split, take_part)
    cloud.publish(split, b"one two three")
    cloud.wait_idle()

    assert sorted(values(cloud, take_part)) == ["one", "three", "two"]


def test_a_task_publishes_to_another_one(ucam_faas_local: Serve) -> None:
    @message_handler
    async def take_part(data: bytes) -> str:
        return data.decode()

    @message_handler(publishes=[take_part])
    def split(data: bytes) -> None:
        for part in data.split():
            take_part.publish(part)

    cloud = ucam_faas_local(split, take_part)
    split.publish(b"one two three")
    cloud.wait_idle()

    assert sorted(values(cloud, take_part)) == ["one", "three", "two"]


def test_cloud_event_tasks_get_googles_event(ucam_faas_local: Serve) -> None:
    @cloud_event
    def look(event: CloudEvent) -> str:
        return str(event["type"])

    cloud = ucam_faas_local(look)
    cloud.publish(look, b"x")
    cloud.wait_idle()

    assert len(cloud.executions) == 1


def test_the_environment_does_not_change_what_is_served(
    ucam_faas_local: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UCAM_FAAS_MAX_BODY_BYTES", "1")

    cloud = ucam_faas_local(greet)
    cloud.publish(greet, User(name="Ada"))
    cloud.wait_idle()

    assert values(cloud, greet) == ["Hello Ada"]


def test_it_is_used_from_a_running_loop(request: pytest.FixtureRequest) -> None:
    """As in asynchronous tests, whose fixtures are made while their loop runs."""

    async def main() -> list[Any]:
        cloud = request.getfixturevalue("ucam_faas_local")(greet, wait_a_moment)
        cloud.publish(greet, User(name="Ada"))
        cloud.publish(wait_a_moment, b"four")
        await asyncio.to_thread(cloud.wait_idle)
        cloud.wait_idle()
        return [*values(cloud, greet), *values(cloud, wait_a_moment)]

    assert asyncio.run(main()) == ["Hello Ada", 4]


def test_tasks_find_the_variables_that_they_declare(ucam_faas_local: Serve) -> None:
    variable = "MODE_OF_THIS_TEST"

    @message_handler(message_type=None, environment={variable: "careful"})
    def task(data: bytes) -> str | None:
        return os.environ.get(variable)

    cloud = ucam_faas_local(task)
    cloud.publish(task, b"x")
    cloud.wait_idle()

    assert values(cloud, task) == ["careful"]
    cloud.close()
    assert variable not in os.environ
