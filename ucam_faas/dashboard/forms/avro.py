"""Messages of a topic with an Avro schema, as JSON."""

from __future__ import annotations

import json
from typing import Any

from ucam_faas.actions.topic_schemas import TopicSchema
from ucam_faas.dashboard.forms.protobuf import NoMessageError
from ucam_faas.dashboard.forms.values import dump
from ucam_faas.exceptions import MissingExtraError


class AvroMessages:
    """Messages of one topic.

    Args:
        topic: its schema.
        schema: the JSON Schema of the payload; None: only the task's code knows it.
    """

    def __init__(self, topic: TopicSchema, schema: Any) -> None:
        self._topic = topic
        self.schema = schema

    def to_json(self, data: bytes) -> bytes:
        """Return a message as JSON; data that don't follow the schema stay as they are."""
        text = self._topic.shown(data)
        return data if text is None else dump(json.loads(text), indent=2).encode()

    def from_json(self, text: bytes, like: bytes | None = None) -> bytes:
        """Return the message of a JSON text; any other text stays as it is.

        Raises:
            NoMessageError: it doesn't follow the schema.
        """
        try:
            return self._topic.formed(text)
        except (ValueError, MissingExtraError) as error:
            raise NoMessageError((), str(error)) from error
