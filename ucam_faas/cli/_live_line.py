"""A line on a terminal that is written again and again: how far a long command is."""

from __future__ import annotations

import sys
import threading

import click

from ucam_faas.logs.columns import NARROWEST, cut, of_terminal


class LiveLine:
    """A line on stderr, if that is a terminal. Several threads may use it.

    Args:
        quiet: write nothing.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.shows = not quiet and sys.stderr.isatty()
        self._lock = threading.Lock()
        self._ended = False

    def show(self, text: str) -> None:
        """Write a text in place of the one before."""
        with self._lock:
            if self.shows and not self._ended:
                columns = of_terminal(sys.stderr.fileno()) or NARROWEST
                click.echo(f"\r\033[K{cut(text, columns - 1)}", nl=False, err=True)

    def end(self) -> None:
        """Remove the line, for good."""
        with self._lock:
            if self.shows and not self._ended:
                click.echo("\r\033[K", nl=False, err=True)
            self._ended = True
