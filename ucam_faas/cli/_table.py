"""Tables for people, as verbs print them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence

PIPED_WIDTH = 160


def print_table(
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    is_dim: Callable[[Sequence[str]], bool] = lambda row: False,
    spaced: bool = False,
) -> None:
    """Print rows under headings.

    Args:
        rows: the texts as they are: they may hold brackets, and several lines.
        is_dim: tells whether a row matters less.
        spaced: with an empty line after each.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    padding = (0, 2, 1, 0) if spaced else (0, 1)
    table = Table(box=None, pad_edge=False, header_style="bold", padding=padding)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        style = "dim" if is_dim(row) else ""
        table.add_row(*(Text(text, style) for text in row))
    Console(width=None if sys.stdout.isatty() else PIPED_WIDTH).print(table)
