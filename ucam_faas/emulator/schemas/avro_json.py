"""Avro's JSON encoding, as its specification has it. Pure.

A value of a union is `null`, or an object whose one key names the branch; bytes are a string of
the code points 0 to 255; every field must be there, whatever its default. As Google's emulator
does, it takes fields that the record lacks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ucam_faas.emulator.schemas.definitions import MismatchError


def check_json(value: Any, schema: Any, names: Mapping[str, Any], path: str = "") -> None:
    """Check a decoded value.

    Args:
        value: as `json.loads` returned it.
        schema: a schema that fastavro parsed.
        names: the schemas of named types, by full name.
        path: of the value, for the error.

    Raises:
        MismatchError: the value doesn't follow the schema.
    """
    if isinstance(schema, str) and schema in names:
        schema = names[schema]
    if isinstance(schema, list):
        _check_union(value, schema, names, path)
        return
    kind = schema if isinstance(schema, str) else schema["type"]
    if kind in ("record", "error"):
        _expect(isinstance(value, dict), value, "an object", path)
        for field in schema["fields"]:
            inside = f"{path}.{field['name']}"
            if field["name"] not in value:
                raise MismatchError(f"{inside.lstrip('.')} is missing.")
            check_json(value[field["name"]], field["type"], names, inside)
    elif kind == "array":
        _expect(isinstance(value, list), value, "an array", path)
        for index, item in enumerate(value):
            check_json(item, schema["items"], names, f"{path}[{index}]")
    elif kind == "map":
        _expect(isinstance(value, dict), value, "an object", path)
        for key, item in value.items():
            check_json(item, schema["values"], names, f"{path}.{key}")
    elif kind == "enum":
        symbols = schema["symbols"]
        _expect(isinstance(value, str) and value in symbols, value, f"one of {symbols}", path)
    elif kind == "fixed":
        ok = _is_bytes(value) and len(value) == schema["size"]
        _expect(ok, value, f"{schema['size']} bytes, as a string", path)
    else:
        _expect(_PRIMITIVES[kind](value), value, f"a value of the type {kind}", path)


def branch_name(branch: Any) -> str:
    """Return the name of a branch of a union: the full name, or the type."""
    if isinstance(branch, str):
        return branch
    return str(branch.get("name", branch["type"]))


def _check_union(value: Any, schema: list[Any], names: Mapping[str, Any], path: str) -> None:
    by_name = {branch_name(branch): branch for branch in schema}
    if value is None and "null" in by_name:
        return
    forms = [name if name == "null" else f'{{"{name}": …}}' for name in by_name]
    ok = isinstance(value, dict) and len(value) == 1 and next(iter(value)) in by_name
    _expect(ok and "null" not in value, value, " or ".join(forms), path)
    ((name, inner),) = value.items()
    check_json(inner, by_name[name], names, f"{path}.{name}")


def _is_integer(limit: int) -> Callable[[Any], bool]:
    def is_integer(value: Any) -> bool:
        return _is_number(value) and value == int(value) and -limit <= value < limit

    return is_integer


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _MOST


_MOST = float("inf")


def _is_bytes(value: Any) -> bool:
    return isinstance(value, str) and all(ord(character) < 256 for character in value)


_PRIMITIVES: Mapping[str, Callable[[Any], bool]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "int": _is_integer(2**31),
    "long": _is_integer(2**63),
    "float": _is_number,
    "double": _is_number,
    "string": lambda value: isinstance(value, str),
    "bytes": _is_bytes,
}


def _expect(ok: bool, value: Any, expected: str, path: str) -> None:
    """Raise MismatchError unless `ok`. The value stays out of the text: it may be personal."""
    if not ok:
        actual = "null" if value is None else type(value).__name__
        raise MismatchError(
            f"{path.lstrip('.') or 'The message'}: expected {expected}, found {actual}."
        )
