"""From plans to topics and subscriptions, where these have names that are hard to keep apart."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ucam_faas.dev.provisioning import Provisioning
from ucam_faas.emulator.core.engine import Draft
from ucam_faas.emulator.core.lease import Holder
from ucam_faas.emulator.emulator import Emulator, Options
from ucam_faas.tasks.needs import TaskNeeds

URL = "http://127.0.0.1:1"

pytestmark = pytest.mark.slow


def task(name: str, topic: str | None = None, *, dead: str | None = None) -> TaskNeeds:
    return TaskNeeds(
        name=name,
        path=f"/{name}",
        takes="bytes",
        topic=topic or name,
        max_attempts=5,
        dead_letter_topic=dead or f"{name}-dead",
    )


class Cloud:
    """An emulator that plans are applied to, one after the other."""

    def __init__(self, **options: Any) -> None:
        self.options = options
        """Of all steps but the first."""
        self.told: list[str] = []
        self.subscriptions: list[dict[str, tuple[str, str]]] = []

    async def apply(self, *steps: Sequence[TaskNeeds], publish: str = "") -> None:
        """Apply plans; after the first ones, publish to a topic."""
        async with Emulator(Options()) as emulator:
            provisioning = Provisioning(emulator, "p")
            for plans in steps:
                options = {} if plans is steps[0] else self.options
                told = provisioning.apply(plans, URL, {}, **options)
                self.told += told
                self.subscriptions.append(_subscriptions(emulator))
                if publish and plans is steps[0]:
                    topic = f"projects/p/topics/{publish}"
                    emulator.engine.publish(topic, [Draft("", {}, b"x")], emulator.hub.now())


def _subscriptions(emulator: Emulator) -> dict[str, tuple[str, str]]:
    """Return the topic and the path of each subscription, except the tasks' inboxes."""
    return {
        name.rpartition("/")[2]: (
            subscription.proto.topic.rpartition("/")[2],
            subscription.proto.push_config.push_endpoint.removeprefix(URL),
        )
        for name, subscription in emulator.resources.subscriptions.items()
        if not name.endswith("-inbox")
    }


def apply(*steps: Sequence[TaskNeeds], publish: str = "", **options: Any) -> Cloud:
    cloud = Cloud(**options)
    asyncio.run(cloud.apply(*steps, publish=publish))
    return cloud


def test_a_dead_letter_topic_that_a_task_takes_is_left_to_that_task() -> None:
    cloud = apply([task("live", dead="mourn"), task("mourn", dead="live")])

    assert cloud.subscriptions[0] == {"live": ("live", "/live"), "mourn": ("mourn", "/mourn")}


def test_a_dead_letter_topic_named_like_another_task_has_a_subscription_of_its_own() -> None:
    cloud = apply([task("live", dead="both"), task("both", "other")])

    assert cloud.subscriptions[0] == {
        "live": ("live", "/live"),
        "both": ("other", "/both"),
        "both-kept": ("both", ""),
        "both-dead": ("both-dead", ""),
    }


def test_dead_letter_topics_of_several_projects_are_kept_apart() -> None:
    cloud = apply([task("one", dead="projects/q/topics/dead"), task("two", dead="dead")])

    assert set(cloud.subscriptions[0]) == {"one", "two", "dead", "dead-kept"}


def test_tasks_with_one_dead_letter_topic_share_its_subscription() -> None:
    cloud = apply([task("one", dead="dead"), task("two", dead="dead")])

    assert set(cloud.subscriptions[0]) == {"one", "two", "dead"}


def test_applying_a_plan_again_changes_nothing() -> None:
    cloud = apply([task("one")], [task("one")])

    assert cloud.subscriptions[0] == cloud.subscriptions[1]
    assert cloud.told == []


def test_what_no_task_asks_for_is_deleted() -> None:
    cloud = apply([task("one")], [task("two")])

    assert set(cloud.subscriptions[1]) == {"two", "two-dead"}
    names = "one, one-inbox, one-dead"
    assert cloud.told == [f"deleted the subscriptions {names}: no task needs them any more"]


