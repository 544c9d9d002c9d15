"""Parses the text of a .proto file into a FileDescriptorProto.

It knows proto2 and proto3 as far as one file goes: no imports, services, extensions, editions.
The numbers, and names that are there twice, are checked by protobuf when it builds the types.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)

from ucam_faas.emulator.schemas.definitions import DefinitionError

_TOKENS = re.compile(
    r"""(?P<space>\s+|//[^\n]*|/\*.*?\*/)
    |(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    |(?P<name>\.?[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)
    |(?P<number>(?:0[xX][0-9A-Fa-f]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)[fF]?)
    |(?P<symbol>[{}\[\]()<>=;,:/+-])""",
    re.DOTALL | re.VERBOSE,
)
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
    _resolve(parser.file)
    return parser.file


class _Parser:
    def __init__(self, text: str) -> None:
        self.file = FileDescriptorProto(name="schema.proto")
        self._tokens = list(_tokens(text))
        self._at = 0
        self._depth = 0

    # -- tokens -------------------------------------------------------------------------------

    @property
    def _next(self) -> str:
        return self._tokens[self._at][1]

    def _fail(self, expected: str) -> NoReturn:
        line, token = self._tokens[self._at]
        raise DefinitionError(f"line {line}: expected {expected}, found {token or 'the end'!r}")

    def _take(self) -> str:
        token = self._next
        if not token:
            self._fail("more")
        self._at += 1
        return token

    def _skip(self, token: str) -> bool:
        if self._next != token:
            return False
        self._at += 1
        return True

    def _expect(self, *tokens: str) -> None:
        for token in tokens:
            if not self._skip(token):
                self._fail(repr(token))

    def _name(self, *, full: bool = False) -> str:
        if not re.fullmatch(r"\.?[A-Za-z_][\w.]*" if full else r"[A-Za-z_]\w*", self._next):
            self._fail("a name")
        return self._take()

    def _integer(self) -> int:
        sign = -1 if self._skip("-") else 1
        token = self._next
        try:
            value = int(token, 8 if re.fullmatch(r"0\d+", token) else 0)
        except ValueError:
            self._fail("a number")
        self._take()
        return sign * value

    def _string(self) -> str:
        if self._next[:1] not in ('"', "'"):
            self._fail("a string")
        parts = []
        while self._next[:1] in ('"', "'"):  # as in C, neighbours are one
            parts.append(_unquoted(self._take()))
        return "".join(parts)

    # -- the file -----------------------------------------------------------------------------

    def parse(self) -> None:
        """Read the whole text."""
        self.file.syntax = "proto2"
        if self._skip("syntax"):
            self._expect("=")
            self.file.syntax = self._string()
            if self.file.syntax not in ("proto2", "proto3"):
                raise DefinitionError(f"unknown syntax {self.file.syntax!r}")
            self._expect(";")
        while self._next:
            if self._skip("package"):
                self.file.package = self._name(full=True)
                self._expect(";")
            elif self._skip("option"):
                self._option()
            elif self._skip("message"):
                self._message(self.file.message_type.add())
            elif self._skip("enum"):
                self._enum(self.file.enum_type.add())
            elif self._next in ("import", "service", "extend", "edition"):
                raise DefinitionError(f"{self._next!r} isn't supported in a schema of Pub/Sub")
            elif not self._skip(";"):
                self._fail("a message")

    def _message(self, message: DescriptorProto) -> None:
        message.name = self._name()
        self._expect("{")
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
        while not self._skip("}"):
            following = self._tokens[self._at + 1][1] if self._next else ""
            if self._next == "extend":
                raise DefinitionError("'extend' isn't supported in a schema of Pub/Sub")
            if self._next == "map" and following == "<":
                self._map(message)
            elif self._next in statements and following != "=" and not following.startswith("."):
                statements[self._take()]()
            elif not self._skip(";"):
                presences += self._field(message)
        for field in presences:  # behind the real ones
            field.oneof_index = len(message.oneof_decl)
            message.oneof_decl.add(name=f"_{field.name}")
        _check_numbers(message)
        self._depth -= 1

    def _field(self, message: DescriptorProto) -> list[FieldDescriptorProto]:
        """Read a field, and return it in a list if its presence is tracked by `optional`."""
        proto3 = self.file.syntax == "proto3"
        label = self._take() if self._next in _LABELS else ""
        if not label and not proto3:
            self._fail("'optional', 'repeated' or 'required'")
        if label == "required" and proto3:
            raise DefinitionError("proto3 has no required fields")
        field = self._typed(message, _LABELS[label or "optional"])
        if label == "optional" and proto3:
            field.proto3_optional = True
            return [field]
        return []

    def _typed(self, message: DescriptorProto, label: Any) -> FieldDescriptorProto:
        if self._skip("group"):
            return self._group(message, label)
        field = message.field.add(label=label)
        self._type(field)
        field.name = self._name()
        self._expect("=")
        field.number = _checked_number(self._integer())
        self._field_options(field)
        self._expect(";")
        return field

    def _type(self, field: FieldDescriptorProto) -> None:
        name = self._name(full=True)
        if name in _SCALARS:
            field.type = _SCALARS[name]
        else:
            field.type_name = name

    def _group(self, message: DescriptorProto, label: Any) -> FieldDescriptorProto:
        if self.file.syntax == "proto3":
            raise DefinitionError("proto3 has no groups")
        name = self._name()
        self._expect("=")
        field = message.field.add(label=label, name=name.lower(), type_name=name)
        field.type = FieldDescriptorProto.TYPE_GROUP
        field.number = _checked_number(self._integer())
        self._field_options(field)
        nested = message.nested_type.add(name=name)
        self._expect("{")
        self._body(nested)
        return field

    def _map(self, message: DescriptorProto) -> None:
        self._expect("map", "<")
        if self._next not in _KEYS:
            self._fail("a type of keys")
        key = _SCALARS[self._take()]
        self._expect(",")
        value = FieldDescriptorProto(name="value", number=2, label=_LABELS["optional"])
        self._type(value)
        self._expect(">")
        field = message.field.add(label=_LABELS["repeated"], name=self._name())
        entry = message.nested_type.add(name=_camel(field.name) + "Entry")
        entry.options.map_entry = True
        entry.field.add(name="key", number=1, label=_LABELS["optional"], type=key)
        entry.field.append(value)
        field.type_name = entry.name
        self._expect("=")
        field.number = _checked_number(self._integer())
        self._field_options(field)
        self._expect(";")

    def _oneof(self, message: DescriptorProto) -> None:
        index = len(message.oneof_decl)
        message.oneof_decl.add(name=self._name())
        self._expect("{")
        while not self._skip("}"):
            if self._skip("option"):
                self._option()
            elif not self._skip(";"):
                self._typed(message, _LABELS["optional"]).oneof_index = index
        if not any(
            each.HasField("oneof_index") and each.oneof_index == index for each in message.field
        ):
            raise DefinitionError(f"the oneof {message.oneof_decl[index].name} is empty")

    def _enum(self, enum: EnumDescriptorProto) -> None:
        enum.name = self._name()
        self._expect("{")
        while not self._skip("}"):
            if self._skip("option"):
                if self._next == "allow_alias":
                    self._expect("allow_alias", "=")
                    enum.options.allow_alias = self._take() == "true"
                    self._expect(";")
                else:
                    self._option()
            elif self._skip("reserved"):
                self._reserved(enum, 0)
            elif not self._skip(";"):
                value = enum.value.add(name=self._name())
                self._expect("=")
                value.number = self._int32()
                self._field_options(None)
                self._expect(";")
        if not enum.value:
            raise DefinitionError(f"the enum {enum.name} is empty")
        if self.file.syntax == "proto3" and enum.value[0].number != 0:
            raise DefinitionError(f"the first value of the enum {enum.name} must be 0 in proto3")
        numbers = [value.number for value in enum.value]
        if len(set(numbers)) < len(numbers) and not enum.options.allow_alias:
            raise DefinitionError(f"two values of the enum {enum.name} have one number")

    def _int32(self) -> int:
        value = self._integer()
        if not -(2**31) <= value < 2**31:
            raise DefinitionError(f"{value} isn't a number of 32 bits")
        return value

    def _reserved(self, holder: Any, past: int) -> None:
        """Read reserved names or ranges; `past` is added to a range's end."""
        while True:
            if self._next[:1] in ('"', "'"):
                holder.reserved_name.append(self._string())
            else:
                first, last = self._range(_MOST_NUMBER if past else 2**31 - 1)
                holder.reserved_range.add(start=first, end=last + past)
            if not self._skip(","):
                break
        self._expect(";")

    def _extensions(self, message: DescriptorProto) -> None:
        if self.file.syntax == "proto3":
            raise DefinitionError("proto3 has no extensions")
        while True:
            first, last = self._range(_MOST_NUMBER)
            message.extension_range.add(start=first, end=last + 1)
            if not self._skip(","):
                break
        self._field_options(None)
        self._expect(";")

    def _range(self, most: int) -> tuple[int, int]:
        first = last = self._int32()
        if self._skip("to"):
            last = most if self._skip("max") else self._int32()
        return first, last

    # -- options ------------------------------------------------------------------------------

    def _option(self) -> None:
        """Skip an option: none of them changes the data."""
        while not self._skip(";"):
            self._value()

    def _field_options(self, field: FieldDescriptorProto | None) -> None:
        if not self._skip("["):
            return
        while True:
            name = self._next
            while not self._skip("="):
                self._take()
            sign = self._take() if self._next in ("-", "+") and field is not None else ""
            is_text = self._next[:1] in ('"', "'")
            value = self._string() if is_text else self._value()
            if field is not None:
                self._set(field, name, sign + value)
            if not self._skip(","):
                break
        self._expect("]")

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
        token = self._take()
        if token in ("{", "["):
            closing = "}" if token == "{" else "]"
            while not self._skip(closing):
                self._value()
        return token


def _tokens(text: str) -> Iterator[tuple[int, str]]:
    """Return the line and the text of each token; the last is empty."""
    at, line = 0, 1
    while at < len(text):
        match = _TOKENS.match(text, at)
        if match is None:
            raise DefinitionError(f"line {line}: unexpected {text[at]!r}")
        if match.lastgroup != "space":
            yield line, match[0]
        line += match[0].count("\n")
        at = match.end()
    yield from [(line, "")] * 2


def _unquoted(token: str) -> str:
    try:
        return str(ast.literal_eval(token))
    except (ValueError, SyntaxError) as error:
        raise DefinitionError(f"{token} isn't a string") from error


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


def _resolve(file: FileDescriptorProto) -> None:
    """Replace each field's type by its full name, as protobuf looks names up: inside out."""
    kinds: dict[str, Any] = {}
    fields: list[tuple[str, FieldDescriptorProto]] = []

    def collect(message: DescriptorProto, prefix: str) -> None:
        scope = f"{prefix}.{message.name}"
        kinds[scope] = FieldDescriptorProto.TYPE_MESSAGE
        kinds.update((f"{scope}.{each.name}", _ENUM) for each in message.enum_type)
        fields.extend((scope, field) for field in message.field)
        for nested in message.nested_type:
            collect(nested, scope)

    top = f".{file.package}" if file.package else ""
    kinds.update((f"{top}.{each.name}", _ENUM) for each in file.enum_type)
    for each in file.message_type:
        collect(each, top)
    for scope, field in fields:
        if field.type_name:
            name = _look_up(field.type_name, scope, kinds)
            field.type_name = name
            if not field.HasField("type"):
                field.type = kinds[name]


_ENUM: Any = FieldDescriptorProto.TYPE_ENUM


def _look_up(name: str, scope: str, kinds: dict[str, Any]) -> str:
    if name.startswith("."):
        if name in kinds:
            return name
    else:
        parts = scope.split(".")
        for length in range(len(parts), 0, -1):
            full = ".".join((*parts[:length], name))
            if full in kinds:
                return full
    raise DefinitionError(f"{name} isn't defined; a schema of Pub/Sub can't import others")
