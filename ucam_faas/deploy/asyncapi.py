"""From a plan to an AsyncAPI 3 document: the topics, their messages, and the tasks that take them.

Tasks without a topic are left out: HTTP tasks are called, and Cloud Run jobs are started. So is the
sweep of jobs. Sources: the AsyncAPI specification 3.0.0, and its Google Cloud Pub/Sub bindings
0.2.0.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ucam_faas.deploy import asyncapi_messages
from ucam_faas.deploy.jobs import is_sweep
from ucam_faas.deploy.terraform_variables import Plan, PlannedTask
from ucam_faas.deploy.topics import PlannedTopic
from ucam_faas.events.messages import TOPIC_PATH
from ucam_faas.tasks.payload_schemas import component_name

VERSION = "3.0.0"
BINDING_VERSION = asyncapi_messages.BINDING_VERSION
_PROJECT = "{project}"
_NO_SCHEMA = {"encoding": "ENCODING_UNSPECIFIED", "name": ""}
"""Of a topic without a Pub/Sub schema; the bindings want these two in any case."""

Object = dict[str, Any]


def document(plan: Plan, info: Mapping[str, str]) -> Object:
    """Return the document, as JSON.

    Args:
        plan: of a stage: its project is that of the topics.
        info: title and version, and a description if there is planned.
    """
    made = _Document(plan.project or _PROJECT, plan.topics)
    for planned in plan.tasks:
        if planned.gets_messages and not is_sweep(planned.task):
            made.add(planned)
    return {
        "asyncapi": VERSION,
        "info": dict(info),
        "defaultContentType": "application/json",
        "servers": {"pubsub": {"host": "pubsub.googleapis.com", "protocol": "googlepubsub"}},
        "channels": dict(sorted(made.channels.items())),
        "operations": made.operations,
        "components": {
            "messages": dict(sorted(made.messages.items())),
            "schemas": dict(sorted(made.schemas.items())),
        },
    }


@dataclass(slots=True)
class _Document:
    project: str
    topics: Mapping[str, PlannedTopic]
    channels: dict[str, Object] = field(default_factory=dict)
    operations: dict[str, Object] = field(default_factory=dict)
    messages: dict[str, Object] = field(default_factory=dict)
    schemas: dict[str, Object] = field(default_factory=dict)

    def add(self, planned: PlannedTask) -> None:
        """Add a task: its messages, its dead letters, and the topics that it publishes to."""
        name, needs = planned.task.name, planned.needs
        assert needs.topic is not None, "tasks without a topic are left out"
        message = self._message(planned)
        existing = needs.subscription
        channel = self._unknown(existing) if existing else self._channel(needs.topic)
        self.operations[name] = {
            "action": "receive",
            **self._on(channel, message),
            "title": name,
            **({"summary": needs.summary} if needs.summary else {}),
            "description": "\n\n".join(_description(planned)),
            "x-ucam-faas": _extension(planned),
        }
        if needs.dead_letter_topic is not None:
            self.operations[f"{name}.dead-letter"] = {
                "action": "send",
                **self._on(self._channel(needs.dead_letter_topic), message),
                "summary": f"Messages that {name} failed {_times(planned)} to handle.",
            }
        for topic in map(planned.naming.topic, planned.merged["publishes_to"]):
            channel = self._channel(topic)
            sent = {
                "action": "send",
                **self._on(channel),
                "summary": f"Messages that {name} publishes.",
            }
            self.operations[f"{name}.publish.{channel}"] = sent

    def _on(self, channel: str, message: str | None = None) -> Object:
        """Return the channel and the messages of an operation."""
        operation: Object = {"channel": {"$ref": f"#/channels/{channel}"}}
        if message is not None:
            messages = self.channels[channel].setdefault("messages", {})
            messages[message] = {"$ref": f"#/components/messages/{message}"}
            operation["messages"] = [{"$ref": f"#/channels/{channel}/messages/{message}"}]
        return operation

    def _unknown(self, subscription: str) -> str:
        """Return the id of a new channel: the topic of another owner's subscription."""
        channel = _free(component_name(subscription), self.channels)
        self.channels[channel] = {
            "address": None,
            "title": subscription,
            "description": f"The topic of the subscription `{subscription}`, which has another "
            "owner.",
        }
        return channel

    def _channel(self, topic: str) -> str:
        """Return the id of a topic's channel, which is made if it is new."""
        path = TOPIC_PATH.fullmatch(topic)
        name = path["topic"] if path else topic
        address = topic if path else f"projects/{self.project}/topics/{topic}"
        for channel, known in self.channels.items():
            if known["address"] == address:
                return channel
        channel = _free(component_name(name), self.channels)
        self.channels[channel] = {
            "address": address,
            "title": name,
            "bindings": {
                "googlepubsub": {
                    "bindingVersion": BINDING_VERSION,
                    "schemaSettings": self._schema_settings(topic),
                }
            },
        }
        if _PROJECT in address:
            what = "The Google Cloud project that the tasks are deployed to."
            self.channels[channel]["parameters"] = {"project": {"description": what}}
        return channel

    def _schema_settings(self, topic: str) -> Object:
        planned = self.topics.get(topic)
        if planned is None or planned.schema is None:
            return _NO_SCHEMA
        name = f"projects/{self.project}/schemas/{topic}"
        return {"encoding": planned.schema.encoding, "name": name}

    def _message(self, planned: PlannedTask) -> str:
        """Return the name of a task's message; tasks that take the same have one of them."""
        wanted = component_name(asyncapi_messages.name_of(planned.task))
        for name in (wanted, f"{planned.task.name}.{wanted}"):
            message, schemas = asyncapi_messages.describe(planned.task, name)
            if self.messages.get(name, message) == message and all(
                self.schemas.get(key, schema) == schema for key, schema in schemas.items()
            ):
                self.messages[name] = message
                self.schemas |= schemas
                return name
        raise AssertionError(f"{planned.task.name} is there twice")


