"""Parses the text of a .proto file into a FileDescriptorProto.

It knows proto2 and proto3 as far as one file goes: no imports, services, extensions, editions.
The numbers, and names that are there twice, are checked by protobuf when it builds the types.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)

from ucam_faas.emulator.schemas.definitions import DefinitionError
from ucam_faas.emulator.schemas.proto_names import resolve
from ucam_faas.emulator.schemas.proto_tokens import Tokens

_SCALARS = {
    name: FieldDescriptorProto.Type.Value(f"TYPE_{name.upper()}")
    for name in (
        *("double", "float", "int32", "int64", "uint32", "uint64", "sint32", "sint64"),
        *("fixed32", "fixed64", "sfixed32", "sfixed64", "bool", "string", "bytes"),
    )
}
_LABELS = {
    name: FieldDescriptorProto.Label.Value(f"LABEL_{name.upper()}")
    for name in ("optional", "required", "repeated")
}
_KEYS = _SCALARS.keys() - {"double", "float", "bytes"}
_MOST_NUMBER = 2**29 - 1
_RESERVED_NUMBERS = range(19000, 20000)
_DEEPEST = 32
"""Messages in messages: protoc's limit."""


def parse_proto(text: str) -> FileDescriptorProto:
    """Return the file that a text describes, with each type resolved.

    Raises:
        DefinitionError: it isn't a .proto file, or has something that Pub/Sub doesn't support.
    """
    parser = _Parser(text)
    parser.parse()
    resolve(parser.file)
    return parser.file


