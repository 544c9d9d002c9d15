"""Find out why no message suits two payloads. In doubt, some may."""

from __future__ import annotations

from typing import Any, NamedTuple

from ucam_faas.deploy.payloads.json_compatibility import (
    Schema,
    alternatives,
    definitions_of,
    field_names,
    unnamed_fields,
)

_SCALARS = ("string", "integer", "number", "boolean")
_NUMBERS = ("integer", "number", "boolean")


class Clash(NamedTuple):
    """The reason.

    Args:
        path: such as `user.id`; empty: the payload itself.
        first: what the first payload says of it, to read after "is" or "takes".
        second: what the second says.
    """

    path: str
    first: str
    second: str

    def below(self, name: str) -> Clash:
        """Return it with a longer path."""
        return self._replace(path=f"{name}.{self.path}" if self.path else name)

    @property
    def turned(self) -> Clash:
        """It, with the second payload first."""
        return Clash(self.path, self.second, self.first)


def clash(first: dict[str, Any] | None, second: dict[str, Any] | None) -> Clash | None:
    """Return why no message suits two payloads; None: some may.

    Args:
        first: `payload_schemas.schema_of` of a task.
        second: that of another.
    """
    if first is None or second is None:
        return None
    for key in ("format", "event_type"):
        if first.get(key) != second.get(key):
            return Clash("", str(first.get(key, "no CloudEvent")), str(second.get(key, "none")))
    if first["format"] != "json":
        return None
    return _Pair(first["schema"], second["schema"]).schemas(first["schema"], second["schema"], 0)


class _Pair:
    def __init__(self, first: Any, second: Any) -> None:
        self.first, self.second = definitions_of(first), definitions_of(second)

    def schemas(self, first: Any, second: Any, depth: int) -> Clash | None:
        if depth > _DEEPEST:
            return None
        reasons = []
        for mine in alternatives(first, self.first):
            for theirs in alternatives(second, self.second):
                reason = self._plain(mine, theirs, depth)
                if reason is None:
                    return None
                reasons.append(reason)
        return reasons[0] if reasons else None

    def _plain(self, first: Schema, second: Schema, depth: int) -> Clash | None:
        kinds = first.get("type"), second.get("type")
        if kinds == ("object", "object"):
            there = self._fields(first, second, depth)
            back = _Turned(self)._fields(second, first, depth) if there is None else None
            return there or (back and back.turned)
        if _exclude_each_other(first, second):
            return Clash("", _shown(first), _shown(second))
        return None

    def _fields(self, first: Schema, second: Schema, depth: int) -> Clash | None:
        """Look at the fields that every message of the first payload has."""
        names, known = field_names(first), field_names(second)
        others = unnamed_fields(second)
        for field in first.get("required", []):
            if list(names.values()).count(field) != 1:
                continue  # it has several names
            reason = None
            if field in known:
                fields = first["properties"][field], second["properties"][known[field]]
                reason = self.schemas(*fields, depth + 1)
            elif others is False:
                reason = Clash("", "required", "refused")
            if reason:
                return reason.below(field)
        return None


class _Turned(_Pair):
    def __init__(self, pair: _Pair) -> None:
        self.first, self.second = pair.second, pair.first


_DEEPEST = 8


def _exclude_each_other(first: Schema, second: Schema) -> bool:
    kinds = first.get("type"), second.get("type")
    values = [{*map(str, schema["enum"])} for schema in (first, second) if "enum" in schema]
    if len(values) == 2:
        return values[0].isdisjoint(values[1])
    if not all(isinstance(kind, str) for kind in kinds):
        return False
    if not all(kind in _SCALARS for kind in kinds):
        return kinds[0] != kinds[1]
    # Pydantic reads a number from a text of digits, and a time from a number: publishers of texts
    # and of numbers are different ones nevertheless, unless the text has a form.
    text = next((schema for schema in (first, second) if schema["type"] == "string"), {})
    has_number = any(kind in _NUMBERS for kind in kinds)
    return bool(text) and has_number and "format" not in text


def _shown(schema: Schema) -> str:
    if "enum" in schema:
        return " or ".join(map(repr, schema["enum"]))
    return str(schema.get("type", "anything"))
