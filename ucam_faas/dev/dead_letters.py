"""Dead letters in `ucam-faas dev`: those that wait, and those that tasks publish."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ucam_faas.emulator.core.engine import Observer
from ucam_faas.emulator.core.storage import Message
from ucam_faas.execution.dead_letters import MESSAGE_ID_ATTRIBUTE, SUBSCRIPTION_ATTRIBUTE

_Key = tuple[str, str]
"""A subscription's short name and a message id."""


def waiting(counts: Mapping[str, int], gcloud: str, *, pubsub: str, project: str) -> str:
    """Return the paragraph that says where dead letters wait, or an empty text.

    Args:
        counts: messages by subscription.
        gcloud: the variables that make gcloud use this Pub/Sub.
        pubsub: its `host:port`; empty for Google's.
        project: of the subscriptions.
    """
    if not counts:
        return ""
    places = ", ".join(f"{count} in {name}" for name, count in counts.items())
    total = sum(counts.values())
    letters = "1 dead letter is" if total == 1 else f"{total} dead letters are"
    first = next(iter(counts))
    return (
        f"{letters} waiting: {places}. To see them (--auto-ack takes them away):\n\n"
        f"  {gcloud} gcloud pubsub subscriptions pull {first} --limit 10\n\n"
        f"{_curl(pubsub, project, first)}"
    )


def _curl(pubsub: str, project: str, subscription: str) -> str:
    """Return a curl command, for developers without gcloud."""
    if not pubsub:
        return ""
    url = f"http://{pubsub}/v1/projects/{project}/subscriptions/{subscription}:pull"
    return f"  curl {url} -d '{{\"maxMessages\": 10}}'\n\n"


class OwnDeadLetters:
    """An observer that reports dead letters published by tasks as if Pub/Sub had forwarded them.

    A dead letter of a delivery that runs is one event, `dead_lettered`, instead of a message
    published and a delivery done. All other events are passed on.

    Args:
        observer: gets the resulting events.
    """

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._running: dict[_Key, Message] = {}
        self._dead: set[_Key] = set()

    def __call__(self, event: str, fields: dict[str, Any]) -> None:
        """Handle an event of the emulator."""
        if event == "published":
            key = _original(fields["message"])
            if key in self._running:  # otherwise it is a dead letter that is published again
                self._dead.add(key)
                dead = {"message": self._running[key], "as": fields["message"]}
                self._observer("dead_lettered", {"subscription": key[0], **fields, **dead})
                return
        elif event in ("delivered", "acknowledged", "failed", "cancelled"):
            key = (fields["subscription"].rpartition("/")[2], str(fields["message"].number))
            if event == "delivered":
                self._running[key] = fields["message"]
            else:
                self._running.pop(key, None)
                was_dead = key in self._dead
                self._dead.discard(key)
                if event == "cancelled" or (was_dead and event == "acknowledged"):
                    return
        self._observer(event, fields)


def _original(message: Message) -> _Key:
    """Return the delivery that a message is the dead letter of, if it is one."""
    attributes = message.attributes
    return attributes.get(SUBSCRIPTION_ATTRIBUTE, ""), attributes.get(MESSAGE_ID_ATTRIBUTE, "")
