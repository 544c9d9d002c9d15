"""Avro's binary encoding, as its specification has it. Pure.

It reads data that anyone may have published. So it keeps no values, and limits how deep they are
and how many of them take no byte: fastavro's reader limits neither, and ends the process.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ucam_faas.emulator.schemas.definitions import MismatchError

MAX_DEPTH = 200
"""Of records, arrays, maps and unions in each other."""
MAX_EMPTY = 100_000
"""Values that take no byte, such as null, in one message: a few bytes can announce any number."""
_WIDTHS = {"null": 0, "boolean": 1, "float": 4, "double": 8}


def check_binary(data: bytes, schema: Any, names: Mapping[str, Any]) -> None:
    """Check one value.

    Args:
        data: the value's bytes.
        schema: a schema that fastavro parsed.
        names: the schemas of named types, by full name.

    Raises:
        MismatchError: they aren't one value of the schema.
    """
    value = _Value(data, names)
    value.skip(schema, MAX_DEPTH)
    if value.position < len(data):
        raise MismatchError("Too much data to parse for schema.")


class _Value:
    def __init__(self, data: bytes, names: Mapping[str, Any]) -> None:
        self._data, self._names = data, names
        self.position = 0
        self._empty = 0

    def skip(self, schema: Any, depth: int) -> None:
        start = self.position
        self._skip(schema, depth)
        self._empty += self.position == start
        if self._empty > MAX_EMPTY:
            raise MismatchError(f"More than {MAX_EMPTY} values take no byte.")

    def _skip(self, schema: Any, depth: int) -> None:
        if depth == 0:
            raise MismatchError(f"The data are nested more than {MAX_DEPTH} levels deep.")
        if isinstance(schema, str):
            schema = self._names.get(schema, schema)
        if isinstance(schema, list):
            self.skip(schema[self._index(len(schema), "branch of a union")], depth - 1)
            return
        kind = schema if isinstance(schema, str) else schema["type"]
        if kind in ("record", "error"):
            for field in schema["fields"]:
                self.skip(field["type"], depth - 1)
        elif kind in ("array", "map"):
            self._blocks(schema, depth - 1)
        elif kind == "enum":
            self._index(len(schema["symbols"]), "symbol of an enum")
        elif kind in ("int", "long"):
            self._integer(32 if kind == "int" else 64)
        elif kind in ("bytes", "string"):
            text = self._take(self._integer(64))
            if kind == "string":
                _check_text(text)
        else:
            self._take(schema["size"] if kind == "fixed" else _WIDTHS[kind])

    def _blocks(self, schema: Any, depth: int) -> None:
        while count := self._integer(64):
            if count < 0:  # then the size of the block in bytes follows
                self._integer(64)
            for _ in range(abs(count)):
                if schema["type"] == "map":
                    self.skip("string", depth)
                self.skip(schema["items" if schema["type"] == "array" else "values"], depth)

    def _index(self, length: int, what: str) -> int:
        index = self._integer(64)
        if not 0 <= index < length:
            raise MismatchError(f"Expected a {what}, 0 to {length - 1}; found {index}.")
        return index

    def _integer(self, bits: int) -> int:
        """Return an integer in zig-zag code of variable length."""
        code = shift = 0
        while True:
            (byte,) = self._take(1)
            code |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
            if shift >= 70:
                raise MismatchError("An integer has more than 10 bytes.")
        if code >> bits:
            raise MismatchError(f"An integer has more than {bits} bits.")
        return (code >> 1) ^ -(code & 1)

    def _take(self, size: int) -> bytes:
        start, end = self.position, self.position + size
        if size < 0 or end > len(self._data):
            raise MismatchError(
                f"Not enough data to parse for schema: expected {size} bytes at {start}, "
                f"found {len(self._data) - start}."
            )
        self.position = end
        return self._data[start:end]


def _check_text(text: bytes) -> None:
    try:
        text.decode()
    except UnicodeDecodeError as error:
        raise MismatchError("A string isn't UTF-8.") from error
