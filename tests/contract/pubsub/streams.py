"""A StreamingPull stream that keeps its responses, so that a test can wait for them."""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import Any

from google.api_core.exceptions import GoogleAPICallError
from google.pubsub_v1.types import StreamingPullRequest

from tests.integration.processes import wait_until

from .backends import SECONDS, PubSub, code_of


class Stream:
    """An open stream; the first request names `subscription` and `fields`."""

    def __init__(self, pubsub: PubSub, subscription: str, **fields: Any) -> None:
        self.responses: list[Any] = []
        self._patience = pubsub.patience
        self.end: str | None = None
        """The code with which the stream ended."""
        self._requests: SimpleQueue[StreamingPullRequest | None] = SimpleQueue()
        deadline = {"stream_ack_deadline_seconds": 10}
        self.send(**deadline | {"subscription": subscription} | fields)
        self._call = pubsub.subscriber.streaming_pull(
            requests=iter(self._requests.get, None), retry=None, timeout=60
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel()

    @property
    def messages(self) -> list[Any]:
        """The messages that have come."""
        return [message for response in self.responses for message in response.received_messages]

    def send(self, **fields: Any) -> None:
        """Send a request."""
        self._requests.put(StreamingPullRequest(fields))

    def acknowledge(self, *received: Any) -> None:
        """Acknowledge messages on the stream."""
        self.send(ack_ids=[message.ack_id for message in received])

    def modify(self, seconds: int, *received: Any) -> None:
        """Set the deadline of messages on the stream; 0 is a nack."""
        ids = [message.ack_id for message in received]
        self.send(modify_deadline_ack_ids=ids, modify_deadline_seconds=[seconds] * len(ids))

    def wait_for(self, count: int, seconds: float = 0) -> list[Any]:
        """Return the messages as soon as there are this many, or fail."""

        def enough() -> list[Any]:
            assert self.end is None or len(self.messages) >= count, f"ended with {self.end}"
            return self.messages if len(self.messages) >= count else []

        return wait_until(enough, f"{count} messages", seconds or self._patience)

    def wait_for_part(self, field: str, seconds: float = 0) -> Any:
        """Return the first part of this name, other than an empty one, that a response has."""

        def find() -> Any:
            return next(
                (
                    getattr(response, field)
                    for response in self.responses
                    if getattr(response, field)
                ),
                None,
            )

        return wait_until(find, field, seconds or self._patience)

    def wait_for_end(self, seconds: float = 0) -> str:
        """Return the code with which the server ended the stream."""
        return wait_until(lambda: self.end, "the stream ends", seconds or self._patience) or ""

    def half_close(self) -> None:
        """Say that no request will follow."""
        self._requests.put(None)

    def cancel(self) -> None:
        """End the stream, and wait until it has."""
        self._requests.put(None)
        self._call.cancel()
        self._reader.join(SECONDS)

    def _read(self) -> None:
        try:
            for response in self._call:
                self.responses.append(response)
            self.end = "OK"
        except GoogleAPICallError as error:
            self.end = code_of(error)
