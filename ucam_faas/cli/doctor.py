"""`ucam-faas doctor`: what is wrong on this machine, and the remedy."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import click

from ucam_faas import local_state
from ucam_faas.cli._diagnosis import print_finding
from ucam_faas.cli._group import Verb
from ucam_faas.cli._live_line import LiveLine
from ucam_faas.cli._messages import say
from ucam_faas.cli._output import json_option, print_json
from ucam_faas.cli._source import source_parameters
from ucam_faas.deploy.source import chosen
from ucam_faas.doctor.examination import examine
from ucam_faas.doctor.findings import Finding, Level


@click.command("doctor", cls=Verb)
@click.option("--google", is_flag=True, help="Look at Google's Pub/Sub, not at a local one.")
@click.option("--project", help="Project of Pub/Sub. [GOOGLE_CLOUD_PROJECT]")
@json_option
@source_parameters
def command(*, source: str | None, google: bool, project: str | None, json_only: bool) -> None:
    """Find problems that keep the tasks of SOURCE from running here, and say how to fix them.

    It looks at versions, packages, variables, the tasks' import, ports, the state of `ucam-faas
    dev`, credentials, Pub/Sub and the store of jobs. It changes nothing. The exit code is 1 if
    there is a problem.
    """
    if chosen(source) is None and (nearest := local_state.nearest(Path.cwd())):
        os.chdir(nearest[0])
    live = LiveLine(quiet=json_only)
    findings = examine(
        Path.cwd(),
        os.environ,
        source=source,
        google=google,
        project=project,
        tell=lambda part: live.show(f"looking at {part} …"),
    )
    if json_only:
        seen = list(findings)
        print_json([asdict(each) for each in seen])
    else:
        seen = _print(findings, live)
    sys.exit(any(each.level is Level.PROBLEM for each in seen))


def _print(findings: Iterable[Finding], live: LiveLine) -> list[Finding]:
    seen: list[Finding] = []
    for finding in findings:
        live.show("")
        print_finding(finding, is_first=not seen or finding.part != seen[-1].part)
        seen.append(finding)
    live.end()
    counts = Counter(finding.level for finding in seen)
    problems, warnings = counts[Level.PROBLEM], counts[Level.WARNING]
    texts = [_count(problems, "problem"), _count(warnings, "warning")]
    colour = "red" if problems else "yellow" if warnings else "green"
    click.echo()
    say(f"{' and '.join(filter(None, texts)) or 'Nothing is wrong'}.", colour)
    return seen


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}" if number else ""
