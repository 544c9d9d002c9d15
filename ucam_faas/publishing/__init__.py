"""The `Publisher` port and its adapters.

Every adapter passes `tests/contract/publisher_contract.py`: the memory one, and Google's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Publisher(Protocol):
    """Puts messages on topics."""

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
