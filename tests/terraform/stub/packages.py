"""Reads the code that CDK Terrain generated for one resource: what members it has, and their kinds.

JavaScript and its type declarations come in; members come out, in the generator's own terms.
What they mean for Terraform is `schema`'s business. A form that is not known is an error there.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Argument:
    """The form of a member in a configuration."""

    is_block: bool
    nesting: str
    """simple, list, set, map or struct."""
    kind: str
    """string, number, boolean, stringList, …, or the name of a structure."""
    repeats: bool
    """True if it may be repeated."""


@dataclass(frozen=True, slots=True)
class Member:
    """An attribute or a nested block of a structure."""

    name: str
    computed: bool
    optional: bool
    required: bool
    code: str = ""
    """The expression that returns it: the only source of a computed attribute's type."""
    argument: Argument | None = None
    """None if it is only computed."""
    choices: tuple[str, ...] = ()
    """The possible values that its documentation lists."""


Structure = dict[str, Member]


@dataclass(frozen=True, slots=True)
class Package:
    """One resource type, data source or provider."""

    type_name: str
    root: Structure
    structures: dict[str, Structure] = field(default_factory=dict)


_FUNCTION = re.compile(r"^function (\w+)ToHclTerraform\(struct\) \{\n(.*?)^\}", re.M | re.S)
_CLASS = re.compile(r"^class (\w+) extends cdktn\.(\w+) \{\n(.*?)^\}", re.M | re.S)
_ROOTS = ("TerraformResource", "TerraformDataSource", "TerraformProvider")
_TYPE_NAME = re.compile(r'static tfResourceType = "(\w+)"')
_ARGUMENT = re.compile(
    r"^ +(?P<name>\w+): \{\n"
    r" +value: (?P<value>.*),\n"
    r" +isBlock: (?P<is_block>true|false),\n"
    r' +type: "(?P<nesting>\w+)",\n'
    r' +storageClassType: "(?P<kind>\w+)"',
    re.M,
)
_FLAGS = re.compile(
    r"^    // (?P<name>\w+) - computed: (?P<computed>\w+), optional: (?P<optional>\w+),"
    r" required: (?P<required>\w+)\n(?P<code>.*?)(?=^    // \w+ - computed|\Z)",
    re.M | re.S,
)
_INTERFACE = re.compile(r"^export interface (\w+) .*?\{\n(.*?)^\}", re.M | re.S)
_COMMENT = re.compile(r"/\*\*(.*?)\*/\s+readonly", re.S)
_DOCUMENTED = re.compile(r"\{@link \S+ \w+#(\w+)\}")
_CHOICES = re.compile(r"Possible values(?: are)?: (\[[^\]]*\])")


def read_package(javascript: str, declarations: str) -> Package:
    """Read the `index.js` and `index.d.ts` of one folder of the package."""
    arguments = {_title(name): _arguments(body) for name, body in _FUNCTION.findall(javascript)}
    choices = dict(_all_choices(declarations))
    structures = {}
    for name, base, body in _CLASS.findall(javascript):
        if base == "ComplexObject":
            name = name.removesuffix("OutputReference")
            structures[name] = _members(body, arguments.get(name, {}), choices.get(name, {}))
        elif base in _ROOTS:
            type_name = _TYPE_NAME.findall(body)[0]
            root = _members(body, _arguments(body), choices.get(f"{name}Config", {}))
    for name in arguments.keys() - structures.keys():
        structures[name] = _unflagged(arguments[name])
    return Package(type_name, root, structures)


def _arguments(code: str) -> dict[str, Argument]:
    return {
        match["name"]: Argument(
            is_block=match["is_block"] == "true",
            nesting=match["nesting"],
            kind=match["kind"],
            repeats="Mapper" in match["value"],
        )
        for match in _ARGUMENT.finditer(code)
    }


def _members(
    code: str, arguments: dict[str, Argument], choices: dict[str, tuple[str, ...]]
) -> Structure:
    return {
        match["name"]: Member(
            name=match["name"],
            computed=match["computed"] == "true",
            optional=match["optional"] == "true",
            required=match["required"] == "true",
            code=match["code"],
            argument=arguments.get(match["name"]),
            choices=choices.get(match["name"], ()),
        )
        for match in _FLAGS.finditer(code)
    }


def _unflagged(arguments: dict[str, Argument]) -> Structure:
    """A provider's blocks come without flags, so all their members count as optional."""
    return {
        name: Member(name, computed=False, optional=True, required=False, argument=argument)
        for name, argument in arguments.items()
    }


def _all_choices(declarations: str) -> list[tuple[str, dict[str, tuple[str, ...]]]]:
    declared = []
    for name, body in _INTERFACE.findall(declarations):
        choices = {}
        for comment in _COMMENT.findall(body):
            member, listed = _DOCUMENTED.search(comment), _CHOICES.search(comment)
            if member and listed:
                choices[member[1]] = tuple(json.loads(listed[1]))
        declared.append((name, choices))
    return declared


def _title(name: str) -> str:
    return name[:1].upper() + name[1:]
