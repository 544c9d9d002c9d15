"""What `ucam-faas dev` shows: the table of tasks, lines to paste, and each message's way."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from ucam_faas.emulator.storage import Message
from ucam_faas.plans import TaskPlan

_COLOURS = {
    "published": "blue",
    "delivered": "bright_black",
    "done": "green",
    "retry": "yellow",
    "dead": "red",
    "schedule": "magenta",
    "reload": "cyan",
    "error": "red",
}
_WIDEST = 60


class Stream:
    """Writes lines.

    Args:
        write: takes a line without its end.
        colours: use ANSI escapes.
    """

    def __init__(self, write: Callable[[str], None], *, colours: bool) -> None:
        self._write = write
        self._colours = colours

    def line(self, what: str, about: str, text: str) -> None:
        """Show one thing that happened."""
        time = datetime.now().strftime("%H:%M:%S.%f")[:-3]
        parts = [
            self._paint(time, "bright_black"),
            self._paint(f"{what:<9}", _COLOURS.get(what, "white")),
            *([self._paint(about, "cyan")] if about else []),
            text,
        ]
        self._write("  ".join(parts))

    def observe(self, event: str, fields: dict[str, Any]) -> None:
        """Show what happens to a message."""
        message: Message | None = fields.get("message")
        number = "" if message is None else f"message {message.number}"
        about = (fields.get("subscription") or fields.get("topic") or "").rpartition("/")[2]
        if event == "published" and message is not None:
            key = f", key {_printable(message.key)}" if message.key else ""
            self.line("published", about, f"{number}, {len(message.data)} bytes{key}")
        elif event == "delivered":
            self.line("delivered", about, f"{number}, attempt {fields['attempt']}")
        elif event == "acknowledged":
            self.line("done", about, f"{number}, attempt {fields['attempt']}")
        elif event == "failed":
            status = fields["status"]
            why = f"answered {status}" if isinstance(status, int) else str(status)
            delay = fields["retry_seconds"]
            when = "given up" if delay is None else f"again in {delay:g} s"
            text = f"{number}, attempt {fields['attempt']} failed ({why}), {when}"
            self.line("retry", about, text)
        elif event == "dead_lettered":
            topic = fields["topic"].rpartition("/")[2]
            self.line(
                "dead", about, f"{number} is now message {fields['as'].number} of {topic}"
            )
        elif event == "scheduled":
            forced = " by hand" if fields["forced"] else ""
            self.line("schedule", fields["job"].rpartition("/")[2], f"runs{forced}")

    def table(self, plans: Sequence[TaskPlan], next_runs: dict[str, float]) -> None:
        """Show what is served.

        Args:
            plans: the tasks.
            next_runs: epoch seconds, by task.
        """
        rows = [("TASK", "TRIGGER", "NEXT RUN", "TAKES")]
        for plan in plans:
            run = next_runs.get(plan.name)
            trigger = f"topic {plan.topic}" if plan.topic else f"HTTP {plan.path}"
            if plan.filter:
                trigger += f" ({plan.filter})"
            rows.append((plan.name, _short(trigger), _local(run), plan.takes))
            rows += [
                ("", f"{s.expression}  {s.time_zone}{' (paused)' * s.paused}", "", "")
                for s in plan.schedules
            ]
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        for number, row in enumerate(rows):
            text = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            self._write(
                "  "
                + (self._paint(text.rstrip(), "bright_black") if number == 0 else text.rstrip())
            )

    def to_paste(self, plans: Sequence[TaskPlan], *, pubsub: str, project: str) -> None:
        """Show lines that try the tasks."""
        first = next((p for p in plans if p.topic and p.sample), None)
        if first is not None:
            sample = shlex.quote(first.sample or "")
            gcloud = gcloud_environment(pubsub, project)
            self._write(f"  {gcloud} gcloud pubsub topics publish {first.topic} --message {sample}")
            self._write(f"  ucam-faas publish {first.name} {sample}")
        scheduled = next((p for p in plans if p.schedules), None)
        if scheduled is not None:
            self._write(f"  ucam-faas schedules run {job_id(scheduled, 0)}")

    def _paint(self, text: str, colour: str) -> str:
        return click.style(text, fg=colour) if self._colours else text


def gcloud_environment(pubsub: str, project: str) -> str:
    """Return the variables that make gcloud use a local Pub/Sub; none: Google's."""
    if not pubsub:
        return f"CLOUDSDK_CORE_PROJECT={project}"
    return (
        f"CLOUDSDK_API_ENDPOINT_OVERRIDES_PUBSUB=http://{pubsub}/ "
        f"CLOUDSDK_AUTH_ACCESS_TOKEN=local CLOUDSDK_CORE_PROJECT={project}"
    )


def job_id(plan: TaskPlan, number: int) -> str:
    """Return the name of a task's schedule: the task's own, and a number from the second on."""
    return plan.name if number == 0 else f"{plan.name}-{number + 1}"


def _local(time: float | None) -> str:
    if time is None:
        return ""
    return datetime.fromtimestamp(time, UTC).astimezone().strftime("%a %d %b %H:%M %Z")


def _short(text: str) -> str:
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
