"""The candidates for the last word of a command line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ucam_faas.completion.commands import FILES, FOLDERS, LANE, TASKS, Command, Option, Value
from ucam_faas.completion.names import Names

Candidate = tuple[str, str]
"""A word, and its description."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """The words that can be in the place of the last one.

    Args:
        words: with descriptions.
        kind: FILES or FOLDERS, which the shell finds itself; empty: there are only `words`.
    """

    words: tuple[Candidate, ...] = ()
    kind: str = ""


@dataclass(slots=True)
class _Line:
    """The words before the last one, as they were understood."""

    command: Command
    options: set[str] = field(default_factory=set)
    arguments: list[str] = field(default_factory=list)
    awaited: Option | None = None
    """An option whose value is the next word."""
    only_arguments: bool = False


def complete(root: Command, words: Sequence[str], folder: Path) -> Candidates:
    """Return the candidates for the last word.

    Args:
        root: the command `ucam-faas`.
        words: after it; the last one is the word that is being written, and may be empty.
        folder: the working directory.
    """
    *before, last = words
    line = _read(root, before)
    names = Names(folder)
    if line.awaited is not None and line.awaited.value is not None:
        return _values(line.awaited.value, last, line, names)
    if line.only_arguments or not last.startswith("-"):
        return _arguments(line, last, names)
    name, is_assigned, text = last.partition("=")
    option = line.command.options.get(name)
    if is_assigned and option is not None and option.value is not None:
        values = _values(option.value, text, line, names)
        assigned = tuple((f"{name}={word}", help) for word, help in values.words)
        return Candidates(assigned, values.kind)
    return Candidates(tuple(_options(line, last)))


def _read(root: Command, words: Iterable[str]) -> _Line:
    line = _Line(root)
    for word in words:
        if line.awaited is not None:
            line.awaited = None
        elif line.only_arguments or not word.startswith("-") or word == "-":
            if not line.arguments and word in line.command.commands:
                line.command = line.command.commands[word]
                line.options = set()
            else:
                line.arguments.append(word)
        elif word == "--":
            line.only_arguments = True
        else:
            name, is_assigned, _ = word.partition("=")
            option = line.command.options.get(name)
            line.options.add(name)
            if option is not None and option.value is not None and not is_assigned:
                line.awaited = option
    return line


def _options(line: _Line, beginning: str) -> Iterator[Candidate]:
    for name, option in line.command.options.items():
        if name.startswith(beginning) and (option.repeats or name not in line.options):
            yield name, option.help


def _arguments(line: _Line, beginning: str, names: Names) -> Candidates:
    command, number = line.command, len(line.arguments)
    if command.commands and not number:
        commands = command.commands.items()
        return Candidates(
            tuple((name, each.help) for name, each in commands if name.startswith(beginning))
        )
    if command.repeats:
        number = min(number, len(command.arguments) - 1)
    if number >= len(command.arguments):
        return Candidates()
    return _values(command.arguments[number], beginning, line, names)


def _values(value: Value, beginning: str, line: _Line, names: Names) -> Candidates:
    if value.kind in (FILES, FOLDERS):
        return Candidates(kind=value.kind)
    lead = ""
    if value.kind == TASKS:
        lead = beginning[: beginning.rfind(",") + 1]
    # States are in capitals, and commands take them in small letters, too, as `--help` has them.
    choices = value.words if beginning[:1].isupper() else map(str.lower, value.words)
    words = [(word, "") for word in choices] or names.of(
        value.kind, line.arguments[0] if value.kind == LANE and line.arguments else ""
    )
    before = lead.split(",")
    return Candidates(
        tuple(
            (f"{lead}{word}", help)
            for word, help in words
            if f"{lead}{word}".startswith(beginning) and word not in before
        )
    )
