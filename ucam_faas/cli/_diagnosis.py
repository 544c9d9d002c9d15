"""The findings of an examination in a terminal: a word, the part, the finding; then the remedy."""

from __future__ import annotations

import sys
from typing import Any

import click

from ucam_faas.doctor.findings import Finding, Level
from ucam_faas.logs.columns import fold, of_terminal, printable
from ucam_faas.logs.links import takes_escapes

_WIDEST = 100
_COLOURS = {Level.OK: "green", Level.WARNING: "yellow", Level.PROBLEM: "red"}
_WORD = max(len(level.value) for level in Level) + 2
_PART = len("credentials") + 2
_ROOM = 36
"""Columns that a finding has at least beside its word and its part; else it goes below them."""
_DO = "do  "


def print_finding(finding: Finding, *, is_first: bool) -> None:
    """Print a finding, and its remedy.

    Args:
        finding: itself.
        is_first: of its part, which then is named.
    """
    own = of_terminal(sys.stdout.fileno()) if sys.stdout.isatty() else None
    columns = min(own or _WIDEST, _WIDEST)
    beside = columns - _WORD - _PART >= _ROOM
    indent = _WORD + _PART if beside else 2
    head = [
        _styled(f"{finding.level.value:<{_WORD}}", fg=_COLOURS.get(finding.level)),
        _styled(f"{finding.part if is_first else '':<{_PART}}", bold=True),
    ]
    first, *more = _lines(finding, columns - indent)
    if beside:
        head.append(first)
    else:
        more = [first, *more]
    click.echo("".join(head).rstrip(), color=True)
    for line in more:
        click.echo(f"{'':{indent}}{line}", color=True)


def _lines(finding: Finding, columns: int) -> list[str]:
    what = fold(printable(finding.what), columns)
    if finding.level is Level.UNUSED:
        what = [_styled(line, dim=True) for line in what]
    remedy = fold(printable(finding.do), columns - len(_DO)) if finding.do else []
    indent = " " * len(_DO)
    leads = [_DO, *[indent] * len(remedy)]
    commands = [f"{indent}$ {command}" for command in finding.commands]  # whole, to copy
    return [*what, *map(str.__add__, leads, remedy), *commands]


def _styled(text: str, **style: Any) -> str:
    """Return a text with escapes, if stdout takes them."""
    return click.style(text, **style) if takes_escapes(sys.stdout) else text
