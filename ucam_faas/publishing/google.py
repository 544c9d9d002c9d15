"""The publisher of google-cloud-pubsub: one message, one call, one answer.

It uses the package's generated client: the batching one takes attributes as keyword arguments,
so that an attribute named `topic` or `timeout` could not be published.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from ucam_faas._optional import check, require
from ucam_faas.exceptions import PublishError


class GooglePublisher:
    """Publishes to Google's Pub/Sub, or to an emulator.

    Args:
        emulator: `host:port` of an emulator; None: Google.
    """

    def __init__(self, emulator: str | None = None) -> None:
        check("google.pubsub_v1", **_NEEDED)
        self._emulator = emulator
        self._lock = threading.Lock()
        self._made: Any = None

    def publish(
        self,
        topic: str,
        data: bytes,
        attributes: Mapping[str, str],
        *,
        ordering_key: str = "",
        timeout_seconds: float = 10.0,
    ) -> str:
        """Publish one message, and return its id when Pub/Sub has it."""
        pubsub = require("google.pubsub_v1", **_NEEDED)
        message = pubsub.PubsubMessage(
            data=data, attributes=dict(attributes), ordering_key=ordering_key
        )
        try:
            response = self._client().publish(
                topic=topic,
                messages=[message],
                retry=None,  # the delivery's own redelivery is the retry
                timeout=timeout_seconds,
            )
        except Exception as error:  # gRPC, authentication and transport errors share no base
            raise PublishError(f"Publishing to {topic} failed: {type(error).__name__}") from error
        return str(response.message_ids[0])

    def _client(self) -> Any:
        """Return the client, made at first use: gRPC does not survive the fork of a worker."""
        with self._lock:
            if self._made is None:
                pubsub = require("google.pubsub_v1", **_NEEDED)
                if self._emulator is None:
                    self._made = pubsub.PublisherClient()
                else:
                    channel = require("grpc", **_NEEDED).insecure_channel(self._emulator)
                    transport = pubsub.PublisherClient.get_transport_class("grpc")
                    self._made = pubsub.PublisherClient(transport=transport(channel=channel))
            return self._made


_NEEDED = {"extra": "pubsub", "purpose": "publish to Pub/Sub"}
