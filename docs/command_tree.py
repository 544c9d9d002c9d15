"""The commands of `ucam-faas` for shell completion, which doesn't import them."""

from __future__ import annotations

from typing import Any

import click

from ucam_faas.cli import _VERBS, main
from ucam_faas.completion import commands

_NAMES = {
    **{"task": commands.RECEIVER, "target": commands.TASKS, "lane": commands.LANE},
    **{"source": commands.FILES, "sources": commands.FILES, "against": commands.FILES},
    **{"input_file": commands.FILES, "name": commands.SCHEDULE},
}
"""The kind of a parameter, by its name or the first part of it."""
_ARGUMENTS: dict[str, list[str | list[str]]] = {
    "config": [commands.TASK, commands.FILES],  # also an HTTP task
    "new": [["task"], ""],  # its first word may be one of two things
}
"""The values of arguments that click's parameters don't tell."""


def tree() -> dict[str, Any]:
    """Return what `ucam_faas.completion.commands.read` reads."""
    return _command(main, click.Context(main, info_name="ucam-faas"))


def _command(command: click.Command, context: click.Context) -> dict[str, Any]:
    arguments = [each for each in command.params if isinstance(each, click.Argument)]
    options = [each for each in command.params if isinstance(each, click.Option)]
    names = command.list_commands(context) if isinstance(command, click.Group) else []
    document = {
        "options": {
            name: _option(option)
            for option in [*options, command.get_help_option(context)]
            if option is not None and not option.hidden
            for name in [*option.opts, *option.secondary_opts]
            if name.startswith("--")
        },
        "arguments": _ARGUMENTS.get(str(command.name)) or [_value(each) for each in arguments],
        "repeats": bool(arguments) and arguments[-1].nargs == -1 and command.name != "new",
        "commands": {name: _subcommand(command, name, context) for name in names},
    }
    return {key: value for key, value in document.items() if value}


def _subcommand(group: click.Command, name: str, parent: click.Context) -> dict[str, Any]:
    assert isinstance(group, click.Group)
    command = group.get_command(parent, name)
    assert command is not None, name
    help = _VERBS[name] if group is main else command.get_short_help_str(80).rstrip(".")
    context = click.Context(command, info_name=name, parent=parent)
    return {"help": help, **_command(command, context)}


def _option(option: click.Option) -> dict[str, Any]:
    document: dict[str, Any] = {"help": _sentence(option.help or "")}
    if not option.is_flag and not option.count:
        document["value"] = _value(option)
    if option.multiple:
        document["repeats"] = True
    return document


def _sentence(help: str) -> str:
    """Return the first sentence, without defaults."""
    return help.partition(". ")[0].partition("  [")[0].partition(" [")[0].rstrip(".")


def _value(parameter: click.Parameter) -> str | list[str]:
    match parameter.type:
        case click.Choice(choices=choices):
            return [str(choice) for choice in choices]
        case click.Path(file_okay=False):
            return commands.FOLDERS
        case click.Path() | click.File():
            return commands.FILES
    name = str(parameter.name)
    first = name.partition("_")[0]
    return _NAMES.get(name) or _NAMES.get(first if first.startswith("source") else name, "")
