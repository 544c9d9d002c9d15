"""Messages for people: folded at words where the terminal is narrower than they are."""

from __future__ import annotations

import sys
from typing import IO

import click

from ucam_faas.logs.columns import fold, of_terminal


def say(text: str, colour: str | None = None) -> None:
    """Print a message to stdout."""
    _print(text, colour, sys.stdout, err=False)


def tell(text: str, colour: str | None = None) -> None:
    """Print a step of the work to stderr: stdout is for the result."""
    _print(text, colour, sys.stderr, err=True)


def note(text: str) -> None:
    """Print a message beside the output, to stderr."""
    _print(text, "yellow", sys.stderr, err=True)


def fail(text: str) -> None:
    """Print an error to stderr: one line, unless it is a terminal that is narrower."""
    _print(f"ucam-faas: {' '.join(text.split())}", "red", sys.stderr, err=True)


def folded(text: str, stream: IO[str], *, lead: str = "") -> str:
    """Return a text whose lines fit into the stream's terminal; unchanged if it is none.

    Args:
        lead: a text that will be printed before it, on the first line.
    """
    columns = of_terminal(stream.fileno()) if stream.isatty() else None
    if columns is None:
        return text
    return "\n".join(
        part
        for number, line in enumerate(text.split("\n"))
        for part in fold(line, columns, room=0 if number else columns - len(lead))
    )


def _print(text: str, colour: str | None, stream: IO[str], *, err: bool) -> None:
    click.secho(folded(text, stream), fg=colour, err=err)
