"""Tables for people, as verbs print them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ucam_faas.logs.columns import NARROWEST, fold as fold_text, width

if TYPE_CHECKING:
    from rich.console import Console

PIPED_WIDTH = 160
_NARROWEST_LAST = 24
"""Columns that the last column of a table needs at least, folded at words."""


def print_table(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    is_dim: Callable[[Sequence[str]], bool] = lambda row: False,
    spaced: bool = False,
    fold: bool = False,
) -> None:
    """Print rows under headings; or one below the other, where they do not fit side by side.

    Args:
        rows: the texts as they are: they may hold brackets, and several lines.
        is_dim: returns True if a row matters less.
        spaced: with an empty line after each.
        fold: side by side in any case: texts that are too long go on in the next line.
    """
    from rich.console import Console
    from rich.measure import Measurement
    from rich.table import Table
    from rich.text import Text

    fits_itself = sys.stdout.isatty() or "COLUMNS" in os.environ
    console = Console(width=None if fits_itself else PIPED_WIDTH)
    padding = (0, 2, 1, 0) if spaced else (0, 1)
    table = Table(box=None, pad_edge=False, header_style="bold", padding=padding)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        style = "dim" if is_dim(row) else ""
        table.add_row(*(Text(text, style) for text in row))
    unlimited = console.options.update(max_width=sys.maxsize)
    if not fold and Measurement.get(console, unlimited, table).maximum > console.width:
        longest = [max(map(_width, column)) for column in zip(headings, *rows, strict=True)]
        room = console.width - sum(longest[:-1]) - 2 * len(longest)
        if room < _NARROWEST_LAST:
            _print_blocks(console, headings, rows, is_dim)
            return
        for column in table.columns[:-1]:
            column.no_wrap = True
    with console.capture() as captured:
        console.print(table)
    lines = (line.rstrip() for line in captured.get().splitlines())
    print(*lines, sep="\n")  # noqa: T201  # without the spaces that fill a table's last column


def _width(text: str) -> int:
    """Return the columns of a text's widest line."""
    return max(map(width, text.splitlines()), default=0)


def _print_blocks(
    console: Console,
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    is_dim: Callable[[Sequence[str]], bool],
) -> None:
    lead_width = max(map(len, headings))
    room = max(console.width - lead_width - 2, NARROWEST)
    for row in rows:
        for heading, text in zip(headings, row, strict=True):
            lines = [part for line in text.splitlines() for part in fold_text(line, room)]
            for number, line in enumerate(lines):
                lead = heading if number == 0 else ""
                style = "dim" if is_dim(row) else None
                shown = f"{lead:<{lead_width}}  {line}"
                console.print(shown, style=style, markup=False, highlight=False, soft_wrap=True)
        console.print()
