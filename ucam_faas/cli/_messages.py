"""Messages for people: folded at words where the terminal is narrower than they are."""

from __future__ import annotations

import sys
from typing import IO

import click

from ucam_faas.logs.columns import fold, of_terminal


def say(text: str, colour: str | None = None) -> None:
    """Print a message to stdout."""
    _print(text, colour, sys.stdout, err=False)


def note(text: str) -> None:
    """Print a message beside the output, to stderr."""
    _print(text, "yellow", sys.stderr, err=True)


def fail(text: str) -> None:
    """Print an error to stderr: one line, unless it is a terminal that is narrower."""
    _print(f"ucam-faas: {' '.join(text.split())}", "red", sys.stderr, err=True)


def _print(text: str, colour: str | None, stream: IO[str], *, err: bool) -> None:
    columns = of_terminal(stream.fileno()) if stream.isatty() else None
    lines = text.split("\n")
    if columns is not None:
        lines = [part for line in lines for part in fold(line, columns)]
    click.secho("\n".join(lines), fg=colour, err=err)
