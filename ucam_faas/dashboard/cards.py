"""Rows of a table, marked so that the style sheet can show them as cards on a narrow screen."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

_ROW_OR_CELL = re.compile(
    r"<tr\b|<(?P<cell>t[dh])\b(?P<attributes>[^>]*)>(?P<content>.*?)</(?P=cell)>", re.DOTALL
)
_TAG = re.compile(r"<(?!input|button|svg|meter|progress)[^>]*>")
_NAMELESS = ("unseen", "select-all")


def labelled(rows: str, headings: Sequence[str | tuple[str, str]]) -> str:
    """Return rows whose cells have their column's heading, in `data-label`.

    Empty cells get `data-empty`: a card leaves them out. Headings of rows, cells over several
    columns and those that have a label stay as they are.

    Args:
        rows: the HTML of a table's rows, without tables in them.
        headings: as the macro `table` takes them.

    >>> labelled("<tr><th>17</th><td>2</td><td> </td>", ["Id", ("Runs", "number"), "Note"])
    '<tr><th>17</th><td data-label="Runs">2</td><td data-empty> </td>'
    """
    names = [_name(heading) for heading in headings]
    column = -1

    def mark(match: re.Match[str]) -> str:
        nonlocal column
        cell, attributes, content = match["cell"], match["attributes"], match["content"]
        if cell is None:
            column = -1
            return match[0]
        column += 1
        is_fixed = cell == "th" or "colspan" in attributes or "data-" in attributes
        if is_fixed or column >= len(names):
            return match[0]
        more = f' data-label="{escape(names[column])}"' if names[column] else ""
        if not _TAG.sub("", content).strip():
            more = " data-empty"
        return f"<{cell}{attributes}{more}>{content}</{cell}>"

    return _ROW_OR_CELL.sub(mark, rows)


def _name(heading: str | tuple[str, str]) -> str:
    if isinstance(heading, str):
        return heading
    name, kind = heading
    return "" if kind in _NAMELESS else name
