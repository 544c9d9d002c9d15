"""The packages that a folder's requirements.txt or pyproject.toml lists, as the image's build reads
them: the first of the two that is there."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from ucam_faas.deploy.findings import Place

_REQUIREMENT = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[([^]]*)\])?")
_ELSEWHERE = ("-r", "--requirement", "-e", "--editable", ".", "/", "git+", "http")
"""Lines that bring packages with dependencies that aren't listed here begin with these."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """A package, by its normalised name, and the extras of it."""

    name: str
    extras: frozenset[str]
    line: int


@dataclass(frozen=True, slots=True)
class Dependencies:
    """The requirements of a file."""

    file: str
    requirements: Sequence[Requirement]

    def have(self, name: str, *, extra: str | None = None) -> bool:
        """Return True if a package, or an extra of it, is listed."""
        return any(
            each.name == name and (extra is None or extra in each.extras)
            for each in self.requirements
        )

    def place(self, name: str) -> Place:
        """Return the line of a package; of one that isn't listed, the file."""
        lines = (each.line for each in self.requirements if each.name == name)
        return Place(self.file, next(lines, 1))


def read(folder: Path) -> Dependencies | None:
    """Read the requirements of a folder; None: it has none, or some that this can't follow."""
    texts: Sequence[tuple[str, int]]
    file = folder / "requirements.txt"
    if file.is_file():
        lines = file.read_text(errors="replace").splitlines()
        texts = [(line.strip(), number) for number, line in enumerate(lines, 1)]
        if any(text.startswith(_ELSEWHERE) for text, _ in texts):
            return None
    else:
        file = folder / "pyproject.toml"
        texts = _of_project(file) if file.is_file() else ()
    requirements = [
        _requirement(match, number)
        for text, number in texts
        if (match := _REQUIREMENT.match(text)) is not None
    ]
    return Dependencies(str(file), requirements) if requirements else None


def _of_project(file: Path) -> Sequence[tuple[str, int]]:
    """Return the requirements of a project, and those of its extras, which an image may install."""
    text = file.read_text(errors="replace")
    try:
        project = tomllib.loads(text).get("project", {})
        listed = [*project.get("dependencies", []), *chain(*_extras(project).values())]
        return [(each, text[: text.index(each)].count("\n") + 1) for each in listed]
    except (ValueError, TypeError, AttributeError):  # pip says what is wrong with it
        return ()


def _extras(project: dict[str, Any]) -> dict[str, list[str]]:
    extras: dict[str, list[str]] = project.get("optional-dependencies", {})
    return extras


def _requirement(match: re.Match[str], line: int) -> Requirement:
    name = re.sub(r"[-_.]+", "-", match[1]).lower()
    extras = frozenset(extra.strip().lower() for extra in (match[2] or "").split(",") if extra)
    return Requirement(name, extras, line)
