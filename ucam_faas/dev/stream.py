"""The output of `ucam-faas dev`: the table of tasks, commands to paste, and each message's events.

Lines have the columns of the tasks' own log: time, event, task, text. How a delivery ended, and
why, isn't repeated if the tasks' log says so.
"""

from __future__ import annotations

import shlex
import signal
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from ucam_faas.emulator.core.storage import Message
from ucam_faas.execution.dead_letters import SUBSCRIPTION_ATTRIBUTE
from ucam_faas.logs.columns import INDENT, cut, fold, paragraph, printable
from ucam_faas.tasks.needs import TaskNeeds, job_id

DIM = "dim"
"""Not a colour: the style of the tasks' log."""
_COLOURS = {
    "published": "blue",
    "delivered": DIM,
    "done": "green",
    "retry": "yellow",
    "dead": "red",
    "schedule": "magenta",
    "reload": "cyan",
    "again": "cyan",
    "error": "red",
}
COLUMNS = 100
"""The width without a terminal."""
_WIDEST_NAME, _WIDEST_TYPE = 40, 24
_QUOTED_BYTES = 2000


class Stream:
    """Writes lines.

    Args:
        write: takes a line without its end.
        colours: use ANSI escapes.
        columns: returns how many columns there are now; None: lines are not folded.
    """

    def __init__(
        self,
        write: Callable[[str], None],
        *,
        colours: bool,
        columns: Callable[[], int | None] = lambda: None,
    ) -> None:
        self._write = write
        self._colours = colours
        self._columns = columns
        self._told: set[str] = set()
        self._dead_letters: set[str] = set()
        self._quoted: set[int] = set()

    def follow(self, plans: Sequence[TaskNeeds], *, suffix: str, logged: bool) -> None:
        """Show the messages of these tasks from now on.

        Args:
            plans: the tasks.
            suffix: of their subscriptions.
            logged: the tasks' own log says how each delivery ended.
        """
        self._told = {f"{plan.name}{suffix}" for plan in plans} if logged else set()
        topics = [plan.dead_letter_topic for plan in plans]
        self._dead_letters = {_short(topic) for topic in topics if topic}

    def line(self, what: str, about: str, text: str) -> None:
        """Show one event."""
        time = datetime.now().strftime("%H:%M:%S.%f")[:-3]
        about = f"{printable(about)}  " if about else ""
        first, *more = text.split("\n")
        lines, columns = [printable(first)], self._columns()
        if columns is not None:
            room = columns - len(f"{time}  {'':<9} {about}")
            lines = fold(lines[0], columns - INDENT, room=room)
        # As wide as the log's severities and the space after them.
        painted = self._paint(f"{what:<9}", _COLOURS.get(what, "white"))
        about = self._paint(about, "cyan") if about else ""
        self._show(f"{self._paint(time, DIM)}  {painted} {about}{lines[0]}")
        for line in (*lines[1:], *more):
            self._show(paragraph(line, columns))

    def say(self, text: str) -> None:
        """Show a sentence."""
        columns = self._columns()
        for line in [text] if columns is None else fold(text, columns):
            self._show(line)

    def observe(self, event: str, fields: dict[str, Any]) -> None:
        """Show an event of a message."""
        message: Message | None = fields.get("message")
        number = "" if message is None else f"message {message.number}"
        about = _short(fields.get("subscription") or fields.get("topic") or "")
        if event == "published" and message is not None:
            self._published(about, message)
        elif event == "delivered":
            self.line("delivered", about, f"{number}, attempt {fields['attempt']}")
        elif event == "acknowledged" and message is not None:
            self._quoted.discard(message.number)
            if about not in self._told:
                self.line("done", about, f"{number}, attempt {fields['attempt']}")
        elif event == "failed" and message is not None:
            self._failed(about, message, fields)
        elif event == "dead_lettered" and message is not None:
            dead = f"message {fields['as'].number} of {_short(fields['topic'])}"
            self.line("dead", about, f"{number} is now {dead}")
            self._quote(message)
            self._quoted.discard(message.number)
        elif event == "scheduled":
            forced = " by hand" if fields["forced"] else ""
            self.line("schedule", _short(fields["job"]), f"runs{forced}")

    def _published(self, topic: str, message: Message) -> None:
        if topic in self._dead_letters and SUBSCRIPTION_ATTRIBUTE in message.attributes:
            return  # shown as a dead letter already
        key = f", key {printable(message.key)}" if message.key else ""
        self.line("published", topic, f"message {message.number}, {_size(len(message.data))}{key}")

    def _failed(self, about: str, message: Message, fields: dict[str, Any]) -> None:
        status, delay = fields["status"], fields["retry_seconds"]
        told = about in self._told and isinstance(status, int)
        if not (told and delay is None):
            why = f"answered {status}" if isinstance(status, int) else printable(status)
            why = "" if told else f" ({why})"
            when = "given up" if delay is None else f"again in {delay:.3g} s"
            attempt = f"message {message.number}, attempt {fields['attempt']}"
            self.line("retry", about, f"{attempt} failed{why}, {when}")
        self._quote(message)

    def _quote(self, message: Message) -> None:
        """Show a message's content in one line, unless it was shown before."""
        if message.number in self._quoted:
            return
        self._quoted.add(message.number)
        columns = self._columns() or COLUMNS
        content = f"data: {_text(message.data)}"
        if message.attributes and not message.data:
            content = f"attributes: {dict(message.attributes)}"
        text = cut(printable(content), columns - INDENT)
        self._show(" " * INDENT + self._paint(text, DIM))

    def table(self, plans: Sequence[TaskNeeds], next_runs: Mapping[str, float | None]) -> None:
        """Show the table of tasks.

        Args:
            plans: the tasks.
            next_runs: epoch seconds by the schedule's name; None: it is paused.
        """
        rows = [("TASK", "TAKES", "TRIGGER")]
        for plan in plans:
            first, *more = _triggers(plan, next_runs)
            rows.append((cut(plan.name, _WIDEST_NAME), _cut(plan.takes, _WIDEST_TYPE), first))
            rows += [("", "", text) for text in more]
        names, types = (max(len(row[column]) for row in rows) for column in (0, 1))
        room = max((self._columns() or COLUMNS) - names - types - 6, 20)
        for number, (name, takes, trigger) in enumerate(rows):
            first, *more = fold(printable(trigger), room)
            text = f"  {name:<{names}}  {takes:<{types}}  {first}".rstrip()
            self._show(self._paint(text, DIM) if number == 0 else text)
            for part in more:
                self._show(f"  {'':<{names}}  {'':<{types}}  {part}")

    def to_paste(
        self, plans: Sequence[TaskNeeds], *, pubsub: str, project: str, url: str = ""
    ) -> None:
        """Show commands that try the tasks.

        Args:
            plans: the tasks.
            pubsub: `host:port` of Pub/Sub; empty for Google's.
            project: of the topics.
            url: where the tasks are served.
        """
        blocks: list[str] = []
        first = min((plan for plan in plans if plan.topic), key=_hardness, default=None)
        if first is not None:
            sample = "DATA" if first.sample is None else shlex.quote(first.sample)
            blocks.append(f"  ucam-faas publish {first.name} {sample}")
            gcloud = gcloud_environment(pubsub, project)
            blocks.append(
                f"  {gcloud} gcloud pubsub topics publish {first.topic} --message {sample}"
            )
        elif url and plans:
            path = plans[0].path.replace("<", "{").replace(">", "}")
            blocks.append(f"  curl {shlex.quote(url + path)}")
        # A job may need resources that only the cloud has.
        scheduled = min(
            (plan for plan in plans if plan.schedules),
            key=lambda plan: plan.run_as == "job",
            default=None,
        )
        if scheduled is not None:
            blocks.append(f"  ucam-faas schedules run {job_id(scheduled, 0)}")
        self._show("\n\n".join(blocks))

    def _paint(self, text: str, colour: str) -> str:
        if not self._colours:
            return text
        return click.style(text, dim=True) if colour == DIM else click.style(text, fg=colour)

    def _show(self, line: str) -> None:
        """Write a line; a failure to do so doesn't fail the publisher's request."""
        try:
            self._write(line)
        except UnicodeEncodeError:
            self._write(line.encode("ascii", "backslashreplace").decode())
        except BrokenPipeError:  # the reader is gone: end in order, as after Control-C
            self._write = lambda _: None
            signal.raise_signal(signal.SIGTERM)


