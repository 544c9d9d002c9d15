"""A publisher that keeps the messages in memory, for tests."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

from ucam_faas.events.messages import PubsubMessage
from ucam_faas.exceptions import NoSuchTopicError, PublishError
from ucam_faas.gcp.limits import MAX_ATTRIBUTES
from ucam_faas.publishing import Draft, Publisher


@dataclass(slots=True)
class MemoryPublisher(Publisher):
    """Publishes to a dictionary of topics, which must exist."""

    topics: dict[str, list[PubsubMessage]] = field(default_factory=dict)
    _ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def publish_many(
        self, topic: str, drafts: Sequence[Draft], *, timeout_seconds: float = 10.0
    ) -> list[str]:
        """Publish messages, and return their ids.

        Raises:
            PublishError: there is no such topic, or a message is empty.
            TypeError: the data aren't bytes.
        """
        for draft in drafts:
            self._check(topic, draft)
        messages = [
            PubsubMessage(
                data=draft.data,
                attributes=dict(draft.attributes),
                message_id=str(next(self._ids)),
                ordering_key=draft.ordering_key,
            )
            for draft in drafts
        ]
        self.topics[topic].extend(messages)
        return [message.message_id for message in messages]

    def _check(self, topic: str, draft: Draft) -> None:
        data, attributes, _ = draft
        if not isinstance(data, bytes):
            raise TypeError(
                f"data is of type {type(data).__name__}: expected bytes. "
                "`my_task.publish(payload)` serialises a payload as the task takes it."
            )
        if topic not in self.topics:
            known = ", ".join(map(repr, self.topics)) or "none"
            raise NoSuchTopicError(
                f"Topic not found: {topic}. Topics here: {known}. Create it with "
                f"`publisher.topics[{topic!r}] = []`."
            )
        if len(attributes) > MAX_ATTRIBUTES or not (data or attributes):
            raise PublishError("The message needs data or attributes, and at most 100 of these.")
