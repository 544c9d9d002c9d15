"""The page of all commands, from their help."""

from __future__ import annotations

from collections.abc import Iterator

import click

from ucam_faas.cli import main as cli

_INTRODUCTION = """Each command with its arguments and options, as `--help` prints them.
[Configuration](configuration.md) has the environment variables."""


def pages() -> dict[str, str]:
    """Return the Markdown of the page, by its path from the root."""
    sections = [
        f"{'##' if name.count(' ') < 2 else '###'} {name}\n\n```text\n{help_text}\n```"
        for name, help_text in helps(cli, "ucam-faas", None)
    ]
    return {"docs/commands.md": "\n\n".join(["# Commands", _INTRODUCTION, *sections, ""])}


def helps(
    command: click.Command, name: str, parent: click.Context | None
) -> Iterator[tuple[str, str]]:
    """Yield the name and the help of a command and those below it."""
    options = {"resilient_parsing": True, "terminal_width": 90}
    context = command.make_context(name, [], parent, **options)
    yield context.command_path, command.get_help(context)
    if isinstance(command, click.Group):
        for verb in command.list_commands(context):
            below = command.get_command(context, verb)
            assert below is not None, verb
            yield from helps(below, verb, context)
