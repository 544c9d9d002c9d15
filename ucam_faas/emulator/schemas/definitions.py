"""One definition of a schema, whatever its language: what the rest of the emulator sees of it."""

from __future__ import annotations

from typing import Any, Protocol

JSON, BINARY = "JSON", "BINARY"
AVRO, PROTOCOL_BUFFER = "AVRO", "PROTOCOL_BUFFER"


class DefinitionError(Exception):
    """A text that isn't a definition; the message says why."""


class MismatchError(Exception):
    """Data that don't follow a definition; the message says why."""


class Definition(Protocol):
    """A definition that was understood."""

    def check(self, data: bytes, encoding: str) -> None:
        """Check data in an encoding, JSON or BINARY.

        Raises:
            MismatchError: they don't follow the definition.
        """

    def break_with(self, other: Any) -> str | None:
        """Return why messages of this and of another definition can't be read by each other."""
