"""Checks definitions of schemas, topics' schema settings, and the messages of these topics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ucam_faas.emulator.api import protos
from ucam_faas.emulator.api.resources import Resources
from ucam_faas.emulator.core.engine import Draft
from ucam_faas.emulator.errors import RpcError, invalid, missing
from ucam_faas.emulator.schemas.compiling import compile_definition
from ucam_faas.emulator.schemas.definitions import (
    AVRO,
    BINARY,
    JSON,
    PROTOCOL_BUFFER,
    Definition,
    DefinitionError,
    MismatchError,
)
from ucam_faas.exceptions import MissingExtraError

DELETED_SCHEMA = "_deleted-schema_"
MAX_DEFINITION_BYTES = 300 * 1024
FAILED = "Message failed schema validation"
ATTRIBUTES = "googclient_schemaencoding", "googclient_schemaname", "googclient_schemarevisionid"
"""Of each message of a topic with a schema."""


class Validation:
    """Checks messages against schemas.

    Args:
        resources: has the schemas' revisions.
    """

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._compiled: dict[tuple[str, str], Definition] = {}
        """By the schema's name and the revision's id, from its first message on."""

    def settings(self, settings: Any) -> None:
        """Check a topic's schema settings.

        Raises:
            RpcError: NOT_FOUND: no such schema or revision; INVALID_ARGUMENT.
        """
        revisions = self._resources.schema(settings.schema)
        if protos.encoding_name(settings.encoding) not in (JSON, BINARY):
            raise invalid("Invalid schema encoding provided: choose JSON or BINARY.")
        _range(settings, revisions)

    def admit_to(self, name: str, drafts: Sequence[Draft]) -> Sequence[Draft]:
        """Return messages for a topic that exists; see `admit`."""
        topic = self._resources.topics[name].proto
        return self.admit(topic, drafts) if topic.HasField("schema_settings") else drafts

    def admit(self, topic: Any, drafts: Sequence[Draft]) -> list[Draft]:
        """Return messages for a topic with a schema, with the attributes that name the schema.

        Raises:
            RpcError: INVALID_ARGUMENT: one of them doesn't follow the schema.
        """
        settings = topic.schema_settings
        if settings.schema == DELETED_SCHEMA:
            raise invalid(f"Invalid data in message: {FAILED}: the topic's schema was deleted.")
        try:
            revisions = _range(settings, self._resources.schema(settings.schema))
        except RpcError as error:  # one that bounds the range was deleted since
            raise invalid(f"Invalid data in message: {FAILED}: {error.message}") from error
        encoding = protos.encoding_name(settings.encoding)
        admitted = []
        for draft in drafts:
            revision = self._matching(draft.data, encoding, settings.schema, revisions)
            values = (encoding, settings.schema, revision)
            attributes = {**draft.attributes, **dict(zip(ATTRIBUTES, values, strict=True))}
            admitted.append(draft._replace(attributes=attributes))
        return admitted

    def forget(self, name: str) -> None:
        """Drop what was compiled of a schema that is deleted."""
        for key in [key for key in self._compiled if key[0] == name]:
            del self._compiled[key]

    def compile(self, schema: Any) -> Definition:
        """Return what a revision of a schema, or one to be, defines.

        Raises:
            RpcError: INVALID_ARGUMENT: nothing; FAILED_PRECONDITION: fastavro isn't installed.
        """
        key = schema.name, schema.revision_id
        compiled = self._compiled.get(key)
        if compiled is None:
            compiled = _compile(schema)
            if schema.revision_id:
                self._compiled[key] = compiled
        return compiled

    def _matching(self, data: bytes, encoding: str, name: str, revisions: Sequence[Any]) -> str:
        """Return the newest revision that a message follows."""
        reason = "there is no revision in the topic's range"
        for revision in reversed(revisions):
            try:
                self.compile(revision).check(data, encoding)
            except MismatchError as error:
                reason = str(error)
            else:
                return str(revision.revision_id)
        first, last = revisions[0], revisions[0].revision_id
        raise mismatch(
            first,
            encoding,
            f"Could not validate message with any schema revision for schema: {name}, last "
            f"checked revision: revision_id={last} failed with status: {reason}",
        )


def mismatch(schema: Any, encoding: str, info: str) -> RpcError:
    """Return the error for a message that doesn't follow a schema, as Google writes it."""
    kind = "AVRO" if protos.type_name(schema) == AVRO else "PROTO"
    return RpcError(
        "INVALID_ARGUMENT",
        f"Invalid data in message: {FAILED}.",
        reason=f"INVALID_{encoding}_{kind}_MESSAGE",
        metadata={"message": FAILED, "revisionInfo": info},
    )


def _compile(schema: Any) -> Definition:
    if protos.type_name(schema) not in (AVRO, PROTOCOL_BUFFER):
        raise invalid("Invalid schema type: choose AVRO or PROTOCOL_BUFFER.")
    size = len(schema.definition.encode())
    if size > MAX_DEFINITION_BYTES:
        raise invalid(
            f"Invalid schema definition: it has {size} bytes; at most {MAX_DEFINITION_BYTES}."
        )
    try:
        return compile_definition(protos.type_name(schema), schema.definition)
    except DefinitionError as error:
        raise invalid(f"Invalid schema definition: Could not parse schema. {error}") from error
    except MissingExtraError as error:
        raise RpcError("FAILED_PRECONDITION", str(error)) from error


def _range(settings: Any, revisions: Sequence[Any]) -> Sequence[Any]:
    """Return the revisions that a topic takes, oldest first."""
    ids = [revision.revision_id for revision in revisions]
    first = last = None
    if settings.first_revision_id:
        first = _index(ids, settings.first_revision_id, "First")
    if settings.last_revision_id:
        last = _index(ids, settings.last_revision_id, "Last")
    if first is not None and last is not None and first > last:
        raise invalid("First revision creation time is after last revision creation time.")
    return revisions[first : None if last is None else last + 1]


def _index(ids: Sequence[str], id: str, which: str) -> int:
    if id not in ids:
        raise missing(f"{which} revision could not be found (revision_id={id}).")
    return ids.index(id)
