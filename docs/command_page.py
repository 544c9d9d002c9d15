"""The page of all commands, docs/commands.md, from their help."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click

from ucam_faas.cli import main

_INTRODUCTION = """\
# Commands

Each command with its arguments and options; `--help`, or `-h`, prints the same in a terminal.
Environment variables are in square brackets, and an option wins over its variable:
[Configuration](configuration.md#environment-variables) has all of them.
"""


def page() -> str:
    """Return the text of docs/commands.md."""
    root = _context(main, "ucam-faas", None)
    verbs = [context for _, context in _below(root)]
    return "\n".join([_INTRODUCTION, *(_section(context) for context in [root, *verbs])])


def _section(context: click.Context) -> str:
    """Return what a command does, its commands, and the options of it and of these."""
    below = {} if context.parent is None else dict(_below(context))
    usages = [
        [f"`{name} {_usage(each)}`", " ".join(_paragraphs(each))] for name, each in below.items()
    ]
    parts = [
        f"## {context.command_path}",
        f"`{context.command_path} {_usage(context)}`",
        *_paragraphs(context),
        _table(["command", "description"], usages),
        _table(["option", "description", "taken by"], _rows_of_all(context, below))
        if below
        else _table(["option", "description"], [[*record] for record in _options(context)]),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _rows_of_all(context: click.Context, below: dict[str, click.Context]) -> list[list[str]]:
    """Return the options of a group and its commands, each once, with those that take it."""
    takers: dict[tuple[str, str], list[str]] = {}
    for name, each in {context.command_path: context, **below}.items():
        for record in _options(each):
            takers.setdefault(record, []).append(name)
    return [[*record, _names(names, [*below])] for record, names in takers.items()]


def _names(takers: list[str], commands: list[str]) -> str:
    """Return the names of commands that take an option, or of the others if they are fewer."""
    others = [f"`{name}`" for name in commands if name not in takers]
    if len(others) >= len(commands) / 2:
        return ", ".join(f"`{name}`" for name in takers)
    return " but ".join(["all", ", ".join(others)] if others else ["all"])


def _context(command: click.Command, name: str, parent: click.Context | None) -> click.Context:
    return command.make_context(name, [], parent, resilient_parsing=True)


def _below(context: click.Context) -> Iterator[tuple[str, click.Context]]:
    """Yield the name and the context of each command of a group."""
    group = context.command
    for name in group.list_commands(context) if isinstance(group, click.Group) else []:
        command = group.get_command(context, name)
        assert command is not None, name
        yield name, _context(command, name, context)


def _usage(context: click.Context) -> str:
    return " ".join(context.command.collect_usage_pieces(context))


def _paragraphs(context: click.Context) -> list[str]:
    return [_sentence(each) for each in (context.command.help or "").strip().split("\n\n")]


def _options(context: click.Context) -> Iterator[tuple[str, str]]:
    for parameter in context.command.params:
        record = parameter.get_help_record(context)
        if record is not None and isinstance(parameter, click.Option):
            yield f"`{record[0]}`", _sentence(record[1])


def _sentence(text: str) -> str:
    """Return text of a help on one line, with its options as code."""
    parts = " ".join(text.split()).split("`")
    parts[::2] = [re.sub(r"(?<!\w)--?[a-z][a-z-]*", r"`\g<0>`", part) for part in parts[::2]]
    return "`".join(parts)


def _table(heading: list[str], rows: list[list[str]]) -> str:
    if not rows:
        return ""
    cells = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    lines = [f"| {' | '.join(row)} |" for row in [heading, *cells]]
    return "\n".join([lines[0], "|---" * len(heading) + "|", *lines[1:]])
