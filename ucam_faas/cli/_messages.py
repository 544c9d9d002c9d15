"""Messages for people: folded at words where the terminal is narrower than they are."""

from __future__ import annotations

import sys
from typing import IO, TextIO

import click

from ucam_faas.logs.columns import fold, of_terminal
from ucam_faas.logs.links import takes_escapes


def say(text: str, colour: str | None = None, *, indent: int = 0) -> None:
    """Print a message to stdout; `indent` is for the continuations of its lines."""
    _print(text, colour, sys.stdout, err=False, indent=indent)


def tell(text: str, colour: str | None = None, *, indent: int = 0) -> None:
    """Print a step of the work to stderr: stdout is for the result. See `say`."""
    _print(text, colour, sys.stderr, err=True, indent=indent)


def note(text: str) -> None:
    """Print a message beside the output, to stderr."""
    _print(text, "yellow", sys.stderr, err=True)


def fail(text: str) -> None:
    """Print an error to stderr: one line, unless it is a terminal that is narrower."""
    _print(f"ucam-faas: {' '.join(text.split())}", "red", sys.stderr, err=True)


def folded(text: str, stream: IO[str], *, lead: str = "", indent: int = 0) -> str:
    """Return a text whose lines fit into the stream's terminal; unchanged if it is none.

    Args:
        lead: a text that will be printed before it, on the first line.
        indent: columns before each continuation of a line.
    """
    columns = of_terminal(stream.fileno()) if stream.isatty() else None
    if columns is None:
        return text
    return "\n".join(
        f"\n{' ' * indent}".join(
            fold(line, columns - indent, room=columns if number else columns - len(lead))
        )
        for number, line in enumerate(text.split("\n"))
    )


def _print(text: str, colour: str | None, stream: TextIO, *, err: bool, indent: int = 0) -> None:
    text = folded(text, stream, indent=indent)
    painted = colour and takes_escapes(stream)
    click.echo(click.style(text, fg=colour) if painted else text, err=err)
