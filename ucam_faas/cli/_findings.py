"""Findings in a terminal: place and rule, the contradiction, the reason, the fix, its commands."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import click

from ucam_faas.cli._output import print_json
from ucam_faas.deploy.findings import Finding

_WIDEST = 100


def print_findings(findings: Iterable[Finding]) -> None:
    """Print findings, each with an empty line behind it."""
    width = min(shutil.get_terminal_size().columns, _WIDEST)
    for finding in findings:
        _print(finding, width)


def print_findings_json(findings: Iterable[Finding]) -> None:
    """Print findings as a JSON list."""
    print_json([_as_json(finding) for finding in findings])


def _as_json(finding: Finding) -> dict[str, Any]:
    place = {
        "file": finding.place.file,
        "line": finding.place.line,
        "address": finding.place.within,
    }
    return {**asdict(finding), "place": str(finding.place), **place}


def _print(finding: Finding, width: int) -> None:
    place = click.style(str(finding.place), bold=True)
    named = f":{finding.name}" if finding.name else ""
    click.echo(f"{place}  {click.style(finding.rule, fg='red')}{named}")
    for label, text in (("", finding.what), ("why", finding.why), ("do", finding.fix)):
        lead = f"  {label:<3}  " if label else "  "
        for line in text.splitlines():
            lines = textwrap.wrap(
                line,
                width,
                initial_indent=lead,
                subsequent_indent=" " * len(lead),
                break_long_words=False,
                break_on_hyphens=False,
            )
            click.echo("\n".join(lines))
            lead = " " * len(lead)
    for command in finding.commands:  # whole, to copy
        click.echo(f"       $ {command}")
    click.echo()
