"""The report of `ucam-faas publish` about a message: sentences, or a JSON document at the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from ucam_faas.actions import message_data, publishing
from ucam_faas.actions.payloads import payload_json
from ucam_faas.actions.topic_schemas import TopicSchema
from ucam_faas.cli import _waiting
from ucam_faas.cli._messages import say
from ucam_faas.cli._output import print_json, remember
from ucam_faas.exceptions import ConfigurationError
from ucam_faas.tasks.task import Task


class Report:
    """Says it.

    Args:
        task: that gets it; None: only its topic is known.
        data: of the message.
        attributes: of the message.
        ordering_key: of the message.
        quiet: it is for a document.
    """

    def __init__(
        self,
        task: Task | None,
        data: bytes,
        attributes: dict[str, str],
        ordering_key: str,
        *,
        quiet: bool,
    ) -> None:
        self._task = task
        self._data = data
        self._quiet = quiet
        self._document: dict[str, Any] = {
            "task": task and task.name,
            "message_id": None,
            "bytes": len(data),
            "attributes": attributes,
            "ordering_key": ordering_key,
        }

    def show_data(self, schema: TopicSchema | None) -> None:
        """Show the data, which the user hasn't written; those of an Avro `schema` as JSON."""
        self._document |= payload_json(self._data, reveal=True)
        if not self._quiet:
            click.echo(f"Data: {message_data.shown(self._data, self._task, schema)}")

    def unpublished(self, topic: str, find: Callable[[], publishing.Destination]) -> None:
        """Say where a dry run would publish to, or why it can't; and end."""
        name, place, problem = topic, None, None
        try:
            destination = find()
        except ConfigurationError as error:
            problem = str(error)
        else:
            topic, place = destination.full_name(topic), destination.name
            name = f"{topic} ({place})"
        if self._quiet:
            self._document |= {"topic": topic, "pubsub": place, "problem": problem}
            self.end()
        else:
            more = f" {problem}" if problem else ""
            say(f"Nothing was published to {name}: this is a dry run.{more}")

    def published(self, message_id: str, topic: str, place: str) -> None:
        """Say that the message was published."""
        remember(message_id=message_id, topic=topic)
        self._document |= {"message_id": message_id, "topic": topic, "pubsub": place}
        if not self._quiet:
            say(f"Published message {message_id} to {topic} ({place}).")

    def handled(self, steps: list[dict[str, Any]]) -> None:
        """Say how the message went, which sentences have said already; and end."""
        self._document |= {"handled": _waiting.is_handled(steps), "steps": steps}
        self.end()

    def end(self) -> None:
        """Print the document, if one is wanted."""
        if self._quiet:
            print_json(self._document)
