"""Avro's rules of schema resolution: can data of one schema be read by another? Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

_PROMOTIONS = {
    *(("int", "long"), ("int", "float"), ("int", "double"), ("long", "float"), ("long", "double")),
    *(("float", "double"), ("string", "bytes"), ("bytes", "string")),
}
"""From the writer's type to the reader's."""


class Named(Protocol):
    """A schema with its named types."""

    schema: Any
    names: dict[str, Any]


def unreadable(writer: Named, reader: Named) -> str | None:
    """Return why data of a writer's schema can't be read with a reader's; None: they can be."""
    return _Resolution(writer.names, reader.names).problem(writer.schema, reader.schema, "")


class _Resolution:
    def __init__(self, written: Mapping[str, Any], read: Mapping[str, Any]) -> None:
        self._written, self._read = written, read
        self._seen: set[tuple[str, str]] = set()
        """Pairs of named types that are compared already: they may hold each other."""

    def problem(self, writer: Any, reader: Any, path: str) -> str | None:
        if isinstance(writer, list):  # each of its branches may come
            return _first(self.problem(branch, reader, path) for branch in writer)
        if isinstance(reader, list):
            if any(self.problem(writer, branch, path) is None for branch in reader):
                return None
            return f"{_at(path)} is a union without the type {_kind(writer)}"
        writer, reader = _look_up(writer, self._written), _look_up(reader, self._read)
        kind, other = _kind(writer), _kind(reader)
        if kind != other:
            if (kind, other) in _PROMOTIONS:
                return None
            return f"{_at(path)} is of the type {other}, and was {kind}"
        if kind == "array":
            return self.problem(writer["items"], reader["items"], f"{path}[]")
        if kind == "map":
            return self.problem(writer["values"], reader["values"], f"{path}.*")
        if kind in ("record", "error", "enum", "fixed"):
            return self._named(kind, writer, reader, path)
        return None

    def _named(self, kind: str, writer: Any, reader: Any, path: str) -> str | None:
        pair = (writer["name"], reader["name"])
        if _short(pair[0]) != _short(pair[1]) and not _is_alias(reader, pair[0]):
            return f"{_at(path)} has the name {pair[1]}, and had {pair[0]}"
        if pair in self._seen:
            return None
        self._seen.add(pair)
        if kind == "fixed":
            same = writer["size"] == reader["size"]
            return None if same else f"{_at(path)} has another size"
        if kind == "enum":
            missing = [symbol for symbol in writer["symbols"] if symbol not in reader["symbols"]]
            if not missing or "default" in reader:
                return None
            return f"{_at(path)} lacks the symbol {missing[0]}"
        return self._record(writer, reader, path)

    def _record(self, writer: Any, reader: Any, path: str) -> str | None:
        written = {field["name"]: field for field in writer["fields"]}
        for field in reader["fields"]:
            inside = f"{path}.{field['name']}"
            names = [field["name"], *field.get("aliases", ())]
            source = next((written[name] for name in names if name in written), None)
            if source is None:
                if "default" not in field:
                    return f"{_at(inside)} has no default, and one of the two lacks it"
            elif problem := self.problem(source["type"], field["type"], inside):
                return problem
        return None


def _first(problems: Iterable[str | None]) -> str | None:
    return next((problem for problem in problems if problem), None)


def _look_up(schema: Any, names: Mapping[str, Any]) -> Any:
    return names.get(schema, schema) if isinstance(schema, str) else schema


def _kind(schema: Any) -> str:
    return schema if isinstance(schema, str) else str(schema["type"])


def _short(name: str) -> str:
    return name.rpartition(".")[2]


def _is_alias(reader: Any, name: str) -> bool:
    return any(_short(alias) == _short(name) for alias in reader.get("aliases", ()))


def _at(path: str) -> str:
    return path.lstrip(".") or "the message"
