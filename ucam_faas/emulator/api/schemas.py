"""The methods of google.pubsub.v1.SchemaService, for projects without schemas: none can be created.

A client that lists schemas, or looks one up, works as it does in a new project.
"""

from __future__ import annotations

from typing import Any, NoReturn

from ucam_faas.emulator.api import checks, protos
from ucam_faas.emulator.errors import not_found, unsupported


class SchemasApi:
    """No schemas."""

    def list_schemas(self, request: Any) -> Any:
        """Return a project's schemas."""
        checks.project(request.parent)
        return protos.SCHEMAS["ListSchemas"][1]()

    def get_schema(self, request: Any) -> NoReturn:
        """Return a schema."""
        raise not_found(checks.name(request.name.partition("@")[0], "schemas"))

    list_schema_revisions = delete_schema = get_schema
    commit_schema = rollback_schema = delete_schema_revision = get_schema

    def create_schema(self, request: Any) -> NoReturn:
        """Create a schema."""
        raise unsupported("Schemas")

    validate_schema = validate_message = create_schema
