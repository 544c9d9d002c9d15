"""Compare two protobuf messages: provably safe edits pass, everything else is a change.

Source: protobuf's page "Updating a message type", and "Proto best practices".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ucam_faas.deploy.payloads.changes import Change

_WIDER = {
    "bool": {"int32", "uint32", "int64", "uint64"},
    "int32": {"int64"},
    "uint32": {"uint64", "int64"},
    "sint32": {"sint64"},
    "string": {"bytes"},
    "enum": {"int32", "int64"},
}
"""Types of the same encoding that hold every value of the other."""
_LOST = "old values are lost or read as another field"


def changes(old: dict[str, Any], new: dict[str, Any]) -> list[Change]:
    """Return the changes of a message and the messages and enums in it."""
    return list(_Comparison(old, new).messages(old["message"], new["message"]))


class _Comparison:
    def __init__(self, old: dict[str, Any], new: dict[str, Any]) -> None:
        self.old, self.new = old, new
        self.seen: set[tuple[str, str]] = set()

    def messages(self, old_name: str, new_name: str) -> Iterator[Change]:
        """Compare two messages, each pair once."""
        if (old_name, new_name) in self.seen:
            return
        self.seen.add((old_name, new_name))
        old, new = self.old["messages"][old_name], self.new["messages"][new_name]
        yield from _unreserved(old, new)
        yield from _oneofs(old["fields"], new["fields"])
        numbers = {field["name"]: number for number, field in new["fields"].items()}
        for number, field in old["fields"].items():
            name, other = field["name"], new["fields"].get(number)
            if numbers.get(name, number) != number:
                yield Change(name, f"had the number {number}, and has {numbers[name]} now: {_LOST}")
            elif other is None and not _is_reserved(number, new):
                yield Change(name, f"is gone, and its number {number} isn't reserved: {_LOST}")
            elif other is not None and other["name"] != name:
                yield Change(name, f"had the number {number}, now of {other['name']!r}: {_LOST}")
            elif other is not None:
                yield from (change.below(name) for change in self._fields(field, other))
        for number, field in new["fields"].items():
            if field["label"] == "required" != old["fields"].get(number, {}).get("label"):
                text = "is required now: old messages without it are refused"
                yield Change(field["name"], text)

    def _fields(self, old: dict[str, Any], new: dict[str, Any]) -> Iterator[Change]:
        labels = old["label"], new["label"]
        if labels[0] != labels[1] and "repeated" in labels:
            yield Change("", f"was {labels[0]}, is {labels[1]} now: old values are lost")
        before, after = old["type"], new["type"]
        if before in self.old["messages"] and after in self.new["messages"]:
            yield from self.messages(before, after)
        elif before in self.old["enums"] and after in self.new["enums"]:
            yield from _enums(self.old["enums"][before], self.new["enums"][after])
        else:
            described = self._is_described(before) or self._is_described(after)
            wider = _WIDER.get("enum" if before in self.old["enums"] else before, set())
            if after not in wider and (before != after or described):
                yield Change("", f"was {before}, is {after} now: old values are misread or refused")

    def _is_described(self, kind: str) -> bool:
        return any(kind in payload[part] for payload in (self.old, self.new) for part in _DESCRIBED)


_DESCRIBED = ("messages", "enums")


def _oneofs(old: dict[str, Any], new: dict[str, Any]) -> Iterator[Change]:
    """Find fields of one oneof that an old message may have together."""
    for oneof in sorted({field["oneof"] for field in new.values() if "oneof" in field}):
        numbers = [n for n, field in new.items() if field.get("oneof") == oneof and n in old]
        if len({old[number].get("oneof", number) for number in numbers}) > 1:
            names = ", ".join(new[number]["name"] for number in numbers)
            yield Change(names, f"are in the oneof {oneof} now: of several, old messages keep one")


def _enums(old: dict[str, Any], new: dict[str, Any]) -> Iterator[Change]:
    yield from _unreserved(old, new)
    numbers = {name: number for number, names in new["values"].items() for name in names}
    for number, names in old["values"].items():
        others = new["values"].get(number)
        moved = [name for name in names if numbers.get(name, number) != number]
        lost = others is None and not _is_reserved(number, new)
        if moved or lost or (others is not None and {*names}.isdisjoint(others)):
            now = others[0] if others else "no value"
            yield Change("", f"had {names[0]} for {number}, and has {now} now: old values change")


def _unreserved(old: dict[str, Any], new: dict[str, Any]) -> Iterator[Change]:
    """Find numbers that are free for reuse, though old messages may have them."""
    for low, high in old.get("reserved_numbers", []):
        if not any(start <= low and high <= end for start, end in new.get("reserved_numbers", [])):
            yield Change("", f"no longer reserves the numbers {low} to {high}: {_LOST} later")


def _is_reserved(number: str, described: dict[str, Any]) -> bool:
    ranges = described.get("reserved_numbers", [])
    return any(low <= int(number) <= high for low, high in ranges)
