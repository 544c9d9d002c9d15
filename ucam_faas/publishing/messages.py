"""Pub/Sub's limits on a message, for every way to publish one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ucam_faas.exceptions import TaskDefinitionError
from ucam_faas.gcp.limits import MAX_MESSAGE_BYTES, MAX_ORDERING_KEY_BYTES
from ucam_faas.tasks.triggers import check_attributes


def message_attributes(data: bytes, attributes: Mapping[str, str]) -> dict[str, str]:
    """Return the attributes of a message to a task that needs no data.

    There is one at least if there is no data: Pub/Sub takes no empty message.
    """
    return dict(attributes) if data or attributes else {"ucam_faas_trigger": "publish"}


def check_message(data: bytes, attributes: Mapping[str, str], ordering_key: Any) -> None:
    """Refuse a message that Pub/Sub would refuse.

    Raises:
        TypeError: the ordering key isn't a text.
        ValueError: the message is empty, or over a limit, which the text names.
    """
    try:
        check_attributes(attributes)
    except TaskDefinitionError as error:
        raise ValueError(str(error)) from error
    if not isinstance(ordering_key, str):
        raise TypeError(f"ordering_key={ordering_key!r}: expected a text.")
    if not data and not attributes:
        raise ValueError("Pub/Sub takes no message without data or an attribute: add an attribute.")
    size = len(data) + sum(len(text.encode()) for pair in attributes.items() for text in pair)
    if size > MAX_MESSAGE_BYTES:
        raise ValueError(
            f"The message has {size} bytes: Pub/Sub takes at most {MAX_MESSAGE_BYTES}."
        )
    if len(ordering_key.encode(errors="replace")) > MAX_ORDERING_KEY_BYTES:
        raise ValueError(
            f"The ordering key has over {MAX_ORDERING_KEY_BYTES} bytes, Pub/Sub's limit."
        )
