"""What messages of the old form meet when a protobuf message has changed.

Source: protobuf's page "Updating a message type", and "Proto best practices".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ucam_faas.deploy.payloads.changes import Change, ChangeKind

_WIDER = {
    "bool": {"int32", "uint32", "int64", "uint64"},
    "int32": {"int64"},
    "uint32": {"uint64", "int64"},
    "sint32": {"sint64"},
    "string": {"bytes"},
}
"""Types of the same encoding that hold every value of the other."""
_ENUM_AS = {"int32", "int64"}


def changes(old: dict[str, Any], new: dict[str, Any]) -> list[Change]:
    """Return the incompatible changes of a message and what is in it."""
    return _Comparison(old, new).messages(old["message"], new["message"])


class _Comparison:
    def __init__(self, old: dict[str, Any], new: dict[str, Any]) -> None:
        self.old, self.new = old, new
        self.seen: set[tuple[str, str]] = set()

    def messages(self, old_name: str, new_name: str) -> list[Change]:
        """Compare two messages, each pair once."""
        if (old_name, new_name) in self.seen:
            return []
        self.seen.add((old_name, new_name))
        old, new = self.old["messages"][old_name], self.new["messages"][new_name]
        found = [*_oneofs(old["fields"], new["fields"]), *_unreserved(old, new)]
        numbers = {field["name"]: number for number, field in new["fields"].items()}
        for number, field in old["fields"].items():
            name, other = field["name"], new["fields"].get(number)
            if numbers.get(name, number) != number:
                what = f"had the number {number}, and has {numbers[name]} now"
                found.append(Change(name, ChangeKind.NUMBER, what))
            elif other is None and not _is_reserved(number, new):
                what = f"is gone, and its number {number} is not reserved"
                found.append(Change(name, ChangeKind.NUMBER, what))
            if other is not None:
                found += self._field(number, field, other)
        for number, field in new["fields"].items():
            if field["label"] == "required" and number not in old["fields"]:
                found.append(Change(field["name"], ChangeKind.REQUIRED, "is new and required"))
        return found

    def _field(self, number: str, old: dict[str, Any], new: dict[str, Any]) -> list[Change]:
        name, found = old["name"], []
        if new["name"] != name:
            what = f"had the number {number}, which is {new['name']!r} now"
            found.append(Change(name, ChangeKind.NUMBER, what))
        labels = old["label"], new["label"]
        if (labels[0] == "repeated") != (labels[1] == "repeated"):
            what = f"was {labels[0]}, is {labels[1]} now"
            found.append(Change(name, ChangeKind.LABEL, what))
        elif labels[1] == "required" != labels[0]:
            found.append(Change(name, ChangeKind.REQUIRED, "was optional, is required now"))
        return found + [change.below(name) for change in self._types(old["type"], new["type"])]

    def _types(self, old: str, new: str) -> list[Change]:
        ours, theirs = self.old, self.new
        if old in ours["messages"] and new in theirs["messages"]:
            return self.messages(old, new)
        if old in ours["enums"] and new in theirs["enums"]:
            return list(_enums(ours["enums"][old], theirs["enums"][new]))
        wider = _ENUM_AS if old in ours["enums"] else _WIDER.get(old, set())
        described = {*ours["messages"], *ours["enums"], *theirs["messages"], *theirs["enums"]}
        if new in wider or (old == new and old not in described):
            return []
        return [Change("", ChangeKind.RETYPED, f"was {old}, is {new} now")]


def _oneofs(old: dict[str, Any], new: dict[str, Any]) -> Iterable[Change]:
    """Find fields that old messages may have both, and new ones may not."""
    members: dict[str, list[str]] = {}
    for number, field in new.items():
        if "oneof" in field and number in old:
            members.setdefault(field["oneof"], []).append(number)
    for oneof, numbers in members.items():
        homes = [old[number].get("oneof") for number in numbers]
        if len(numbers) > 1 and (None in homes or len(set(homes)) > 1):
            names = ", ".join(new[number]["name"] for number in numbers)
            what = f"are in one oneof now ({oneof}), and were not: of two, one is dropped"
            yield Change(names, ChangeKind.LABEL, what)


def _enums(old: dict[str, Any], new: dict[str, Any]) -> Iterable[Change]:
    yield from _unreserved(old, new)
    numbers = {name: number for number, names in new["values"].items() for name in names}
    for number, names in old["values"].items():
        moved = [name for name in names if numbers.get(name, number) != number]
        for name in moved:
            what = f"has the value {name} under {numbers[name]} now, and had it under {number}"
            yield Change("", ChangeKind.NUMBER, what)
        others = new["values"].get(number)
        if others is None and not moved and not _is_reserved(number, new):
            what = f"has lost the value {names[0]}, and its number {number} is not reserved"
            yield Change("", ChangeKind.VALUE, what)
        elif others is not None and not {*names} & {*others}:
            what = f"has {others[0]} for {number} now, and had {names[0]}"
            yield Change("", ChangeKind.NUMBER, what)


def _unreserved(old: dict[str, Any], new: dict[str, Any]) -> Iterable[Change]:
    """Find numbers that are free for reuse, though old messages may have them."""
    for low, high in old.get("reserved_numbers", []):
        first = low
        for start, end in new.get("reserved_numbers", []):  # in order
            if start <= first <= end:
                first = end + 1
        if first <= high:
            yield Change("", ChangeKind.NUMBER, f"no longer has the number {first} reserved")


def _is_reserved(number: str, found: dict[str, Any]) -> bool:
    ranges = found.get("reserved_numbers", [])
    return any(low <= int(number) <= high for low, high in ranges)
