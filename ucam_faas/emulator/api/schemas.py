"""The methods of google.pubsub.v1.SchemaService: from request message to response message."""

from __future__ import annotations

import uuid
from typing import Any

from ucam_faas.emulator.api import checks, protos
from ucam_faas.emulator.api.pages import page
from ucam_faas.emulator.api.resources import Resources
from ucam_faas.emulator.api.validation import DELETED_SCHEMA, Validation, mismatch
from ucam_faas.emulator.errors import RpcError, already_exists, invalid, missing
from ucam_faas.emulator.schemas.definitions import BINARY, JSON, MismatchError

MAX_REVISIONS = 20
_BASIC, _FULL = 1, 2
_MICROSECOND = 1e-6


class SchemasApi:
    """Schemas and their revisions.

    Args:
        resources: keeps them.
        validation: compiles them.
    """

    def __init__(self, resources: Resources, validation: Validation) -> None:
        self._resources = resources
        self._validation = validation

    def create_schema(self, request: Any) -> Any:
        """Create a schema, with its first revision."""
        name = f"{checks.project(request.parent)}/schemas/{request.schema_id}"
        checks.name(name, "schemas")
        schema = protos.Schema(
            name=name, type_=request.schema.type_, definition=request.schema.definition
        )
        self._validation.compile(schema)
        if name in self._resources.schemas:
            raise already_exists(name)
        return self._append(schema, [])

    def get_schema(self, request: Any) -> Any:
        """Return a schema's newest revision, or the one that its name states after @."""
        return _view(self._revision(request.name), request.view or _FULL)

    def list_schemas(self, request: Any) -> Any:
        """Return a project's schemas, a page at a time."""
        prefix = f"{checks.project(request.parent)}/schemas/"
        schemas = self._resources.schemas
        names, token = page(request, (name for name in schemas if name.startswith(prefix)))
        return protos.SCHEMAS["ListSchemas"][1](
            schemas=[_view(schemas[name][-1], request.view or _BASIC) for name in names],
            next_page_token=token,
        )

    def list_schema_revisions(self, request: Any) -> Any:
        """Return a schema's revisions, oldest first, a page at a time."""
        revisions = self._resources.schema(request.name)
        by_time = {f"{request.name}@{_time_key(each)}": each for each in revisions}
        keys, token = page(request, by_time)
        return protos.SCHEMAS["ListSchemaRevisions"][1](
            schemas=[_view(by_time[key], request.view or _BASIC) for key in keys],
            next_page_token=token,
        )

    def commit_schema(self, request: Any) -> Any:
        """Add a revision."""
        revisions = self._resources.schema(request.name)
        if request.schema.name not in ("", request.name):
            raise invalid(
                f"The schema's name ({request.schema.name}) isn't the request's ({request.name})."
            )
        newest = revisions[-1]
        schema = protos.Schema(
            name=request.name, type_=request.schema.type_, definition=request.schema.definition
        )
        definition = self._validation.compile(schema)
        if schema.type_ != newest.type_:
            raise invalid("Invalid schema type: a revision has the type of those before it.")
        problem = definition.break_with(self._validation.compile(newest))
        if problem:
            raise invalid(
                "Invalid schema definition: the revision isn't compatible with "
                f"revision_id={newest.revision_id}: {problem}."
            )
        return self._append(schema, revisions)

    def rollback_schema(self, request: Any) -> Any:
        """Add a revision that is a copy of an earlier one."""
        revisions = self._resources.schema(request.name)
        if not request.revision_id:
            raise invalid("Missing revision ID.")
        earlier = self._revision(f"{request.name}@{request.revision_id}")
        copy = protos.Schema(name=request.name, type_=earlier.type_, definition=earlier.definition)
        return self._append(copy, revisions)

    def delete_schema_revision(self, request: Any) -> Any:
        """Delete a revision, and return it."""
        name, _, id = request.name.partition("@")
        revision = self._revision(f"{name}@{id or request.revision_id}")
        revisions = self._resources.schema(name)
        if len(revisions) == 1:
            raise invalid("Cannot delete last revision. Please use DeleteSchema.")
        revisions.remove(revision)
        self._resources.keep_schema(name, revisions)
        return revision

    def delete_schema(self, request: Any) -> Any:
        """Delete a schema; its topics stay, and take no messages until they have another."""
        self._resources.schema(request.name)
        self._resources.forget("schemas", request.name)
        self._validation.forget(request.name)
        for topic in self._resources.topics.values():
            if topic.proto.schema_settings.schema == request.name:
                topic.proto.schema_settings.schema = DELETED_SCHEMA
                self._resources.keep_topic(topic)
        return protos.Empty()

    def validate_schema(self, request: Any) -> Any:
        """Check a definition."""
        checks.project(request.parent)
        self._validation.compile(_unnamed(request.schema))
        return protos.SCHEMAS["ValidateSchema"][1]()

    def validate_message(self, request: Any) -> Any:
        """Check a message against a schema, or against a definition."""
        checks.project(request.parent)
        encoding = protos.encoding_name(request.encoding)
        if encoding not in (JSON, BINARY):
            raise invalid("No encoding provided: choose JSON or BINARY.")
        is_named = request.WhichOneof("schema_spec") == "name"
        schema = self._revision(request.name) if is_named else _unnamed(request.schema)
        definition = self._validation.compile(schema)
        try:
            definition.check(request.message, encoding)
        except MismatchError as error:
            raise mismatch(schema, encoding, str(error)) from error
        return protos.SCHEMAS["ValidateMessage"][1]()

    def _revision(self, name: str) -> Any:
        name, at, id = name.partition("@")
        revisions = self._resources.schema(name)
        if not at:
            return revisions[-1]
        for revision in revisions:
            if revision.revision_id == id:
                return revision
        raise missing(f"Schema revision not found (revision_id={id}).")

    def _append(self, schema: Any, revisions: list[Any]) -> Any:
        if len(revisions) >= MAX_REVISIONS:
            raise RpcError(
                "FAILED_PRECONDITION",
                f"A schema has at most {MAX_REVISIONS} revisions: delete one first.",
            )
        time = self._resources.now().wall
        if revisions:
            time = max(time, protos.epoch(revisions[-1].revision_create_time) + _MICROSECOND)
        schema.revision_id = uuid.uuid4().hex[:8]
        schema.revision_create_time.CopyFrom(protos.timestamp(time))
        self._resources.keep_schema(schema.name, [*revisions, schema])
        return schema


def _view(schema: Any, view: int) -> Any:
    if view == _FULL:
        return schema
    basic = protos.Schema()
    basic.CopyFrom(schema)
    basic.ClearField("definition")
    return basic


def _unnamed(schema: Any) -> Any:
    """Return a schema of a request, without the name and revision that it may state."""
    return protos.Schema(type_=schema.type_, definition=schema.definition)


def _time_key(schema: Any) -> str:
    time = schema.revision_create_time
    return f"{time.seconds:012d}.{time.nanos:09d}"
