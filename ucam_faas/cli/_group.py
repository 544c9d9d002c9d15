"""Click's classes, adapted: help breaks at spaces only, and a mistyped command gets suggestions."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

_SERVING = (
    "`ucam-faas serve` serves tasks as in production; `ucam-faas dev` serves them on your machine, "
    "with an embedded Pub/Sub"
)
_OTHER_WORDS = {
    "start": _SERVING,
    "list": "`ucam-faas tasks` lists tasks; `ucam-faas jobs` lists jobs; `ucam-faas schedules` "
    "lists schedules",
    "status": "`ucam-faas jobs show ID` shows a job",
    "deploy": "`ucam-faas plan` writes Terraform's variables; docs/deploy.md has the steps",
    "replay": "`ucam-faas dlq replay` sends dead letters again",
    "retry": "`ucam-faas dlq replay` sends dead letters and failed jobs again",
    "dead-letters": "`ucam-faas dlq` lists dead letters",
    "diagnose": "`ucam-faas doctor` finds what is wrong on this machine",
    "upgrade": "`ucam-faas check --from 1.0` says what to change in code for 1.0",
    "version": "`ucam-faas --version` shows it",
    "help": "`ucam-faas --help` shows it",
}
"""Verbs of other tools, and our command for each."""


_UNBROKEN = "\N{NON-BREAKING HYPHEN}"


class _Formatter(click.HelpFormatter):
    """Breaks lines at spaces only: options and file names with hyphens stay whole."""

    def write_text(self, text: str) -> None:
        super().write_text(text.replace("-", _UNBROKEN))

    def write_dl(
        self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2
    ) -> None:
        unbroken = [(name, text.replace("-", _UNBROKEN)) for name, text in rows]
        super().write_dl(unbroken, col_max, col_spacing)

    def getvalue(self) -> str:
        return super().getvalue().replace(_UNBROKEN, "-")


class _Context(click.Context):
    """A context whose help has our line breaks."""

    formatter_class = _Formatter


class Verb(click.Command):
    """A command of `ucam-faas`."""

    context_class = _Context


class SuggestingGroup(click.Group):
    """A group whose error names the closest commands."""

    context_class = _Context
    command_class = Verb

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is called.

        Raises:
            click.UsageError: there is none; the exit code is 2.
        """
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            ctx.fail(f"No command {name!r}. {self._hint(ctx, name)}")
        return super().resolve_command(ctx, args)

    def _hint(self, ctx: click.Context, name: str) -> str:
        from difflib import get_close_matches

        if ctx.parent is None and name.lower() in _OTHER_WORDS:
            return f"{_OTHER_WORDS[name.lower()]}."
        commands = self.list_commands(ctx)
        close = get_close_matches(name.lower(), commands, n=2, cutoff=0.6)
        if close:
            return f"Did you mean {' or '.join(map(repr, close))}?"
        if ctx.parent is None and (name.endswith(".py") or Path(name).exists()):
            return f"To serve that file: ucam-faas serve {name}, or ucam-faas dev {name}."
        return f"There are: {', '.join(commands)}."
