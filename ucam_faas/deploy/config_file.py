"""Finding and reading the configuration: `[tool.ucam-faas]` in pyproject.toml, or ucam-faas.toml.

`problems` checks its content; here each key only gets its line.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ucam_faas import project
from ucam_faas.exceptions import ConfigurationError

KeyPath = tuple[str, ...]
"""The keys that lead to a value in our table, such as ("task", "welcome", "memory")."""

OURS = ("tool", "ucam-faas")
PYPROJECT, OWN = "pyproject.toml", "ucam-faas.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a value comes from: a layer, and the line if it is one of a file."""

    layer: str
    file: str | None = None
    line: int | None = None

    @property
    def place(self) -> str:
        """Return `file:line`, or what there is of it."""
        return ":".join(str(part) for part in (self.file, self.line) if part is not None)

    def __str__(self) -> str:
        return " ".join(part for part in (self.place, self.layer) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigFile:
    """A configuration as it was read; without a path, an empty one.

    Args:
        table: our table.
        prefix: the keys that lead to our table in the file.
        lines: the line of each key in the table.
    """

    path: Path | None = None
    name: str | None = None
    """The path as messages show it."""
    table: Mapping[str, Any] = field(default_factory=dict)
    prefix: KeyPath = ()
    lines: Mapping[KeyPath, int] = field(default_factory=dict)

    def layer(self, path: KeyPath) -> Mapping[str, Any]:
        """Return a table in ours, or an empty one."""
        table: Any = self.table
        for part in path:
            table = table.get(part, {})
        return dict(table)

    def origin(self, layer: KeyPath, key: KeyPath = ()) -> Origin:
        """Return the origin of a key in a layer: its line, or the nearest known line above it."""
        at = (*layer, *key)
        while at and at not in self.lines:
            at = at[:-1]
        header = header_of((*self.prefix, *layer))
        return Origin(layer=header, file=self.name, line=self.lines.get(at))


def find(start: Path) -> ConfigFile:
    """Read the configuration of the first directory that has one; see `project.upwards`.

    Raises:
        ConfigurationError: a file cannot be read, or a directory has two configurations.
    """
    for directory in project.upwards(start.resolve()):
        files = [file for file in (_read(directory, PYPROJECT), _read(directory, OWN)) if file]
        if len(files) == 2:
            raise ConfigurationError(
                f"{directory} has two configurations: [tool.ucam-faas] in {PYPROJECT} and {OWN}. "
                "Keep one: delete that table, or that file."
            )
        if files:
            return files[0]
    return ConfigFile()


def _read(directory: Path, name: str) -> ConfigFile | None:
    path = directory / name
    if not path.is_file():
        return None
    shown = os.path.relpath(path)
    try:
        text = path.read_bytes().decode()
        table: Any = tomllib.loads(text)
    except (OSError, ValueError) as error:
        failure = ConfigurationError(f"{shown} cannot be read as TOML: {error}.")
        line = re.search(r"at line (\d+)", str(error))
        failure.place = (shown, int(line[1]) if line else 1)
        raise failure from error
    prefix = OURS if name == PYPROJECT else ()
    misplaced = [key for key in ("task", "stage") if isinstance(table.get(key), dict) and prefix]
    if misplaced:  # as ucam-faas.toml has it, and examples for either
        raise ConfigurationError(
            f"{shown}: [{misplaced[0]}.…] has no effect: write [tool.ucam-faas.{misplaced[0]}.…]."
        )
    for part in prefix:
        table = table.get(part) if isinstance(table, dict) else None
    if table is None:
        return None
    if not isinstance(table, dict):
        raise ConfigurationError(f"{shown}: [tool.ucam-faas]: expected a table.")
    lines = {
        at[len(prefix) :]: line
        for at, line in lines_of(text).items()
        if at[: len(prefix)] == prefix
    }
    return ConfigFile(path=path, name=shown, table=table, prefix=prefix, lines=lines)


def lines_of(text: str) -> dict[KeyPath, int]:
    """Return the first line of each key of a TOML document.

    All keys in a statement of several lines get the line on which the statement begins. A statement
    ends where tomllib first accepts it: an open string or list is not TOML.

    >>> lines_of("a = 1\\n[b]\\nc.d = [\\n  2,\\n]")
    {('a',): 1, ('b',): 2, ('b', 'c'): 3, ('b', 'c', 'd'): 3}
    """
    numbers: dict[KeyPath, int] = {}
    header: KeyPath = ()
    statement, begin = "", 1
    for number, line in enumerate(text.split("\n"), 1):
        statement += line + "\n"
        try:
            parsed = tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue
        if statement.lstrip().startswith("["):
            paths = list(_paths(parsed))
            header = paths[-1]
        else:
            paths = [(*header, *path) for path in _paths(parsed)]
        for path in paths:
            numbers.setdefault(path, begin)
        statement, begin = "", number + 1
    return numbers


def _paths(table: Any) -> Iterator[KeyPath]:
    """Yield the paths of all keys in a table, parents first."""
    if isinstance(table, list) and table:
        table = table[0]  # of `[[header]]`
    if isinstance(table, dict):
        for key, value in table.items():
            yield (key,)
            yield from ((key, *rest) for rest in _paths(value))


def header_of(path: KeyPath) -> str:
    """Return the header of a table, as TOML has it.

    >>> header_of(("stage", "try out"))
    '[stage."try out"]'
    """
    keys = (
        key if re.fullmatch("[A-Za-z0-9_-]+", key) else json.dumps(key, ensure_ascii=False)
        for key in path
    )
    return f"[{'.'.join(keys)}]" if path else "top level"