def test_what_no_task_asks_for_is_deleted_after_a_restart_though_others_have_messages(
    tmp_path: Path,
) -> None:
    async def told() -> list[str]:
        async with Emulator(Options(state=tmp_path)) as emulator:
            Provisioning(emulator, "p").apply([task("one"), task("two")], URL, {})
            topic = "projects/p/topics/one"
            emulator.engine.publish(topic, [Draft("", {}, b"x")], emulator.hub.now())
        async with Emulator(Options(state=tmp_path)) as emulator:
            return Provisioning(emulator, "p").apply([task("one")], URL, {})

    (text,) = asyncio.run(told())
    assert text.startswith("deleted the subscriptions two, ")


def test_what_has_messages_is_kept_until_a_task_asks_for_it_again() -> None:
    cloud = apply([task("one")], [task("two")], [task("two")], [task("one")], publish="one")

    assert cloud.subscriptions[1]["one"] == ("one", "")
    assert cloud.subscriptions[2] == cloud.subscriptions[1]
    assert cloud.subscriptions[3]["one"] == ("one", "/one")
    assert [text for text in cloud.told if text.startswith("kept ")] == [
        "kept the subscription one and its messages: no task needs it any more",
    ]


def test_another_topic_loses_messages_and_says_so() -> None:
    empty = apply([task("one")], [task("one", "other")])
    full = apply([task("one")], [task("one", "other")], publish="one")

    assert empty.told[0].endswith("order has changed")
    assert full.told[0].endswith("order has changed; its messages are lost")
    assert full.subscriptions[1]["one"] == ("other", "/one")


def test_dead_letters_that_wait_are_counted() -> None:
    """Those that were pulled and not acknowledged wait, too."""

    async def count() -> list[dict[str, int]]:
        plans = [task("one"), task("two"), TaskNeeds(name="page", path="/", takes="HTTP request")]
        async with Emulator(Options()) as emulator:
            provisioning = Provisioning(emulator, "p")
            provisioning.apply(plans, URL, {})
            counts = [provisioning.dead_letters(plans)]
            drafts = [Draft("", {}, b"x")] * 3
            now = emulator.hub.now()
            emulator.engine.publish("projects/p/topics/two-dead", drafts, now)
            counts.append(provisioning.dead_letters(plans))
            queue = emulator.resources.subscriptions["projects/p/subscriptions/two-dead"].queue
            assert queue is not None
            emulator.engine.answered(emulator.engine.last)
            first, _ = emulator.engine.take(queue, now, Holder(), 2)
            emulator.engine.ack(queue, [first.ack_id], now)
            counts.append(provisioning.dead_letters(plans))
            return counts

    assert asyncio.run(count()) == [{}, {"two-dead": 3}, {"two-dead": 2}]


def test_an_older_subscription_for_dead_letters_keeps_them_for_31_days_from_now_on() -> None:
    async def retentions() -> list[int]:
        async with Emulator(Options()) as emulator:
            provisioning = Provisioning(emulator, "p")
            provisioning.apply([task("one")], URL, {})
            name = "projects/p/subscriptions/one-dead"
            subscription = emulator.resources.subscriptions[name].proto
            subscription.message_retention_duration.seconds = 7 * 24 * 3600
            provisioning.apply([task("one")], URL, {})
            there = emulator.resources.subscriptions
            return [
                there[f"projects/p/subscriptions/{short}"].proto.message_retention_duration.seconds
                for short in ("one", "one-dead")
            ]

    assert asyncio.run(retentions()) == [7 * 24 * 3600, 31 * 24 * 3600]


def test_a_part_of_the_tasks_deletes_nothing_of_the_others() -> None:
    cloud = apply(
        [task("one"), task("two")], [task("two")], [task("one"), task("two")], whole=False
    )

    assert set(cloud.subscriptions[1]) == set(cloud.subscriptions[0])
    assert cloud.subscriptions[1]["one"] == ("one", "")
    assert cloud.subscriptions[2] == cloud.subscriptions[0]
    names = "one, one-inbox"
    assert cloud.told == [
        f"kept the subscriptions {names} and their messages: --target leaves them out"
    ]


