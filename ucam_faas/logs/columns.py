"""Text for a terminal: without control characters, and within its columns.

A line that the terminal itself breaks goes on at the left edge, where a text could look like a line
of the log. So lines are folded here, and continuation lines are indented.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator

INDENT = 14
"""Of continuation lines: as wide as a time and the space after it."""
_COUNT = re.compile(r"(?:^| )[(\d.,]*\d$")
_UNIT = re.compile(r" ?(?:ms|s|min|h|d|%|[KMG]i?B|bytes?)(?!\w)")
NARROWEST = 40
"""Columns; in a terminal with fewer, lines are broken by it."""


def of_terminal(descriptor: int) -> int | None:
    """Return the columns of a terminal; None if this is none, or doesn't say."""
    try:
        columns = os.get_terminal_size(descriptor).columns
    except OSError:
        return None
    return max(columns, NARROWEST) if columns else None


def printable(text: str) -> str:
    """Escape characters that would end a line or steer a terminal.

    >>> print(printable("a" + chr(10) + "b"))
    a\\nb
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def width(text: str) -> int:
    """Return how many columns a text takes."""
    return len(text) if text.isascii() else sum(map(_width, text))


def _width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def cut(text: str, columns: int) -> str:
    """Return a text that fits, with an ellipsis at its end if something is missing.

    >>> cut("a long text", 7)
    'a long…'
    """
    if len(text) <= columns and width(text) <= columns:
        return text
    return next(_pieces(text[: columns + 1], columns - 1)).rstrip() + "…"


def fold(text: str, columns: int, *, room: int = 0) -> list[str]:
    """Break a text between words where that is possible, so that each part fits.

    A number stays with its unit.

    Args:
        text: one line.
        columns: of the second part and those after it.
        room: columns of the first part; 0: as many as the others have.

    >>> fold("to be or not", 5)
    ['to be', 'or', 'not']
    >>> fold("took 34.0 ms", 9)
    ['took', '34.0 ms']
    """
    parts: list[str] = []
    rest, limit = text, room or columns
    while width(rest) > limit:
        piece = next(_pieces(rest, limit))
        if len(piece) < len(rest) and rest[len(piece)] != " ":
            piece = _to_a_space(piece)
        if _UNIT.match(rest, len(piece.rstrip())):
            piece = _COUNT.sub("", piece.rstrip()) or piece
        parts.append(piece.rstrip())
        rest, limit = rest[len(piece) :].lstrip(" "), columns
    return [*parts, rest] if rest or not parts else parts


def _to_a_space(piece: str) -> str:
    """Return a piece up to its last space, if a word is before that."""
    shorter = piece.rpartition(" ")[0]
    return shorter if shorter.strip() else piece


def _pieces(text: str, columns: int) -> Iterator[str]:
    """Return the longest beginnings that fit, one after the other."""
    start = taken = 0
    for position, character in enumerate(text):
        taken += _width(character)
        if taken > columns and position > start:
            yield text[start:position]
            start, taken = position, _width(character)
    yield text[start:]


def paragraph(text: str, columns: int | None) -> str:
    """Return a text of several lines, each indented, and folded if columns are given."""
    indent = " " * INDENT
    lines = [printable(line) for line in text.replace("\t", "    ").split("\n")]
    if columns is not None:
        lines = [part for line in lines for part in fold(line, columns - INDENT)]
    return "\n".join((indent + line).rstrip() for line in lines)
