"""Write the tables in the READMEs of the Terraform modules and examples, or check them.

python docs/terraform_readme.py            # write
python docs/terraform_readme.py --check    # exit 1 if a README is out of date

It reads what `terraform fmt` leaves: one attribute a line, with its description as a comment.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).parent.parent
TERRAFORM = ROOT / "terraform"
FOLDERS = [TERRAFORM, *sorted(path.parent for path in TERRAFORM.glob("*/*/main.tf"))]
"""The modules and the examples, each with a README."""

_PART = re.compile(
    r"(<!-- generated: (requirements|inputs|outputs) -->\n).*?(<!-- end -->)", re.DOTALL
)
_BLOCK = re.compile(r'^(variable|output) "(\w+)" \{\n(.*?)^\}$', re.DOTALL | re.MULTILINE)
_VERSION = re.compile(r'^ +(?:required_)?version = "(.*)"$', re.MULTILINE)
_FIELD = re.compile(r"^  (\w+)\s+= (.*?)(?: +#.*)?$", re.MULTILINE)
_ATTRIBUTE = re.compile(r"^ +(\w+)\s+= (.*?)(?: +# (.*))?$")
_COMMENTED = re.compile(r"^ +# (\w+ += .*)$")
"""An attribute of the objects in an attribute of type `any`, which is above it."""
_END = re.compile(r"^ *\}\)+(?:, (.*)\))?$")
_OPTIONAL = re.compile(r"optional\((.*)\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """An input, or an attribute of one."""

    name: str
    type: str
    default: str
    what: str


def requirements(folder: Path) -> str:
    terraform, google = _VERSION.findall((folder / "versions.tf").read_text())
    rows = ["| requirement | version |", "|---|---|"]
    rows += [f"| terraform | `{terraform}` |", f"| hashicorp/google | `{google}` |"]
    return "\n".join(rows) + "\n"


def inputs(folder: Path) -> str:
    rows = ["| input | type | default | description |", "|---|---|---|---|"]
    for name, fields, body in _blocks(folder, "variable"):
        kind = fields["type"]
        nested = (
            list(_attributes(body, name, is_map=kind.startswith("map("))) if "({" in kind else []
        )
        default = fields.get("default", "required")
        top = Row(name=name, type=_type(kind), default=default, what=fields["description"])
        rows += [_line(row) for row in [top, *nested]]
    return "\n".join(rows) + "\n"


def outputs(folder: Path) -> str:
    rows = ["| output | description |", "|---|---|"]
    for name, fields, _ in _blocks(folder, "output"):
        rows.append(f"| `{name}` | {fields['description']} |")
    return "\n".join(rows) + "\n"


def _blocks(folder: Path, kind: str) -> Iterator[tuple[str, dict[str, str], str]]:
    """Yield the variables or the outputs of a folder, by its files' names: name, fields, text."""
    for path in sorted(folder.glob("*.tf")):
        for its_kind, name, body in _BLOCK.findall(path.read_text()):
            if its_kind == kind:
                yield name, _fields(path, name, body), body


def _fields(path: Path, name: str, body: str) -> dict[str, str]:
    fields = dict(_FIELD.findall(body))
    if "description" not in fields:
        sys.exit(f"{path.relative_to(ROOT)}: {name!r} has no description.")
    return fields | {"description": fields["description"].strip('"')}


def _attributes(body: str, name: str, *, is_map: bool) -> Iterable[Row]:
    """Return the attributes of an object type, and of the objects in it, in their order."""
    lines = iter(body[body.index("  type ") :].splitlines()[1:])
    rows: list[Row] = []
    path = [f"{name}.NAME" if is_map else name]
    opened: list[int] = []
    while path:
        line = next(lines)
        if end := _END.match(line):
            path.pop()
            if opened:
                index = opened.pop()
                if end[1]:
                    rows[index] = replace(rows[index], default=end[1])
        elif commented := _COMMENTED.match(line):
            rows += _commented(f"  {commented[1]}", rows)
        elif match := _ATTRIBUTE.match(line):
            rows.append(_row(f"{path[-1]}.{match[1]}", match[2], match[3]))
            if match[2].endswith("({"):
                opened.append(len(rows) - 1)
                path.append(rows[-1].name + (".NAME" if "map(" in match[2] else ""))
        else:
            sys.exit(f"{name}: this line is not understood: {line}")
    return rows


def _commented(line: str, rows: list[Row]) -> list[Row]:
    """Return an attribute that a comment describes, and make its parent a map of objects."""
    index = max(number for number, row in enumerate(rows) if row.type in ("any", _OBJECTS))
    rows[index] = replace(rows[index], type=_OBJECTS)
    match = _ATTRIBUTE.match(line)
    assert match is not None, line
    return [_row(f"{rows[index].name}.NAME.{match[1]}", match[2], match[3])]


_OBJECTS = "map of objects"


def _row(name: str, text: str, what: str | None) -> Row:
    if not what:
        sys.exit(f"{name!r} has no comment that describes it.")
    optional = text.startswith("optional(")
    inside = _OPTIONAL.fullmatch(text)
    kind, _, default = (inside[1] if inside else text.removeprefix("optional(")).partition(", ")
    return Row(
        name=name,
        type=_type(kind),
        what=what,
        default=default or ("null" if optional else "required"),
    )


def _type(text: str) -> str:
    if "({" in text:
        return _OBJECTS if "map(" in text else "object"
    return re.sub(r"\((\w+)\)", r" of \1s", text)


def _line(row: Row) -> str:
    default = "**required**" if row.default == "required" else f"`{row.default}`"
    return f"| `{row.name}` | {row.type} | {default} | {row.what} |"


PARTS = {"requirements": requirements, "inputs": inputs, "outputs": outputs}


def render(folder: Path, text: str) -> str:
    return _PART.sub(
        lambda match: match[1] + "\n" + PARTS[match[2]](folder) + "\n" + match[3], text
    )


def main() -> int:
    stale = []
    for folder in FOLDERS:
        readme = folder / "README.md"
        text = readme.read_text()
        if (rendered := render(folder, text)) != text:
            stale.append(readme)
            if "--check" not in sys.argv:
                readme.write_text(rendered)
    if "--check" not in sys.argv:
        return 0
    for readme in stale:
        print(f"{readme.relative_to(ROOT)} is out of date: run python docs/terraform_readme.py")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