def test_the_messages_of_a_task_that_is_down_wait() -> None:
    cloud = apply([task("one")], [task("one")], down={"one"})

    assert cloud.subscriptions[1] == {"one": ("one", ""), "one-dead": ("one-dead", "")}


def test_a_topic_that_exists_without_the_tasks_is_made_for_those_that_publish_to_it() -> None:
    async def topics() -> set[str]:
        async with Emulator(Options()) as emulator:
            Provisioning(emulator, "p").apply(
                [task("one")], URL, {}, existing_topics=["audit", "one"]
            )
            return {name.rpartition("/")[2] for name in emulator.resources.topics}

    assert asyncio.run(topics()) == {"one", "one-inbox", "one-dead", "audit"}


ORDER = 'syntax = "proto3"; message Order { %s }'


def proto(*fields: str) -> dict[str, str]:
    return {
        "type": "PROTOCOL_BUFFER",
        "definition": ORDER % " ".join(fields),
        "encoding": "JSON",
    }


def test_a_topic_gets_a_schema_and_its_changes_as_revisions() -> None:
    steps: list[tuple[list[str], int, str]] = []

    async def apply_all(*schemas: dict[str, dict[str, str]]) -> None:
        async with Emulator(Options()) as emulator:
            for each in schemas:
                told = Provisioning(emulator, "p").apply([task("one")], URL, {}, schemas=each)
                revisions = emulator.resources.schemas.get("projects/p/schemas/one", [])
                topic = emulator.resources.topics["projects/p/topics/one"].proto
                steps.append((told, len(revisions), topic.schema_settings.schema))

    asyncio.run(
        apply_all(
            {"one": proto("string id = 1;")},
            {"one": proto("string id = 1;")},
            {"one": proto("string id = 1;", "bool paid = 2;")},
            {"one": proto("int32 id = 1;", "bool paid = 2;")},
            {},
        )
    )

    name = "projects/p/schemas/one"
    assert [step[1:] for step in steps] == [(1, name), (1, name), (2, name), (2, name), (2, "")]
    assert [step[0] for step in (*steps[:3], steps[4])] == [[]] * 4
    (refused,) = steps[3][0]
    assert refused.startswith("The topic one keeps its schema: Invalid schema definition: ")
    assert "the field id has another type" in refused


def test_a_task_has_an_inbox_for_each_of_its_lanes() -> None:
    async def inboxes() -> dict[str, str]:
        async with Emulator(Options()) as emulator:
            laned = replace(task("one", "orders"), lanes=("default", "bulk"))
            Provisioning(emulator, "p").apply([laned], URL, {})
            return {
                name.rpartition("/")[2]: subscription.proto.push_config.push_endpoint
                for name, subscription in emulator.resources.subscriptions.items()
                if "-inbox" in name
            }

    assert asyncio.run(inboxes()) == {
        "one-inbox": f"{URL}/one/inbox",
        "one-inbox-bulk": f"{URL}/one/inbox/bulk",
    }


def test_a_subscription_of_another_owner_is_made_with_the_tasks_name() -> None:
    cloud = apply([replace(task("one", "orders", dead="lost"), subscription="orders-for-us")])

    assert cloud.subscriptions[0]["one"] == ("orders", "/one")
    assert "orders-for-us" not in cloud.subscriptions[0]


def test_a_task_has_an_inbox_beside_its_topic() -> None:
    async def inbox() -> tuple[str, str]:
        async with Emulator(Options()) as emulator:
            Provisioning(emulator, "p").apply([task("one", "orders")], URL, {})
            name = "projects/p/subscriptions/one-inbox"
            subscription = emulator.resources.subscriptions[name].proto
            return subscription.topic, subscription.push_config.push_endpoint

    assert asyncio.run(inbox()) == ("projects/p/topics/one-inbox", f"{URL}/one/inbox")
