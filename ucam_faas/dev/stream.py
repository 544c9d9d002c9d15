"""What `ucam-faas dev` shows: the table of tasks, lines to paste, and each message's way.

Lines stand in the columns of the tasks' own log: time, what, which task, the rest.
"""

from __future__ import annotations

import shlex
import signal
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from ucam_faas.emulator.storage import Message
from ucam_faas.plans import TaskPlan, job_id

DIM = "dim"
"""Not a colour, but as the tasks' log has it."""
_COLOURS = {
    "published": "blue",
    "delivered": DIM,
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
        # As wide as the log's severities and the space after them.
        painted = self._paint(f"{what:<9}", _COLOURS.get(what, "white"))
        about = f"{self._paint(_printable(about), 'cyan')}  " if about else ""
        first, *more = text.split("\n")
        self._show(f"{self._paint(time, DIM)}  {painted} {about}{_printable(first)}")
        for line in more:
            self._show(f"{'':24}{_printable(line)}")

    def observe(self, event: str, fields: dict[str, Any]) -> None:
        """Show what happens to a message."""
        message: Message | None = fields.get("message")
        number = "" if message is None else f"message {message.number}"
        about = _short(fields.get("subscription") or fields.get("topic") or "")
        if event == "published" and message is not None:
            key = f", key {_printable(message.key)}" if message.key else ""
            self.line("published", about, f"{number}, {_size(len(message.data))}{key}")
        elif event == "delivered":
            self.line("delivered", about, f"{number}, attempt {fields['attempt']}")
        elif event == "acknowledged":
            self.line("done", about, f"{number}, attempt {fields['attempt']}")
        elif event == "failed":
            status = fields["status"]
            why = f"answered {status}" if isinstance(status, int) else _printable(status)
            delay = fields["retry_seconds"]
            when = "given up" if delay is None else f"again in {delay:.3g} s"
            text = f"{number}, attempt {fields['attempt']} failed ({why}), {when}"
            self.line("retry", about, text)
        elif event == "dead_lettered":
            dead = f"message {fields['as'].number} of {_short(fields['topic'])}"
            self.line("dead", about, f"{number} is now {dead}")
        elif event == "scheduled":
            forced = " by hand" if fields["forced"] else ""
            self.line("schedule", _short(fields["job"]), f"runs{forced}")

    def table(self, plans: Sequence[TaskPlan], next_runs: Mapping[str, float | None]) -> None:
        """Show what is served.

        Args:
            plans: the tasks.
            next_runs: epoch seconds by the schedule's name; None: it is paused.
        """
        rows = [("TASK", "TRIGGER", "NEXT RUN", "TAKES")]
        for plan in plans:
            rows.append((plan.name, _trigger(plan), "", plan.takes))
            for number, schedule in enumerate(plan.schedules):
                cron = f"{schedule.expression}  {schedule.time_zone}"
                rows.append(("", cron, _next_run(job_id(plan, number), next_runs), ""))
        rows = [(a, _cut(b), c, _cut(d)) for a, b, c, d in rows]
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        for number, row in enumerate(rows):
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            text = "  ".join(cells).rstrip()
            self._show(f"  {self._paint(text, DIM) if number == 0 else text}")

    def to_paste(
        self, plans: Sequence[TaskPlan], *, pubsub: str, project: str, url: str = ""
    ) -> None:
        """Show lines that try the tasks.

        Args:
            plans: the tasks.
            pubsub: `host:port` of Pub/Sub; nothing between the quotes: Google's.
            project: of the topics.
            url: where the tasks are served.
        """
        first = min((plan for plan in plans if plan.topic), key=_hardness, default=None)
        if first is not None:
            sample = "DATA" if first.sample is None else shlex.quote(first.sample)
            gcloud = gcloud_environment(pubsub, project)
            self._show(f"  ucam-faas publish {first.name} {sample}")
            self._show(f"  {gcloud} gcloud pubsub topics publish {first.topic} --message {sample}")
        elif url and plans:
            path = plans[0].path.replace("<", "{").replace(">", "}")
            self._show(f"  curl {shlex.quote(url + path)}")
        # A job is a service's guest here, and may want what only the cloud has.
        scheduled = min(
            (plan for plan in plans if plan.schedules),
            key=lambda plan: plan.run_as == "job",
            default=None,
        )
        if scheduled is not None:
            self._show(f"  ucam-faas schedules run {job_id(scheduled, 0)}")

    def _paint(self, text: str, colour: str) -> str:
        if not self._colours:
            return text
        return click.style(text, dim=True) if colour == DIM else click.style(text, fg=colour)

    def _show(self, line: str) -> None:
        """Write a line; who publishes a message is not to suffer when that cannot be done."""
        try:
            self._write(line)
        except UnicodeEncodeError:
            self._write(line.encode("ascii", "backslashreplace").decode())
        except BrokenPipeError:  # nobody reads on: end in order, as after Control-C
            self._write = lambda _: None
            signal.raise_signal(signal.SIGTERM)


def gcloud_environment(pubsub: str, project: str) -> str:
    """Return the variables that make gcloud use a Pub/Sub; nothing as its address: Google's."""
    if not pubsub:
        return f"CLOUDSDK_CORE_PROJECT={project}"
    return (
        f"CLOUDSDK_API_ENDPOINT_OVERRIDES_PUBSUB=http://{pubsub}/ "
        f"CLOUDSDK_AUTH_ACCESS_TOKEN=local CLOUDSDK_CORE_PROJECT={project}"
    )


def _trigger(plan: TaskPlan) -> str:
    if plan.topic is None:
        return f"HTTP {plan.path}"
    notes = [*([plan.filter] if plan.filter else []), *(["in order"] if plan.ordered else [])]
    return f"topic {plan.topic}" + (f" ({', '.join(notes)})" if notes else "")


def _next_run(job: str, next_runs: Mapping[str, float | None]) -> str:
    if job not in next_runs:
        return ""
    time = next_runs[job]
    if time is None:
        return "paused"
    return datetime.fromtimestamp(time, UTC).astimezone().strftime("%a %d %b %H:%M %Z")


def _hardness(plan: TaskPlan) -> tuple[bool, bool, bool]:
    """Sort first what is tried with one message that is sure to be taken."""
    # Where bytes are taken, any will do: what has a type of its own shows more.
    return plan.sample is None, plan.filter is not None, plan.takes == "bytes"


def _short(name: str) -> str:
    return name.rpartition("/")[2]


def _size(count: int) -> str:
    return f"{count} byte{'s' * (count != 1)}"


def _cut(text: str) -> str:
    text = _printable(text)
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"


def _printable(text: str) -> str:
    """Escape what would end a line or steer a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
