"""From the description of a protobuf message to the text of a .proto file, for documents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def render(payload: dict[str, Any]) -> tuple[str, str]:
    """Return a description as text, and its syntax: "proto2" or "proto3".

    The wire format is that of the original files. Messages of other packages have their full names,
    with _ for each dot.
    """
    file = _File(payload)
    return "\n".join(file.lines()) + "\n", file.syntax


class _File:
    def __init__(self, payload: dict[str, Any]) -> None:
        self.messages, self.enums = payload["messages"], payload["enums"]
        self.imports = payload["imports"]
        self.names = {*self.messages, *self.enums}
        top = payload["message"]
        while self._parent(top):
            top = self._parent(top)
        self.package = top.rpartition(".")[0]
        self.syntax = "proto2" if self._needs_proto2() else "proto3"

    def lines(self) -> Iterator[str]:
        yield f'syntax = "{self.syntax}";'
        if self.package:
            yield from ("", f"package {self.package};")
        if self.imports:
            yield ""
            yield from (f'import "{file}";' for file in self.imports)
        for name in sorted(self.names):
            if not self._parent(name):
                yield ""
                yield from self._type(name, self._local(name))

    def _needs_proto2(self) -> bool:
        fields = [f for message in self.messages.values() for f in message["fields"].values()]
        firsts = [next(iter(enum["values"]), "0") for enum in self.enums.values()]
        return any(f["label"] == "required" for f in fields) or any(n != "0" for n in firsts)

    def _parent(self, name: str) -> str:
        parent = name.rpartition(".")[0]
        return parent if parent in self.messages else ""

    def _local(self, name: str) -> str:
        """Return the name of a top-level type."""
        prefix = f"{self.package}." if self.package else ""
        return (name.removeprefix(prefix) if name.startswith(prefix) else name).replace(".", "_")

    def _reference(self, name: str) -> str:
        """Return the name of a type in a field."""
        if name not in self.names:  # one of Google's
            return f".{name}"
        parts: list[str] = []
        while self._parent(name):
            parts.append(name.rpartition(".")[2])
            name = self._parent(name)
        parts.append(self._local(name))
        same = [other for other in self.names if other.rpartition(".")[2] == parts[-1]]
        prefix = f".{self.package}." if self.package else "."
        return (prefix if len(same) > 1 else "") + ".".join(reversed(parts))

    def _type(self, name: str, local: str) -> Iterator[str]:
        if name in self.enums:
            yield from self._enum(self.enums[name], local)
            return
        message, oneofs = self.messages[name], dict[str, list[str]]()
        yield f"message {local} {{"
        yield from self._reserved(message)
        for child in sorted(self.names):
            if self._parent(child) == name and not self._is_entry(child):
                yield from (f"  {x}" for x in self._type(child, child.rpartition(".")[2]))
        for number, field in message["fields"].items():
            line = f"{self._kind(field)} {field['name']} = {number};"
            if "oneof" in field:
                oneofs.setdefault(field["oneof"], []).append(f"    {line}")
            else:
                yield f"  {self._label(field)}{line}"
        for oneof, lines in oneofs.items():
            yield from (f"  oneof {oneof} {{", *lines, "  }")
        yield "}"

    def _enum(self, enum: dict[str, Any], local: str) -> Iterator[str]:
        yield f"enum {local} {{"
        if any(len(names) > 1 for names in enum["values"].values()):
            yield "  option allow_alias = true;"
        yield from self._reserved(enum)
        for number, names in enum["values"].items():
            yield from (f"  {name} = {number};" for name in names)
        yield "}"

    def _reserved(self, described: dict[str, Any]) -> Iterator[str]:
        ranges = described.get("reserved_numbers", [])
        if ranges:
            shown = (str(low) if low == high else f"{low} to {high}" for low, high in ranges)
            yield f"  reserved {', '.join(shown)};"
        if described.get("reserved_names"):
            yield (
                "  reserved " + ", ".join(f'"{name}"' for name in described["reserved_names"]) + ";"
            )

    def _is_entry(self, name: str) -> bool:
        return bool(self.messages.get(name, {}).get("map_entry"))

    def _kind(self, field: dict[str, Any]) -> str:
        kind: str = field["type"]
        if self._is_entry(kind):
            entry = self.messages[kind]["fields"]
            return f"map<{self._kind(entry['1'])}, {self._kind(entry['2'])}>"
        if kind.startswith("group "):  # a field has no other place for these words
            return f"/* a group on the wire */ {self._reference(kind.removeprefix('group '))}"
        return self._reference(kind) if "." in kind or kind in self.names else kind

    def _label(self, field: dict[str, Any]) -> str:
        if self._is_entry(field["type"]):
            return ""
        if field["label"] == "singular":
            return "optional " if self.syntax == "proto2" else ""
        return f"{field['label']} "
