"""The recorded figures of simulated days and of real runs, and the tables of docs/scale.md."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simulation.assumptions import HOUR

FOLDER = Path(__file__).parent / "recorded"
_BAR = 30
Figures = Mapping[str, Mapping[str, Any]]
"""By the name of the day, or of the run."""


def recorded(name: str) -> Figures:
    """Return the figures of `days.json` or `validation.json`."""
    figures: Figures = json.loads((FOLDER / f"{name}.json").read_text())
    return figures


def record(name: str, figures: Figures) -> None:
    """Write the figures of `days.json` or `validation.json`."""
    (FOLDER / f"{name}.json").write_text(json.dumps(figures, indent=1) + "\n")


def days(figures: Figures) -> str:
    """Return the figures of days, side by side, as a table in Markdown."""
    rows = [f"| | {' | '.join(figures)} |", "|---|" + "---|" * len(figures)]

    def row(name: str, cell: Any) -> None:
        rows.append(f"| {name} | {' | '.join(cell(day) for day in figures.values())} |")

    row("jobs sent", lambda day: f"{day['counts']['stored']:,}")
    row("ended as SUCCESS", lambda day: f"{day['counts'].get('SUCCESS', 0):,}")
    row("ended as FAILURE", lambda day: f"{day['counts'].get('FAILURE', 0):,}")
    row("**lost**", lambda day: f"**{day['lost']:,}**")
    row("runs", lambda day: f"{day['counts']['runs']:,}")
    row("runs that failed, or whose process was lost", _failed)
    row("the most jobs that wait in the store", lambda day: f"{day['most_backlog']:,}")
    row("the most jobs whose `send` is refused", lambda day: f"{day['most_unsent']:,}")
    row("backlog gone after the outage", _drained)
    row("instances, the most; hours", _instances)
    row("pushes answered 429", lambda day: f"{day['counts'].get('429', 0):,}")
    row("claims refused by the store", lambda day: f"{day['counts'].get('claims refused', 0):,}")
    row("wakes repeated by the sweep", lambda day: f"{day['sweep']['woken']:,}")
    row("jobs removed by the sweep", lambda day: f"{day['sweep']['removed']:,}")
    row("longest pass of the sweep", lambda day: duration(day["sweep"]["longest_pass"]))
    for name, text in (
        ("before", "sent before 9:00"),
        ("outage", "sent from 13:00 to 15:00"),
        ("all", "all"),
    ):
        row(f"send to end, {text}: median, 99 %, most", lambda day, name=name: _latency(day, name))
    return "\n".join(rows) + "\n"


def _failed(day: Mapping[str, Any]) -> str:
    counts = day["counts"]
    lost = counts.get("processes lost", 0) + counts.get("ends not stored", 0)
    return f"{counts.get('failed runs', 0):,}; {lost:,}"


def _drained(day: Mapping[str, Any]) -> str:
    return "" if day["drained_after"] is None else duration(day["drained_after"])


def _instances(day: Mapping[str, Any]) -> str:
    return f"{day['most_instances']}; {day['instance_hours']:,.0f} h"


def _latency(day: Mapping[str, Any], name: str) -> str:
    median, _, most_of, most = day["latency"][name]
    return ", ".join(map(duration, (median, most_of, most)))


def duration(seconds: float) -> str:
    """Return a duration for people.

    >>> duration(0.25), duration(75), duration(8000)
    ('0.3 s', '1.2 min', '2.2 h')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < HOUR else f"{seconds / HOUR:.1f} h"


def chart(day: Mapping[str, Any]) -> str:
    """Return the hours of a day as text: sent, ended, instances, and the backlog as bars."""
    most = max(hour["backlog"] + hour["unsent"] for hour in day["hours"]) or 1
    lines = ["hour       sent      ended  instances    waiting  (█ in the store, ░ not sent yet)"]
    for hour in day["hours"]:
        full, light = (round(_BAR * hour[name] / most) for name in ("backlog", "unsent"))
        bar = ("█" * full + "░" * light).rstrip()
        waiting = hour["backlog"] + hour["unsent"]
        line = (
            f"{hour['hour']:>4} {hour['stored']:>10,} {hour['ended']:>10,} "
            f"{hour['instances']:>10} {waiting:>10,}  {bar}"
        )
        lines.append(line.rstrip())
    return "```text\n" + "\n".join(lines) + "\n```\n"


def validation(figures: Figures) -> str:
    """Return the real runs and their predictions as a table in Markdown."""
    rows = [
        "| 2,000 jobs | one attempt, measured | 99 % ended, measured | predicted | error |",
        "|---|---|---|---|---|",
    ]
    for name, case in figures.items():
        error = case["predicted"] / case["measured"] - 1
        rows.append(
            f"| {name} | {case['attempt'] * 1e3:.1f} ms | {case['measured']:.1f} s "
            f"| {case['predicted']:.1f} s | {error:+.0%} |"
        )
    return "\n".join(rows) + "\n"
