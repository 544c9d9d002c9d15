"""The list of jobs, side by side also in a narrow terminal: only a long id or a note moves down."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence

import click

from ucam_faas.cli._job_texts import HEADINGS
from ucam_faas.cli._table import PIPED_WIDTH, print_table
from ucam_faas.logs.columns import fold, width

_GAP = "  "
_INDENT = 4
_NARROWEST_ID = 8


def print_jobs(rows: Sequence[Sequence[str]]) -> None:
    """Print jobs under HEADINGS.

    An id that doesn't fit beside the job's state has a line above it, and a note one below.

    Args:
        rows: the texts of each job; see `_job_texts.columns`.
    """
    columns = _columns()
    ids, *middle, _ = zip(HEADINGS, *rows, strict=True)
    widths = [max(map(width, texts)) for texts in middle]
    room = columns - sum(most + len(_GAP) for most in widths)
    if room < _NARROWEST_ID:
        print_table(HEADINGS, rows)
        return
    layouts = (
        [_lines(row, [id_width, *widths], columns) for row in (HEADINGS, *rows)]
        for id_width in sorted({width(id) for id in ids if width(id) <= room}, reverse=True)
    )
    heading, *others = min(layouts, key=lambda layout: sum(map(len, layout)))
    click.secho(heading[0], bold=True)
    for lines in others:
        click.echo("\n".join(lines))


def _lines(row: Sequence[str], widths: Sequence[int], columns: int) -> list[str]:
    id, *middle, note = row
    lines = []
    if width(id) > widths[0]:
        lines, id = fold(id, columns), ""
    texts = zip((id, *middle), widths, strict=True)
    line = _GAP.join(text + " " * (most - width(text)) for text, most in texts)
    if width(line) + len(_GAP) + width(note) <= columns:
        return [*lines, f"{line}{_GAP}{note}".rstrip()]
    below = [" " * _INDENT + part for part in fold(note, columns - _INDENT)]
    return [*lines, line.rstrip(), *below]


def _columns() -> int:
    has_width = sys.stdout.isatty() or "COLUMNS" in os.environ
    return shutil.get_terminal_size().columns if has_width else PIPED_WIDTH
