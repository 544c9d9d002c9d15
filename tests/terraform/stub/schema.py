"""Turns a package's contents into the schema that `terraform providers schema -json` prints.

Descriptions are dropped, except the values that they list, which become an attribute's `choices`.
Not recoverable: conflicts, attributes that force a new resource, sensitive attributes, and limits
of blocks other than 0 and 1.
"""

from __future__ import annotations

import re
from typing import Any

from .packages import Argument, Member, Package, Structure

Block = dict[str, Any]
Type = str | list[Any]

_SCALARS = {"string": "string", "number": "number", "boolean": "bool"}
_COLLECTIONS = {"List": "list", "Map": "map", "Set": "set"}
_COLLECTION = re.compile(r"(string|number|boolean)(List|Map|Set)")
_GETTER = re.compile(r"this\.get(String|Number|Boolean)?(List|Map)?Attribute\(")
_MAP = re.compile(r"new cdktn\.(String|Number|Boolean)Map(List)?\(")
_OBJECT = re.compile(r'new (\w+?)(List|OutputReference)\(this, "\w+"(?:, (true|false))?\)')


class UnknownForm(Exception):
    """The generated code has a form that this reader does not know."""


def schema_of(package: Package) -> dict[str, Any]:
    """Return the schema of a resource type, data source or provider."""
    return {"version": 0, "block": _block(package, package.root)}


def _block(package: Package, structure: Structure) -> Block:
    block: Block = {"attributes": {}, "block_types": {}}
    for name, member in sorted(structure.items()):
        if member.argument and member.argument.is_block:
            block["block_types"][name] = _nested_block(package, member, member.argument)
        else:
            block["attributes"][name] = _attribute(package, member)
    return block


def _nested_block(package: Package, member: Member, argument: Argument) -> dict[str, Any]:
    block = _block(package, _structure(package, argument.kind))
    if argument.nesting == "struct":
        return {"nesting_mode": "single", "block": block}
    return {
        "nesting_mode": argument.nesting,
        "block": block,
        "min_items": int(member.required),
        "max_items": 0 if argument.repeats else 1,
    }


def _attribute(package: Package, member: Member) -> dict[str, Any]:
    attribute: dict[str, Any] = {"type": _type(package, member)}
    for flag in ("computed", "optional", "required"):
        if getattr(member, flag):
            attribute[flag] = True
    if member.choices:
        attribute["choices"] = list(member.choices)
    return attribute


def _type(package: Package, member: Member) -> Type:
    if member.argument is None:
        return _computed_type(package, member)
    kind, nesting = member.argument.kind, member.argument.nesting
    if kind in _SCALARS:
        return _SCALARS[kind]
    if collection := _COLLECTION.fullmatch(kind):
        return [nesting, _SCALARS[collection[1]]]
    element = _object(package, kind)
    return element if nesting == "struct" else [nesting, element]


def _computed_type(package: Package, member: Member) -> Type:
    if match := _MAP.search(member.code):
        mapping: Type = ["map", _SCALARS[match[1].lower()]]
        return ["list", mapping] if match[2] else mapping
    if match := _OBJECT.search(member.code):
        element = _object(package, match[1])
        if match[2] == "OutputReference":
            return element
        return ["set" if match[3] == "true" else "list", element]
    if match := _GETTER.search(member.code):
        scalar = _SCALARS[(match[1] or "String").lower()]
        if match[2] is None:
            return scalar
        is_set = "Fn.tolist(" in member.code
        return ["set" if is_set else _COLLECTIONS[match[2]], scalar]
    raise UnknownForm(f"{package.type_name}: the type of {member.name!r} in {member.code!r}")


def _object(package: Package, kind: str) -> Type:
    members = _structure(package, kind)
    return ["object", {name: _type(package, member) for name, member in members.items()}]


def _structure(package: Package, kind: str) -> Structure:
    structure = package.structures.get(kind) or package.structures.get(kind.removesuffix("List"))
    if structure is None:
        raise UnknownForm(f"{package.type_name}: no structure named {kind!r}")
    return structure
