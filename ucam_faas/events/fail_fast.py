"""Validation that stops at the first errors of large data.

pydantic collects every error of every item: two million wrong items of a 6 MB message take 1 GB to
collect, and 13 s to describe. Small data is validated as ever, with all of its errors; in large
data each collection stops at its first wrong item. Verdict and value are the
same either way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeVar

from pydantic import GetCoreSchemaHandler, TypeAdapter
from pydantic_core import CoreSchema, SchemaValidator, core_schema

PayloadT = TypeVar("PayloadT")

LARGE_BYTES = 10_000
"""JSON over this stops early: it may have thousands of errors."""
LARGE_ITEMS = 1_000
"""The same for data that is parsed already."""
_SCHEMAS = {
    "list": "ListSchema",
    "dict": "DictSchema",
    "set": "SetSchema",
    "frozenset": "FrozenSetSchema",
    "tuple": "TupleSchema",
    "deque": "DequeSchema",
}
_COLLECTIONS = {
    kind
    for kind, name in _SCHEMAS.items()
    if "fail_fast" in getattr(getattr(core_schema, name, None), "__annotations__", ())
}
"""Schemas that can fail at the first error; in older versions of pydantic, dictionaries can't."""
_VALUES = {
    *("custom_error_context", "default", "expected", "members", "metadata", "serialization"),
}
"""Keys of a schema under which there are no schemas, but values that may look like them."""


def json_validator(kind: Any, validate: Callable[[bytes], PayloadT]) -> Callable[[bytes], PayloadT]:
    """Return a validator of JSON.

    Args:
        kind: the type that pydantic validates.
        validate: its ordinary validator, for small data.
    """

    early = cache(lambda: _validator_of(kind))

    def validate_json(content: bytes) -> PayloadT:
        if len(content) <= LARGE_BYTES:
            return validate(content)
        payload: PayloadT = early().validate_json(content)
        return payload

    return validate_json


def python_validator(kind: Any, validate: Callable[[Any], PayloadT]) -> Callable[[Any], PayloadT]:
    """Return a validator of data that is parsed already; the arguments are those for JSON."""

    early = cache(lambda: _validator_of(kind))

    def validate_python(data: Any) -> PayloadT:
        if not _is_large(data):
            return validate(data)
        payload: PayloadT = early().validate_python(data)
        return payload

    return validate_python


class StopsAtFirstError:
    """Annotates a collection that always stops at its first wrong item."""

    def __get_pydantic_core_schema__(self, kind: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return the collection's schema, told so."""
        schema: Any = _stopping_early(handler(kind))
        stopping: CoreSchema = schema
        return stopping


def _validator_of(kind: Any) -> SchemaValidator:
    schema = _stopping_early(TypeAdapter(kind).core_schema)
    try:  # else the parts of it that are models would be validated by their own validators
        return SchemaValidator(schema, _use_prebuilt=False)
    except TypeError:  # older versions do not know of this, and do not do it
        return SchemaValidator(schema)


def _stopping_early(schema: Any) -> Any:
    """Return a copy of a core schema in which every collection fails at its first error."""
    if isinstance(schema, Mapping):
        kind = schema.get("type")
        values = _VALUES if isinstance(kind, str) else ()  # fields by name: any name will do
        copied = {
            key: value if key in values else _stopping_early(value) for key, value in schema.items()
        }
        if isinstance(kind, str) and kind in _COLLECTIONS:
            copied["fail_fast"] = True
        return copied
    if isinstance(schema, list | tuple):
        return type(schema)(map(_stopping_early, schema))
    return schema


def _is_large(data: Any) -> bool:
    waiting, items = [data], 0
    while waiting:
        value = waiting.pop()
        if not isinstance(value, dict | list):
            continue
        items += len(value)
        if items > LARGE_ITEMS:
            return True
        waiting.extend(value.values() if isinstance(value, dict) else value)
    return False
