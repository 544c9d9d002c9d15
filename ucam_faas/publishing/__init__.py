"""The `Publisher` port and its adapters.

Every adapter passes `tests/contract/publisher_contract.py`: the memory one, and Google's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

MAX_PUBLISHED = 1000
"""Messages in one call of Pub/Sub (Google's page "Quotas and limits")."""


class Draft(NamedTuple):
    """A message before it is published."""

    data: bytes
    attributes: Mapping[str, str]
    ordering_key: str = ""


class Publisher(Protocol):
    """Puts messages on topics. Adapters inherit `publish`."""

    def publish(
        self,
        topic: str,
        data: bytes,
        attributes: Mapping[str, str],
        *,
        ordering_key: str = "",
        timeout_seconds: float = 10.0,
    ) -> str:
        """Publish one message, and return its id when Pub/Sub has it.

        Args:
            topic: `projects/P/topics/T`.
            data: may be empty if there are attributes.
            attributes: keys and values.
            ordering_key: messages with the same key are delivered in order.
            timeout_seconds: how long to try.

        Raises:
            PublishError: it was not published, or it is not known whether it was.
        """
        draft = Draft(data, attributes, ordering_key)
        return self.publish_many(topic, [draft], timeout_seconds=timeout_seconds)[0]

    def publish_many(
        self, topic: str, drafts: Sequence[Draft], *, timeout_seconds: float = 10.0
    ) -> list[str]:
        """Publish messages in one call, all of them or none, and return their ids.

        Args:
            topic: `projects/P/topics/T`.
            drafts: at most MAX_PUBLISHED, of 10 MB together.
            timeout_seconds: how long to try.

        Raises:
            PublishError: they were not published, or it is not known whether they were.
        """
