"""Requests to the endpoint of a subscription, as Pub/Sub pushes them.

Source: Google's pages "Push subscriptions" and "Payload unwrapping for push subscriptions".
"""

from __future__ import annotations

import json
import ssl
from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from math import inf
from urllib.parse import urlsplit

from ucam_faas.clock import Clock, SystemClock
from ucam_faas.dead_letters.letters import Content
from ucam_faas.emulator.push.request import RESERVED, TOKEN
from ucam_faas.gcp.limits import MAX_ACK_DEADLINE_SECONDS

TOKEN_SECONDS = 120.0
"""How long an identity token is used: a metadata server's may have some minutes left."""


class Pushes:
    """Sends messages to endpoints.

    Args:
        token: returns an identity token for an origin, such as https://x.run.app; empty: none is
            needed, as on a laptop.
        timeout_seconds: how long an endpoint may take.
        clock: tells the age of tokens.
    """

    def __init__(
        self,
        token: Callable[[str], str] = lambda origin: "",
        timeout_seconds: float = MAX_ACK_DEADLINE_SECONDS,
        clock: Clock | None = None,
    ) -> None:
        self._token = token
        self._timeout = timeout_seconds
        self._clock = clock or SystemClock()
        self._tokens: dict[str, tuple[str, float]] = {}
        """By origin, each with the time until which it is used."""

    def push(
        self,
        url: str,
        content: Content,
        *,
        id: str,
        sent: float,
        subscription: str,
        wrapped: bool,
    ) -> int:
        """Send a message, and return the status of the answer.

        Args:
            url: of the endpoint.
            content: of the message.
            id: of the message.
            sent: when the message was published first, in epoch seconds.
            subscription: the full name.
            wrapped: in Pub/Sub's JSON; False: the data alone, and the rest in headers.

        Raises:
            OSError: there is no answer.
            CredentialsError: there is no token to make the request with.
        """
        time = datetime.fromtimestamp(sent, UTC).isoformat().replace("+00:00", "Z")
        if wrapped:
            headers, body = _wrapped(content, id, time, subscription)
        else:
            headers, body = _unwrapped(content, id, time, subscription)
        parts = urlsplit(url)
        if token := self._token_of(f"{parts.scheme}://{parts.netloc}"):
            headers["Authorization"] = f"Bearer {token}"
        connection = self._connection(parts.scheme, parts.netloc)
        try:
            path = parts._replace(scheme="", netloc="").geturl() or "/"
            as_bytes = {key: value.encode() for key, value in headers.items()}
            connection.request("POST", path, body, as_bytes)
            return connection.getresponse().status
        except HTTPException as error:
            raise ConnectionError(type(error).__name__) from error
        finally:
            connection.close()

    def _token_of(self, origin: str) -> str:
        token, until = self._tokens.get(origin, ("", -inf))
        if self._clock.monotonic() >= until:
            token = self._token(origin)
            self._tokens[origin] = token, self._clock.monotonic() + TOKEN_SECONDS
        return token

    def _connection(self, scheme: str, host: str) -> HTTPConnection:
        if scheme == "https":
            context = ssl.create_default_context()
            return HTTPSConnection(host, timeout=self._timeout, context=context)
        return HTTPConnection(host, timeout=self._timeout)


def _wrapped(
    content: Content, id: str, time: str, subscription: str
) -> tuple[dict[str, str], bytes]:
    message: dict[str, object] = {
        "data": b64encode(content.data).decode(),
        "attributes": dict(content.attributes),
        **{"messageId": id, "message_id": id, "publishTime": time, "publish_time": time},
    }
    if content.key:
        message["orderingKey"] = content.key
    body = json.dumps({"message": message, "subscription": subscription}).encode()
    return {"Content-Type": "application/json"}, body


def _unwrapped(
    content: Content, id: str, time: str, subscription: str
) -> tuple[dict[str, str], bytes]:
    headers = {
        "x-goog-pubsub-message-id": id,
        "x-goog-pubsub-publish-time": time,
        "x-goog-pubsub-subscription-name": subscription,
    }
    if content.key:
        headers["x-goog-pubsub-ordering-key"] = content.key
    return {**_headers(content.attributes), **headers}, content.data


def _headers(attributes: Mapping[str, str]) -> dict[str, str]:
    """Return the attributes that can be headers, as Pub/Sub does."""
    return {
        key: value
        for key, value in attributes.items()
        if TOKEN.fullmatch(key) and value.isprintable() and key.lower() not in RESERVED
    }