class _Parser:
    def __init__(self, text: str) -> None:
        self.file = FileDescriptorProto(name="schema.proto")
        self._tokens = Tokens(text)
        self._depth = 0

    def parse(self) -> None:
        """Read the whole text."""
        self.file.syntax = "proto2"
        if self._tokens.skip("syntax"):
            self._tokens.expect("=")
            self.file.syntax = self._tokens.string()
            if self.file.syntax not in ("proto2", "proto3"):
                raise DefinitionError(f"unknown syntax {self.file.syntax!r}")
            self._tokens.expect(";")
        while self._tokens.next:
            if self._tokens.skip("package"):
                self.file.package = self._tokens.name(full=True)
                self._tokens.expect(";")
            elif self._tokens.skip("option"):
                self._option()
            elif self._tokens.skip("message"):
                self._message(self.file.message_type.add())
            elif self._tokens.skip("enum"):
                self._enum(self.file.enum_type.add())
            elif self._tokens.next in ("import", "service", "extend", "edition"):
                raise DefinitionError(
                    f"{self._tokens.next!r} isn't supported in a schema of Pub/Sub"
                )
            elif not self._tokens.skip(";"):
                self._tokens.fail("a message")

    def _message(self, message: DescriptorProto) -> None:
        message.name = self._tokens.name()
        self._tokens.expect("{")
        self._body(message)

    def _body(self, message: DescriptorProto) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise DefinitionError(f"messages are nested more than {_DEEPEST} deep")
        presences: list[FieldDescriptorProto] = []
        statements: dict[str, Callable[[], None]] = {
            "message": lambda: self._message(message.nested_type.add()),
            "enum": lambda: self._enum(message.enum_type.add()),
            "option": self._option,
            "oneof": lambda: self._oneof(message),
            "reserved": lambda: self._reserved(message, 1),
            "extensions": lambda: self._extensions(message),
        }
        while not self._tokens.skip("}"):
            word, following = self._tokens.next, self._tokens.after_next
            if word == "extend":
                raise DefinitionError("'extend' isn't supported in a schema of Pub/Sub")
            if word == "map" and following == "<":
                self._map(message)
            elif word in statements and following != "=" and not following.startswith("."):
                statements[self._tokens.take()]()
            elif not self._tokens.skip(";"):
                presences += self._field(message)
        for field in presences:  # behind the real ones
            field.oneof_index = len(message.oneof_decl)
            message.oneof_decl.add(name=f"_{field.name}")
        _check_numbers(message)
        self._depth -= 1

    def _field(self, message: DescriptorProto) -> list[FieldDescriptorProto]:
        """Read a field, and return it in a list if its presence is tracked by `optional`."""
        proto3 = self.file.syntax == "proto3"
        label = self._tokens.take() if self._tokens.next in _LABELS else ""
        if not label and not proto3:
            self._tokens.fail("'optional', 'repeated' or 'required'")
        if label == "required" and proto3:
            raise DefinitionError("proto3 has no required fields")
        field = self._typed(message, _LABELS[label or "optional"])
        if label == "optional" and proto3:
            field.proto3_optional = True
            return [field]
        return []

    def _typed(self, message: DescriptorProto, label: Any) -> FieldDescriptorProto:
        if self._tokens.skip("group"):
            return self._group(message, label)
        field = message.field.add(label=label)
        self._type(field)
        field.name = self._tokens.name()
        self._tokens.expect("=")
        field.number = _checked_number(self._tokens.integer())
        self._field_options(field)
        self._tokens.expect(";")
        return field

    def _type(self, field: FieldDescriptorProto) -> None:
        name = self._tokens.name(full=True)
        if name in _SCALARS:
            field.type = _SCALARS[name]
        else:
            field.type_name = name

    def _group(self, message: DescriptorProto, label: Any) -> FieldDescriptorProto:
        if self.file.syntax == "proto3":
            raise DefinitionError("proto3 has no groups")
        name = self._tokens.name()
        self._tokens.expect("=")
        field = message.field.add(label=label, name=name.lower(), type_name=name)
        field.type = FieldDescriptorProto.TYPE_GROUP
        field.number = _checked_number(self._tokens.integer())
        self._field_options(field)
        nested = message.nested_type.add(name=name)
        self._tokens.expect("{")
        self._body(nested)
        return field

    def _map(self, message: DescriptorProto) -> None:
        self._tokens.expect("map", "<")
        if self._tokens.next not in _KEYS:
            self._tokens.fail("a type of keys")
        key = _SCALARS[self._tokens.take()]
        self._tokens.expect(",")
        value = FieldDescriptorProto(name="value", number=2, label=_LABELS["optional"])
        self._type(value)
        self._tokens.expect(">")
        field = message.field.add(label=_LABELS["repeated"], name=self._tokens.name())
        entry = message.nested_type.add(name=_camel(field.name) + "Entry")
        entry.options.map_entry = True
        entry.field.add(name="key", number=1, label=_LABELS["optional"], type=key)
        entry.field.append(value)
        field.type_name = entry.name
        self._tokens.expect("=")
        field.number = _checked_number(self._tokens.integer())
        self._field_options(field)
        self._tokens.expect(";")

    def _oneof(self, message: DescriptorProto) -> None:
        index = len(message.oneof_decl)
        message.oneof_decl.add(name=self._tokens.name())
        self._tokens.expect("{")
        while not self._tokens.skip("}"):
            if self._tokens.skip("option"):
                self._option()
            elif not self._tokens.skip(";"):
                self._typed(message, _LABELS["optional"]).oneof_index = index
        if not any(
            each.HasField("oneof_index") and each.oneof_index == index for each in message.field
        ):
            raise DefinitionError(f"the oneof {message.oneof_decl[index].name} is empty")

    def _enum(self, enum: EnumDescriptorProto) -> None:
        enum.name = self._tokens.name()
        self._tokens.expect("{")
        while not self._tokens.skip("}"):
            if self._tokens.skip("option"):
                if self._tokens.next == "allow_alias":
                    self._tokens.expect("allow_alias", "=")
                    enum.options.allow_alias = self._tokens.take() == "true"
                    self._tokens.expect(";")
                else:
                    self._option()
            elif self._tokens.skip("reserved"):
                self._reserved(enum, 0)
            elif not self._tokens.skip(";"):
                value = enum.value.add(name=self._tokens.name())
                self._tokens.expect("=")
                value.number = self._int32()
                self._field_options(None)
                self._tokens.expect(";")
        if not enum.value:
            raise DefinitionError(f"the enum {enum.name} is empty")
        if self.file.syntax == "proto3" and enum.value[0].number != 0:
            raise DefinitionError(f"the first value of the enum {enum.name} must be 0 in proto3")
        numbers = [value.number for value in enum.value]
        if len(set(numbers)) < len(numbers) and not enum.options.allow_alias:
            raise DefinitionError(f"two values of the enum {enum.name} have one number")

    def _int32(self) -> int:
        value = self._tokens.integer()
        if not -(2**31) <= value < 2**31:
            raise DefinitionError(f"{value} isn't a number of 32 bits")
        return value

    def _reserved(self, holder: Any, past: int) -> None:
        """Read reserved names or ranges; `past` is added to a range's end."""
        while True:
            if self._tokens.next[:1] in ('"', "'"):
                holder.reserved_name.append(self._tokens.string())
            else:
                first, last = self._range(_MOST_NUMBER if past else 2**31 - 1)
                holder.reserved_range.add(start=first, end=last + past)
            if not self._tokens.skip(","):
                break
        self._tokens.expect(";")

    def _extensions(self, message: DescriptorProto) -> None:
        if self.file.syntax == "proto3":
            raise DefinitionError("proto3 has no extensions")
        while True:
            first, last = self._range(_MOST_NUMBER)
            message.extension_range.add(start=first, end=last + 1)
            if not self._tokens.skip(","):
                break
        self._field_options(None)
        self._tokens.expect(";")

    def _range(self, most: int) -> tuple[int, int]:
        first = last = self._int32()
        if self._tokens.skip("to"):
            last = most if self._tokens.skip("max") else self._int32()
        return first, last

    def _option(self) -> None:
        """Skip an option: none of them changes the data."""
        while not self._tokens.skip(";"):
            self._value()

    def _field_options(self, field: FieldDescriptorProto | None) -> None:
        if not self._tokens.skip("["):
            return
        while True:
            name = self._tokens.next
            while not self._tokens.skip("="):
                self._tokens.take()
            sign = (
                self._tokens.take() if self._tokens.next in ("-", "+") and field is not None else ""
            )
            is_text = self._tokens.next[:1] in ('"', "'")
            value = self._tokens.string() if is_text else self._value()
            if field is not None:
                self._set(field, name, sign + value)
            if not self._tokens.skip(","):
                break
        self._tokens.expect("]")

    def _set(self, field: FieldDescriptorProto, name: str, value: str) -> None:
        if name == "packed":
            field.options.packed = value == "true"
        elif name == "json_name":
            field.json_name = value
        elif name == "default":
            if self.file.syntax == "proto3":
                raise DefinitionError("proto3 has no defaults")
            field.default_value = value

    def _value(self) -> str:
        """Read a token, or a whole aggregate."""
        token = self._tokens.take()
        if token in ("{", "["):
            closing = "}" if token == "{" else "]"
            while not self._tokens.skip(closing):
                self._value()
        return token


def _checked_number(number: int) -> int:
    if not 1 <= number <= _MOST_NUMBER or number in _RESERVED_NUMBERS:
        raise DefinitionError(f"{number} can't be a field's number")
    return number


def _check_numbers(message: DescriptorProto) -> None:
    seen: set[int] = set()
    for field in message.field:
        reserved = any(each.start <= field.number < each.end for each in message.reserved_range)
        if reserved or field.name in message.reserved_name:
            raise DefinitionError(f"the field {field.name} is reserved in {message.name}")
        if field.number in seen:
            raise DefinitionError(f"two fields of {message.name} have the number {field.number}")
        seen.add(field.number)


def _camel(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))
