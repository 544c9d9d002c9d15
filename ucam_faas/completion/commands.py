"""The commands, options and arguments of `ucam-faas`, from `commands.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("commands.json")
FILES, FOLDERS = "files", "folders"
TASK, TASKS, RECEIVER, LANE, SCHEDULE = "task", "tasks", "receiver", "lane", "schedule"
"""Kinds of values that aren't a list of words, like the two before.

TASKS are comma-separated, and a RECEIVER is a task that gets messages and jobs.
"""


@dataclass(frozen=True, slots=True)
class Value:
    """The value of an option or an argument.

    Args:
        kind: one of the above; empty: any text.
        words: to choose from.
    """

    kind: str = ""
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Option:
    """An option.

    Args:
        help: its description.
        value: None: it is a flag.
        repeats: it may be given several times.
    """

    help: str = ""
    value: Value | None = None
    repeats: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """A command.

    Args:
        help: its description.
        options: by their names, such as `--task`.
        arguments: the values of its arguments, in order.
        repeats: the last argument may be given several times.
        commands: those of a group, by their names.
    """

    help: str = ""
    options: Mapping[str, Option] = field(default_factory=dict)
    arguments: tuple[Value, ...] = ()
    repeats: bool = False
    commands: Mapping[str, Command] = field(default_factory=dict)


def read() -> Command:
    """Return the command `ucam-faas`."""
    return _command(json.loads(FILE.read_bytes()))


def _command(document: Mapping[str, Any]) -> Command:
    options = {name: _option(each) for name, each in document.get("options", {}).items()}
    arguments = tuple(map(_value, document.get("arguments", [])))
    commands = {name: _command(each) for name, each in document.get("commands", {}).items()}
    return Command(
        document.get("help", ""), options, arguments, document.get("repeats", False), commands
    )


def _option(document: Mapping[str, Any]) -> Option:
    value = document.get("value")
    return Option(
        document.get("help", ""),
        None if value is None else _value(value),
        document.get("repeats", False),
    )


def _value(document: str | list[str]) -> Value:
    return Value(document) if isinstance(document, str) else Value(words=tuple(document))
