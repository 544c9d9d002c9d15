"""The publisher over Pub/Sub's REST API: one message, one call, one answer.

It imports nothing heavy: a command that publishes one message to a Pub/Sub on this machine starts
ten times as fast as with google-cloud-pubsub. `google` adds credentials.

Source: Google's page "Method: projects.topics.publish".
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from urllib.parse import quote

from ucam_faas.exceptions import PublishError

HEADERS = {"Content-Type": "application/json"}
_LONGEST_REASON = 300


class CredentialsError(Exception):
    """There is no token to publish with; the text says why."""


class RestPublisher:
    """Publishes to an emulator.

    Args:
        host: `host:port` of the emulator.
    """

    def __init__(self, host: str) -> None:
        self.host = host

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
        message = {
            "data": base64.b64encode(data).decode(),
            "attributes": dict(attributes),
            "orderingKey": ordering_key,
        }
        body = json.dumps({"messages": [message]}).encode()
        path = f"/v1/{quote(topic)}:publish"
        try:
            status, answer = self._post(path, body, timeout_seconds)
        except (OSError, HTTPException, ValueError) as error:
            raise _failed(topic, f"{self.host} does not answer ({type(error).__name__})") from error
        except CredentialsError as error:
            raise _failed(topic, str(error)) from error
        if status != 200:
            raise _failed(topic, _reason(status, answer))
        try:
            return str(json.loads(answer)["messageIds"][0])
        except (ValueError, LookupError, TypeError) as error:
            raise _failed(topic, f"{self.host} does not answer as Pub/Sub does") from error

    def _post(self, path: str, body: bytes, timeout_seconds: float) -> tuple[int, bytes]:
        """Send a request, and return the status and the body of the answer."""
        connection = HTTPConnection(self.host, timeout=timeout_seconds)
        try:
            connection.request("POST", path, body, HEADERS)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()


def _failed(topic: str, reason: str) -> PublishError:
    return PublishError(f"Publishing to {topic} failed: {reason}")


def _reason(status: int, answer: bytes) -> str:
    """Return what Google's form of an error says: its name and message."""
    try:
        error = json.loads(answer)["error"]
        return f"{error['status']}: {str(error['message'])[:_LONGEST_REASON].rstrip('.')}"
    except (ValueError, LookupError, TypeError):
        return f"HTTP status {status}"