def gcloud_environment(pubsub: str, project: str) -> str:
    """Return the variables that make gcloud use a Pub/Sub, for a shell, in lines of their own.

    Args:
        pubsub: `host:port`; empty for Google's.
        project: of the topics.
    """
    if not pubsub:
        return f"CLOUDSDK_CORE_PROJECT={project}"
    return (
        f"CLOUDSDK_API_ENDPOINT_OVERRIDES_PUBSUB=http://{pubsub}/ \\\n"
        f"  CLOUDSDK_AUTH_ACCESS_TOKEN=local CLOUDSDK_CORE_PROJECT={project} \\\n "
    )


def _triggers(plan: TaskNeeds, next_runs: Mapping[str, float | None]) -> list[str]:
    """Return a task's trigger, filter and schedules, a line each."""
    if plan.topic is None:
        return [f"HTTP {plan.path}"]
    job = ", Cloud Run job" if plan.run_as == "job" else ""
    lines = [f"topic {plan.topic}{', in order' * plan.ordered}{job}"]
    if plan.filter:
        lines.append(f"if {plan.filter}")
    for number, schedule in enumerate(plan.schedules):
        run = _next_run(job_id(plan, number), next_runs)
        lines.append(f"{schedule.expression}  {schedule.time_zone}{', ' * bool(run)}{run}")
    return lines


def _next_run(job: str, next_runs: Mapping[str, float | None]) -> str:
    if job not in next_runs:
        return ""
    time = next_runs[job]
    if time is None:
        return "paused"
    return f"next {datetime.fromtimestamp(time, UTC).astimezone():%a %d %b %H:%M %Z}"


def _hardness(plan: TaskNeeds) -> tuple[bool, bool, bool]:
    """Sort first the tasks that surely accept a sample message."""
    # Any message suits a task that takes bytes: a task with a type shows more.
    return plan.filter is not None, plan.sample is None, plan.takes == "bytes"


def _text(data: bytes) -> str:
    """Return the beginning of a message's data, as text if it is UTF-8."""
    start = data[:_QUOTED_BYTES]
    try:
        return start.decode()
    except UnicodeDecodeError as error:
        whole = error.start > len(start) - 4 and len(data) > len(start)  # cut in a character
        return start[: error.start].decode() if whole else repr(start)


def _short(name: str) -> str:
    return name.rpartition("/")[2]


def _size(count: int) -> str:
    return f"{count} byte{'s' * (count != 1)}"


def _cut(text: str, columns: int) -> str:
    return cut(printable(text), columns)
