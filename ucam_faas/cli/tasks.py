"""`ucam-faas tasks`: what a source holds."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from ucam_faas import registry
from ucam_faas.config import Settings
from ucam_faas.task import Kind, Task


@click.command("tasks")
@click.argument("source", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(ctx: click.Context, source: str | None, as_json: bool) -> None:
    """List the tasks that SOURCE holds; default: --source, or FUNCTION_SOURCE."""
    given: dict[str, Any] = ctx.obj or {}
    settings = Settings.from_environ(source=source or given.get("source"))
    tasks = registry.load(settings.source)
    if as_json:
        click.echo(json.dumps([row(task) for task in tasks], indent=2))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=None, box=None, pad_edge=False, header_style="bold")
    for heading in ("TASK", "TAKES", "PATH", "TRIGGER", "TIMEOUT", "SUMMARY"):
        table.add_column(heading, overflow="fold")
    for task in tasks:
        values = row(task)
        shown = [values["name"], values["takes"], values["path"], trigger(task)]
        shown += [f"{values['timeout_seconds']:g} s", values["summary"]]
        table.add_row(*(Text(text) for text in shown))  # as it is: docstrings may hold brackets
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def row(task: Task) -> dict[str, Any]:
    """Return a task as JSON."""
    name = getattr(task.message_type, "__name__", None)
    return {
        "name": task.name,
        "module": task.module,
        "kind": task.kind.value,
        "takes": name or ("bytes" if task.kind in (Kind.RAW, Kind.MESSAGE) else task.kind.value),
        "path": task.path if task.kind is Kind.HTTP else f"/{task.name}",
        "methods": list(task.methods) if task.kind is Kind.HTTP else ["POST"],
        "async": task.is_async,
        **_trigger_row(task),
        "timeout_seconds": task.policy.served_timeout_seconds,
        "concurrency": task.policy.concurrency,
        "summary": task.summary,
    }


def trigger(task: Task) -> str:
    """Return what makes a task run, for people: a line for its topic, and one for each schedule."""
    if task.trigger is None:
        return ""
    found = task.trigger
    notes = [*(["filtered"] if found.filter else []), *(["ordered"] if found.ordered else [])]
    lines = [f"{found.topic} ({', '.join(notes)})" if notes else found.topic]
    for schedule in found.schedules:
        paused = " (paused)" * schedule.paused
        lines.append(f"{schedule.expression}  {schedule.time_zone}{paused}")
    return "\n".join(lines)


def _trigger_row(task: Task) -> dict[str, Any]:
    if task.trigger is None:
        return {"topic": None, "filter": None, "ordered": False, "schedules": [], "retry": None}
    retry = task.policy.retry
    return {
        "topic": task.trigger.topic,
        "filter": task.trigger.filter,
        "ordered": task.trigger.ordered,
        "schedules": [
            {
                "expression": schedule.expression,
                "time_zone": schedule.time_zone,
                "paused": schedule.paused,
            }
            for schedule in task.trigger.schedules
        ],
        "retry": {
            "max_attempts": retry.max_attempts,
            "min_backoff_seconds": retry.min_backoff.total_seconds(),
            "max_backoff_seconds": retry.max_backoff.total_seconds(),
        },
    }
