"""The publisher in memory does what every publisher does."""

from __future__ import annotations

import pytest

from ucam_faas.exceptions import PublishError
from ucam_faas.publishing.memory import MemoryPublisher

from .publisher_contract import PublisherContract, ReadBack

TOPIC = "projects/test-project/topics/test-topic"


class TestMemoryPublisher(PublisherContract):
    @pytest.fixture
    def publisher(self) -> MemoryPublisher:
        return MemoryPublisher({TOPIC: []})

    @pytest.fixture
    def topic(self) -> str:
        return TOPIC

    @pytest.fixture
    def read_back(self, publisher: MemoryPublisher) -> ReadBack:
        return lambda topic: list(publisher.topics[topic])


def test_more_than_a_hundred_attributes_are_refused_as_pubsub_does() -> None:
    publisher = MemoryPublisher({TOPIC: []})

    with pytest.raises(PublishError):
        publisher.publish(TOPIC, b"data", {f"key-{number}": "" for number in range(101)})

    assert publisher.topics[TOPIC] == []


def test_a_missing_topic_is_named_with_those_that_there_are() -> None:
    publisher = MemoryPublisher({"orders": []})

    with pytest.raises(PublishError, match=r"Topic not found: order\. Topics here: 'orders'\."):
        publisher.publish("order", b"data", {})


def test_data_that_isnt_bytes_is_refused_with_the_call_that_serialises() -> None:
    publisher = MemoryPublisher({TOPIC: []})

    with pytest.raises(TypeError, match=r"type dict: expected bytes\. `my_task\.publish"):
        publisher.publish(TOPIC, {"number": 1}, {})  # type: ignore[arg-type]


def test_publishers_share_nothing() -> None:
    first, second = MemoryPublisher(), MemoryPublisher()

    first.topics[TOPIC] = []

    assert second.topics == {}
