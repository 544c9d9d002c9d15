"""The contract of every `Publisher`: subclass it, and override the three fixtures.

class TestGooglePublisher(PublisherContract):
    @pytest.fixture
    def publisher(self) -> Publisher: ...

    @pytest.fixture
    def topic(self) -> str: ...

    @pytest.fixture
    def read_back(self) -> Callable[[str], list[PubsubMessage]]: ...
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ucam_faas.events.messages import PubsubMessage
from ucam_faas.exceptions import PublishError
from ucam_faas.publishing import Draft, Publisher

ReadBack = Callable[[str], list[PubsubMessage]]
MISSING_TOPIC = "projects/test-project/topics/there-is-no-such-topic"


class PublisherContract:
    """The tests; not collected under this name."""

    @pytest.fixture
    def publisher(self) -> Publisher:
        """Return the publisher under test."""
        raise NotImplementedError("override the fixture `publisher`")

    @pytest.fixture
    def topic(self) -> str:
        """Return the full name of a topic that exists and is empty."""
        raise NotImplementedError("override the fixture `topic`")

    @pytest.fixture
    def read_back(self) -> ReadBack:
        """Return a function that returns all messages of a topic, in any order."""
        raise NotImplementedError("override the fixture `read_back`")

    @pytest.mark.parametrize(
        "data", [b"hello", b"\x00\xff\xfe\x80", "ünï".encode(), b"{}", b"x" * 100_000]
    )
    def test_data_arrives_as_it_was_published(
        self, publisher: Publisher, topic: str, read_back: ReadBack, data: bytes
    ) -> None:
        publisher.publish(topic, data, {})

        (message,) = read_back(topic)
        assert message.data == data

    def test_attributes_arrive_as_they_were_published(
        self, publisher: Publisher, topic: str, read_back: ReadBack
    ) -> None:
        attributes = {"colour": "bleu clair é", "empty": "", "Upper-Case.and:signs": "=&\n"}

        publisher.publish(topic, b"data", attributes)

        (message,) = read_back(topic)
        assert message.attributes == attributes

    @pytest.mark.parametrize(
        "key", ["topic", "data", "attributes", "ordering_key", "timeout", "timeout_seconds", "self"]
    )
    def test_an_attribute_may_be_named_like_an_argument(
        self, publisher: Publisher, topic: str, read_back: ReadBack, key: str
    ) -> None:
        publisher.publish(topic, b"data", {key: "value"})

        (message,) = read_back(topic)
        assert message.attributes == {key: "value"}

    def test_the_ordering_key_arrives(
        self, publisher: Publisher, topic: str, read_back: ReadBack
    ) -> None:
        publisher.publish(topic, b"data", {}, ordering_key="user-1")

        (message,) = read_back(topic)
        assert message.ordering_key == "user-1"

    def test_without_an_ordering_key_there_is_none(
        self, publisher: Publisher, topic: str, read_back: ReadBack
    ) -> None:
        publisher.publish(topic, b"data", {})

        (message,) = read_back(topic)
        assert message.ordering_key == ""

    def test_a_message_may_have_attributes_only(
        self, publisher: Publisher, topic: str, read_back: ReadBack
    ) -> None:
        publisher.publish(topic, b"", {"key": "value"})

        (message,) = read_back(topic)
        assert (message.data, message.attributes) == (b"", {"key": "value"})

    def test_a_hundred_attributes_are_published(
        self, publisher: Publisher, topic: str, read_back: ReadBack
    ) -> None:
        attributes = {f"key-{number}": "value" for number in range(100)}

        publisher.publish(topic, b"data", attributes)

        (message,) = read_back(topic)
        assert message.attributes == attributes

    def test_the_id_that_is_returned_is_the_messages(
        self, publisher: Publisher, topic: str, read_back: ReadBack
    ) -> None:
        message_id = publisher.publish(topic, b"data", {})

        (message,) = read_back(topic)
        assert message_id
        assert message.message_id == message_id

    def test_every_message_is_kept_and_has_an_id_of_its_own(
        self, publisher: Publisher, topic: str, read_back: ReadBack
    ) -> None:
        ids = {publisher.publish(topic, b"same", {}) for _ in range(3)}

        resource = read_back(topic)
        assert len(ids) == 3
        assert {message.message_id for message in resource} == ids

    def test_messages_are_published_in_one_call_and_have_the_ids_that_are_returned(
        self, publisher: Publisher, topic: str, read_back: ReadBack
    ) -> None:
        drafts = [Draft(b"one", {"key": "value"}), Draft(b"two", {}, "a")]

        ids = publisher.publish_many(topic, drafts)

        messages = {message.message_id: message for message in read_back(topic)}
        first, second = (messages[message_id] for message_id in ids)
        assert (first.data, first.attributes, first.ordering_key) == (b"one", {"key": "value"}, "")
        assert (second.data, second.attributes, second.ordering_key) == (b"two", {}, "a")

    def test_all_messages_of_a_call_are_published_or_none(
        self, publisher: Publisher, topic: str, read_back: ReadBack
    ) -> None:
        with pytest.raises(PublishError):
            publisher.publish_many(topic, [Draft(b"one", {}), Draft(b"", {})])

        assert read_back(topic) == []

    def test_what_the_caller_changes_afterwards_changes_nothing(
        self, publisher: Publisher, topic: str, read_back: ReadBack
    ) -> None:
        attributes = {"key": "value"}

        publisher.publish(topic, b"data", attributes)
        attributes["key"] = "changed"

        (message,) = read_back(topic)
        assert message.attributes == {"key": "value"}

    def test_a_message_without_data_and_attributes_is_refused(
        self, publisher: Publisher, topic: str, read_back: ReadBack
    ) -> None:
        with pytest.raises(PublishError):
            publisher.publish(topic, b"", {})

        assert read_back(topic) == []

    def test_a_topic_that_does_not_exist_is_an_error_that_names_it(
        self, publisher: Publisher
    ) -> None:
        with pytest.raises(PublishError) as caught:
            publisher.publish(MISSING_TOPIC, b"data", {}, timeout_seconds=5)

        assert MISSING_TOPIC in str(caught.value)

    def test_an_error_holds_nothing_of_the_message(self, publisher: Publisher) -> None:
        with pytest.raises(PublishError) as caught:
            publisher.publish(MISSING_TOPIC, b"secret", {"name": "secret"}, timeout_seconds=5)

        assert "secret" not in str(caught.value)
