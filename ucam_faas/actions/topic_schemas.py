"""The Pub/Sub schema of a task's topic, and data in the form that it asks for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from ucam_faas.emulator.schemas.definitions import (
    AVRO,
    BINARY,
    DefinitionError,
    MismatchError,
)
from ucam_faas.exceptions import MissingExtraError

if TYPE_CHECKING:
    from ucam_faas.emulator.schemas.avro import AvroDefinition


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicSchema:
    """A schema that belongs to one topic, and has its name.

    Args:
        type: AVRO or PROTOCOL_BUFFER.
        definition: its text.
        encoding: of the messages, JSON or BINARY.
    """

    type: str
    definition: str
    encoding: str

    @property
    def is_avro(self) -> bool:
        """Return True if data may have to be encoded: protobuf messages know their own form."""
        return self.type == AVRO

    def formed(self, data: bytes) -> bytes:
        """Return data as the topic takes them: JSON is encoded, and anything else stays as it is.

        So does JSON that follows another revision of the schema, perhaps: Pub/Sub knows them all.

        Raises:
            ValueError: it is JSON that has no binary form by the schema.
            MissingExtraError: fastavro isn't installed.
        """
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):
            return data
        definition = _avro(self.definition)
        try:
            if self.encoding != BINARY:
                with suppress(MismatchError):
                    definition.check(data, self.encoding)
                    return data
            return definition.encode(value, self.encoding)
        except MismatchError as error:
            if self.encoding != BINARY:
                return data
            raise ValueError(f"it doesn't follow the topic's schema: {error}") from error

    def samples(self, candidates: Iterator[bytes | Exception]) -> Iterator[bytes | Exception]:
        """Yield data that follow the schema: the candidates that do, and one that is made up."""
        for candidate in candidates:
            if isinstance(candidate, bytes):
                try:
                    yield self.formed(candidate)
                except ValueError as error:
                    yield error
        definition = _avro(self.definition)
        yield definition.encode(definition.sample(), self.encoding)

    def shown(self, data: bytes) -> str | None:
        """Return binary data as JSON; None: they have no such form, or are JSON."""
        if self.encoding != BINARY:
            return None
        try:
            value = _avro(self.definition).decode(data)
            return json.dumps(value, ensure_ascii=False, allow_nan=False)
        except (MismatchError, MissingExtraError, ValueError, RecursionError):
            return None


@cache
def _avro(text: str) -> AvroDefinition:
    from ucam_faas.emulator.schemas.avro import AvroDefinition  # heavy

    try:
        return AvroDefinition(text)
    except DefinitionError as error:  # checked when it was read, unless fastavro was missing
        raise ValueError(f"the topic's schema isn't one: {error}") from error