def _free(wanted: str, taken: Mapping[str, Any]) -> str:
    name, number = wanted, 1
    while name in taken:
        number += 1
        name = f"{wanted}-{number}"
    return name


def _description(planned: PlannedTask) -> Iterator[str]:
    """Yield paragraphs, in CommonMark."""
    needs = planned.needs
    text = (inspect.getdoc(planned.task.function) or "").partition("\n")[2].strip()
    if text:
        yield text
    if needs.filter:
        yield f"Only messages whose attributes match `{needs.filter}`."
    if needs.ordered:
        yield "Messages with one ordering key are handled one after the other."
    for schedule in needs.schedules:
        paused = ", paused" if schedule.paused else ""
        yield (
            f"Cloud Scheduler sends one at `{schedule.expression}` ({schedule.time_zone}{paused})."
        )
    if needs.subscription:
        yield "Delivered as often as the owner of its subscription has set."
        return
    waits = f"{needs.min_backoff_seconds:g} to {needs.max_backoff_seconds:g} seconds apart"
    if needs.max_attempts is None:
        yield f"Delivered, {waits}, until it is handled or expires."
    else:
        dead = f"then it goes to `{needs.dead_letter_topic}`"
        yield f"Delivered up to {_times(planned)}, {waits}; {dead}."


def _times(planned: PlannedTask) -> str:
    """Return the most attempts, as text: Pub/Sub's minimum is 5, and the task may stop earlier."""
    attempts = planned.task.policy.retry.max_attempts
    return f"{attempts} time{'s' * (attempts != 1)}"


def _extension(planned: PlannedTask) -> Object:
    """Return the fields that AsyncAPI lacks."""
    needs = planned.needs
    if needs.subscription:
        return {"subscription": needs.subscription}
    return {
        "subscription": needs.name,
        "filter": needs.filter,
        "ordered": needs.ordered,
        "ack_deadline_seconds": needs.ack_deadline_seconds,
        "retry": {
            "min_backoff_seconds": needs.min_backoff_seconds,
            "max_backoff_seconds": needs.max_backoff_seconds,
            "max_attempts": planned.task.policy.retry.max_attempts,
        },
        "dead_letter_topic": needs.dead_letter_topic,
        "schedules": [
            {
                "expression": schedule.expression,
                "time_zone": schedule.time_zone,
                "attributes": schedule.attributes,
                "paused": schedule.paused,
            }
            for schedule in needs.schedules
        ],
    }
