"""Tables for people, as verbs print them."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest

from ucam_faas.logs.columns import NARROWEST, fold as fold_text, width
from ucam_faas.logs.links import takes_escapes

PIPED_WIDTH = 160
_NARROWEST_LAST = 24
"""Columns that the last column of a table needs at least, folded at words."""
_GAP = 2
"""Spaces between two columns."""
_BOLD, _DIM = 1, 2


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
        rows: the texts as they are; they may have several lines.
        is_dim: returns True if a row matters less.
        spaced: with an empty line after each.
        fold: side by side in any case: texts that are too long go on in the next line.
    """
    fits_itself = sys.stdout.isatty() or "COLUMNS" in os.environ
    limit = shutil.get_terminal_size().columns if fits_itself else PIPED_WIDTH
    widths = [max(map(_width, column)) for column in zip(headings, *rows, strict=True)]
    room = limit - _GAP * (len(headings) - 1)
    if fold:
        _narrow(widths, room)
    elif sum(widths) > room:
        widths[-1] = room - sum(widths[:-1])
        if widths[-1] < _NARROWEST_LAST + _GAP:
            _print_blocks(limit, headings, rows, is_dim)
            return
    for number, row in enumerate([headings, *rows]):
        if spaced and number:
            _print("")
        style = _BOLD if not number else _DIM if is_dim(row) else 0
        for line in _side_by_side(row, widths):
            _print(line, style)


def _width(text: str) -> int:
    """Return the columns of a text's widest line."""
    return max(map(width, text.splitlines()), default=0)


def _narrow(widths: list[int], room: int) -> None:
    """Make the widest columns narrower, until all fit."""
    while sum(widths) > max(room, len(widths)):
        widths[widths.index(max(widths))] -= 1


def _folded(text: str, columns: int) -> list[str]:
    return [part for line in text.splitlines() for part in fold_text(line, columns)]


def _side_by_side(row: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    """Yield the lines of a row."""
    cells = [_folded(text, columns) for text, columns in zip(row, widths, strict=True)]
    for parts in zip_longest(*cells, fillvalue=""):
        padded = [
            part + " " * (columns - width(part))
            for part, columns in zip(parts, widths, strict=True)
        ]
        yield (" " * _GAP).join(padded).rstrip()


def _print_blocks(
    columns: int,
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    is_dim: Callable[[Sequence[str]], bool],
) -> None:
    lead_width = max(map(len, headings))
    room = max(columns - lead_width - _GAP, NARROWEST)
    for row in rows:
        for heading, text in zip(headings, row, strict=True):
            for number, line in enumerate(_folded(text, room)):
                lead = heading if number == 0 else ""
                _print(f"{lead:<{lead_width}}  {line}", _DIM if is_dim(row) else 0)
        _print("")


def _print(line: str, style: int = 0) -> None:
    painted = style and line and takes_escapes(sys.stdout)
    print(f"\033[{style}m{line}\033[0m" if painted else line)  # noqa: T201
