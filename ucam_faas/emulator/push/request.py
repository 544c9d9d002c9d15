"""The headers and body of a push request, from a message.

Source: Google's pages "Push subscriptions" and "Payload unwrapping for push subscriptions".
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from ucam_faas.emulator.core.moment import timestamp
from ucam_faas.emulator.core.storage import Message

USER_AGENT = "APIs-Google; (+https://developers.google.com/webmasters/APIs-Google.html)"
_ALWAYS = f"User-Agent: {USER_AGENT}\r\nAccept-Encoding: identity\r\n".encode()
_WRAPPED = _ALWAYS + b"Content-Type: application/json\r\n"
TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
RESERVED = {
    "accept-encoding", "authorization", "connection", "content-length", "expect", "host", "te",
    "trailer", "transfer-encoding", "upgrade", "user-agent",
}  # fmt: skip


def wrapped(message: Message, subscription: str, *, attempt: int | None) -> tuple[bytes, bytes]:
    """Return headers and body of a message in Pub/Sub's JSON.

    Args:
        message: the one to push.
        subscription: full name.
        attempt: 1 for the first delivery; None: the subscription has no dead-letter policy, and
            its requests don't carry it.
    """
    number, time = str(message.number), timestamp(message.time)
    fields: dict[str, Any] = {"messageId": number, "message_id": number}
    if message.attributes:
        fields["attributes"] = message.attributes
    if message.data:
        fields["data"] = b64encode(message.data).decode()
    if message.key:
        fields["orderingKey"] = message.key
    fields["publishTime"] = fields["publish_time"] = time
    body: dict[str, Any] = {"message": fields, "subscription": subscription}
    if attempt is not None:
        body["deliveryAttempt"] = attempt
    return _WRAPPED, json.dumps(body).encode()


def unwrapped(message: Message, subscription: str, *, metadata: bool) -> tuple[bytes, bytes]:
    """Return headers and body of a message whose data is the body.

    Args:
        message: the one to push.
        subscription: full name.
        metadata: send attributes and message metadata as headers.
    """
    if not metadata:
        return _ALWAYS, message.data
    headers = {
        "x-goog-pubsub-message-id": str(message.number),
        "x-goog-pubsub-publish-time": timestamp(message.time),
        "x-goog-pubsub-subscription-name": subscription,
    }
    if message.key:
        headers["x-goog-pubsub-ordering-key"] = message.key
    for key, value in message.attributes.items():
        if key.lower() not in RESERVED and key.lower() not in headers:
            headers[key] = value
    return _ALWAYS + _lines(headers), message.data


def _lines(headers: Mapping[str, str]) -> bytes:
    """Return header lines, without attributes that would make none or more than one."""
    lines = [
        f"{key}: {value}\r\n"
        for key, value in headers.items()
        if TOKEN.fullmatch(key) and value.isprintable()
    ]
    return "".join(lines).encode()
