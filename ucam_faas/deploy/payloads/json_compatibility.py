"""What messages of the old form meet when the JSON Schema of a payload has changed.

What cannot be seen to let every old value through is a change: so is a keyword that is not known
here, and not the same as before. Unions are taken apart into alternatives, and each old one needs a
new one that takes all of it. Fields that a model does not know, and ignores, are not looked at.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from ucam_faas.deploy.payloads.changes import Change, ChangeKind
from ucam_faas.deploy.payloads.json_alternatives import alternatives, is_any, shown
from ucam_faas.deploy.payloads.json_limits import narrowed
from ucam_faas.deploy.payloads.schemas import ALSO_NAMED, KEYS

Schema = dict[str, Any]


def changes(old: Any, new: Any) -> list[Change]:
    """Return the incompatible changes from one JSON Schema to another."""
    return _Comparison(old, new).schemas(old, new)


class _Comparison:
    def __init__(self, old: Any, new: Any) -> None:
        self.old_definitions = old.get("$defs", {}) if isinstance(old, dict) else {}
        self.new_definitions = new.get("$defs", {}) if isinstance(new, dict) else {}
        self.running: set[tuple[str, str]] = set()
        self.assumed: set[tuple[str, str]] = set()
        self.done: dict[tuple[str, str], list[Change]] = {}

    def schemas(self, old: Any, new: Any) -> list[Change]:
        """Compare two schemas; one that holds itself is compatible if all else in it is."""
        pair = (json.dumps(old, sort_keys=True), json.dumps(new, sort_keys=True))
        if pair in self.running:
            self.assumed.add(pair)
            return []
        if pair not in self.done:
            self.running.add(pair)
            found = self._unions(old, new)
            self.running.remove(pair)
            self.assumed.discard(pair)
            if not found and self.assumed:
                return found  # it may yet turn out that what was assumed is not so
            self.done[pair] = found
        return self.done[pair]

    def _unions(self, old: Any, new: Any) -> list[Change]:
        olds = alternatives(old, self.old_definitions)
        news = alternatives(new, self.new_definitions)
        several = len([found for found in olds if found.get("type") != "null"]) > 1
        return [change for found in olds for change in self._covered(found, news, several=several)]

    def _covered(self, old: Schema, news: list[Schema], *, several: bool) -> list[Change]:
        """Find what of an old alternative no new one takes."""
        attempts = [self._alternative(old, new) for new in news]
        if not all(attempts):
            return []
        values = old.get("enum", [])
        if len(values) > 1 and len(news) > 1:  # each may have another alternative
            points = ({**old, "enum": [value]} for value in values)
            return [c for point in points for c in self._covered(point, news, several=several)]
        same = [
            found
            for new, found in zip(news, attempts, strict=True)
            if _is_same(old, new, alone=not several and len(_of_type(old, news)) == 1)
        ]
        if same:
            return min(same, key=len)
        expected = " or ".join(dict.fromkeys(map(shown, news))) or "nothing"
        if several or old.get("type") == "null":
            what = f"may no longer be {shown(old)}: expected {expected}"
            return [Change("", ChangeKind.ALTERNATIVE, what)]
        return [Change("", ChangeKind.RETYPED, f"was {shown(old)}, is {expected} now")]

    def _alternative(self, old: Schema, new: Schema) -> list[Change]:
        """Compare two schemas that are no unions."""
        if is_any(new):
            return []
        kinds = old.get("type"), new.get("type")
        unknown = kinds[0] is None and old != new
        if unknown or (kinds[1] not in (None, kinds[0]) and kinds != ("integer", "number")):
            return [Change("", ChangeKind.RETYPED, f"was {shown(old)}, is {shown(new)} now")]
        found = list(narrowed(old, new))
        if new.get("type", kinds[0]) == "object" and kinds[0] == "object":
            found += self._objects(old, new)
        elif new.get("type", kinds[0]) == "array" and kinds[0] == "array":
            found += self._arrays(old, new)
        if "contentSchema" in new:
            found += self.schemas(old.get("contentSchema", True), new["contentSchema"])
        return found

    def _objects(self, old: Schema, new: Schema) -> Iterator[Change]:
        names, known = _names(old), _names(new)
        gone = [name for name in names if name not in known]
        added = {*known.values()} - {known.get(name) for name in names}
        fields, others, renamed = old.get("properties", {}), _others(new), set[str]()
        for name, field in names.items():
            if name in known:
                found = self.schemas(fields[field], new["properties"][known[name]])
            elif "properties" not in new and others not in (None, False):
                key = self.schemas({"enum": [name]}, _keys(new))  # a map may take it
                found = self.schemas(fields[field], others) + key
            else:
                found = self._gone(fields[field], new, added if len(gone) == 1 else set(), renamed)
            yield from (change.below(name) for change in found)
        given = {known.get(n) for n, field in names.items() if field in old.get("required", [])}
        for name in new.get("required", []):
            if name not in given | renamed:
                was_there = any(known.get(other) == name for other in names)
                what = "was optional, is required now" if was_there else "is new and required"
                yield Change(name, ChangeKind.REQUIRED, what)
        yield from self._other_fields(old, new)

    def _gone(self, field: Any, new: Schema, added: set[str], renamed: set[str]) -> list[Change]:
        """Say that a field is gone; where one of the same type is new, it may be that."""
        same = [name for name in added if not self.schemas(field, new["properties"][name])]
        if len(same) == 1:
            renamed.add(same[0])
            what = f"is gone, and {same[0]!r}, which takes the same, is new"
            return [Change("", ChangeKind.RENAMED, what)]
        return [Change("", ChangeKind.REMOVED, "is gone")]

    def _other_fields(self, old: Schema, new: Schema) -> Iterator[Change]:
        """Compare the fields that have no names in the schema, and the values of maps."""
        before, after = _others(old), _others(new)
        patterns = old.get("patternProperties", {}), new.get("patternProperties", {})
        for pattern, value in patterns[0].items():
            target = patterns[1].get(pattern, after)
            if target is None or target is False:
                what = f"with keys of the form {pattern!r} are gone"
                yield Change("*", ChangeKind.REMOVED, what)
            else:
                yield from (change.below("*") for change in self.schemas(value, target))
        if before is False:
            return
        if before is None:
            if after is False:
                yield Change("", ChangeKind.CLOSED, "refuses other fields now")
            elif after is not None:
                yield from (change.below("*") for change in self.schemas(True, after))
            return
        for value in patterns[1].values():
            yield from (change.below("*") for change in self.schemas(before, value))
        if "properties" not in old:  # a map has become a model
            for name in new.get("properties", {}):
                found = self.schemas(before, new["properties"][name])
                yield from (change.below(name) for change in found)
        if after is None or after is False:
            yield Change("*", ChangeKind.REMOVED, "are dropped now, unless their names are known")
            return
        yield from (change.below("*") for change in self.schemas(before, after))
        yield from (change.below("<key>") for change in self.schemas(_keys(old), _keys(new)))

    def _arrays(self, old: Schema, new: Schema) -> Iterator[Change]:
        firsts = old.get("prefixItems", []), new.get("prefixItems", [])
        longest, most = max(map(len, firsts)), old.get("maxItems")
        for index in range(longest if most is None else min(most, longest)):
            before, after = _item(old, index), _item(new, index)
            if before is not False:
                yield from (c.below(f"[{index}]") for c in self.schemas(before, after))
        rest = _item(old, longest), _item(new, longest)
        if (most is None or most > longest) and rest[0] is not False:
            yield from (change.below("[]") for change in self.schemas(*rest))


def _names(schema: Schema) -> dict[str, str]:
    """Return each name that a field is read from, and the field."""
    found: dict[str, str] = {}
    for name, field in schema.get("properties", {}).items():
        others = field.get(ALSO_NAMED, []) if isinstance(field, dict) else []
        found |= dict.fromkeys((name, *others), name)
    return found


def _others(schema: Schema) -> Any:
    """Return what fields without a name in the schema are; None: they are ignored."""
    closed = False if "patternProperties" in schema else None  # pydantic refuses other keys
    return schema.get("additionalProperties", closed)


def _keys(schema: Schema) -> Schema:
    found: Schema = schema.get(KEYS) or schema.get("propertyNames") or {}
    return found if "type" in found or "$ref" in found else {"type": "string", **found}


def _item(schema: Schema, index: int) -> Any:
    first = schema.get("prefixItems", [])
    return first[index] if index < len(first) else schema.get("items", True)


def _of_type(old: Schema, news: Iterable[Schema]) -> list[Schema]:
    kinds = {old.get("type"), *(["number"] if old.get("type") == "integer" else [])}
    return [new for new in news if new.get("type") in kinds]


def _is_same(old: Schema, new: Schema, *, alone: bool) -> bool:
    """Tell whether two alternatives are one thing, before and after."""
    if not _of_type(old, [new]):
        return False
    if alone or old["type"] != "object":
        return True
    tags = _tags(old)
    return old.get("title") == new.get("title") or bool(tags and tags == _tags(new))


def _tags(schema: Schema) -> dict[str, str]:
    """Return the fields that have one value only, by which a union's alternatives are told."""
    fields = {name: f for name, f in schema.get("properties", {}).items() if isinstance(f, dict)}
    return {name: json.dumps(field["const"]) for name, field in fields.items() if "const" in field}
