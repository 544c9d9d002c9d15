"""Avro definitions: fastavro parses the schema.

Data are checked here: fastavro takes more JSON than Avro's own encoding has, and its reader of
binary data limits neither depth nor length.
"""

from __future__ import annotations

import io
import json
from typing import Any, NoReturn

from ucam_faas import _optional
from ucam_faas.emulator.schemas.avro_binary import check_binary
from ucam_faas.emulator.schemas.avro_changes import unreadable
from ucam_faas.emulator.schemas.avro_json import check_json
from ucam_faas.emulator.schemas.avro_values import datum, in_avro_json, plain_json, sample
from ucam_faas.emulator.schemas.definitions import BINARY, DefinitionError, MismatchError


class AvroDefinition:
    """An Avro schema.

    Args:
        text: the schema, in JSON.

    Raises:
        DefinitionError: it isn't one.
        MissingExtraError: fastavro isn't installed.
    """

    def __init__(self, text: str) -> None:
        _optional.require("fastavro", extra="local", purpose="use Avro schemas")
        from fastavro.schema import parse_schema

        self.names: dict[str, Any] = {}
        """The schemas of named types, by full name."""
        try:
            self.schema = parse_schema(_plain(json.loads(text)), self.names)
            _check_names(self.schema)
        except Exception as error:  # of many classes: KeyError, TypeError, SchemaParseException …
            raise DefinitionError(f"{type(error).__name__}: {error}") from error

    def check(self, data: bytes, encoding: str) -> None:
        """Check data; see `Definition`."""
        if encoding == BINARY:
            try:
                check_binary(data, self.schema, self.names)
            except MismatchError as error:
                if not data.startswith(b"{"):
                    raise
                text = f"{error} The data look like JSON: the encoding is {BINARY}."
                raise MismatchError(text) from error
            return
        try:
            check_json(_json(data), self.schema, self.names)
        except RecursionError as error:
            raise MismatchError("The data are nested too deep.") from error

    def encode(self, value: Any, encoding: str) -> bytes:
        """Return a value in an encoding.

        Args:
            value: as `json.loads` returned it: plain JSON, or Avro's JSON encoding.
            encoding: JSON or BINARY.

        Raises:
            MismatchError: it doesn't follow the definition.
        """
        from fastavro import schemaless_writer

        try:
            value = in_avro_json(value, self.schema, self.names)
            if encoding != BINARY:
                return json.dumps(value, ensure_ascii=False).encode(errors="surrogatepass")
            file = io.BytesIO()
            schemaless_writer(file, self.schema, datum(value, self.schema, self.names))
        except RecursionError as error:
            raise MismatchError("The data are nested too deep.") from error
        except UnicodeEncodeError as error:
            raise MismatchError("A text has half a character.") from error
        return file.getvalue()

    def decode(self, data: bytes) -> Any:
        """Return the value of binary data, as plain JSON has it.

        Raises:
            MismatchError: they don't follow the definition.
        """
        from fastavro import schemaless_reader

        self.check(data, BINARY)  # fastavro has no limits
        return plain_json(schemaless_reader(io.BytesIO(data), self.schema, None))

    def sample(self) -> Any:
        """Return a made-up value, as `encode` takes it."""
        return sample(self.schema, self.names)

    def break_with(self, other: AvroDefinition) -> str | None:
        """Return why one of the two can't read the other's data."""
        return unreadable(self, other) or unreadable(other, self)


def _plain(schema: Any) -> Any:
    """Return a schema without logical types, of whose values fastavro takes some only.

    It also takes a record without fields.
    """
    if isinstance(schema, list):
        return [_plain(branch) for branch in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("type") in ("record", "error") and "fields" not in schema:
        raise DefinitionError(f"the record {schema.get('name')} has no fields")
    plain = {key: value for key, value in schema.items() if key != "logicalType"}
    for key in plain.keys() & {"type", "items", "values"}:
        plain[key] = _plain(plain[key])
    if isinstance(plain.get("fields"), list):
        plain["fields"] = [_plain(field) for field in plain["fields"]]
    inner = plain.get("type")
    if isinstance(inner, dict | list) and "name" not in plain:  # {"type": {"type": "string"}}
        return inner
    return plain


def _check_names(schema: Any) -> None:
    """Refuse two fields or two branches of one name, which fastavro takes."""
    if isinstance(schema, list):
        names = [branch if isinstance(branch, str) else _name(branch) for branch in schema]
        for branch in schema:
            if isinstance(branch, list):
                raise DefinitionError("a union has a union in it")
            _check_names(branch)
    elif isinstance(schema, dict):
        names = [field["name"] for field in schema.get("fields", ())]
        for inner in [field["type"] for field in schema.get("fields", ())]:
            _check_names(inner)
        for key in schema.keys() & {"items", "values"}:
            _check_names(schema[key])
    else:
        return
    for name in names:
        if names.count(name) > 1:
            raise DefinitionError(f"{name} is there twice")


def _name(schema: Any) -> Any:
    return schema.get("name") or schema["type"]


def _json(data: bytes) -> Any:
    try:
        return json.loads(data, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise MismatchError(f"The data aren't JSON: {error}") from error


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} isn't JSON")
