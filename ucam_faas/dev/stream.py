"""The lines that `ucam-faas dev` writes while it runs: each message's events, reloads, errors.

Lines have the columns of the tasks' own log: time, event, task, text. How a delivery ended, and
why, isn't repeated if the tasks' log says so.
"""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

from ucam_faas.emulator.core.storage import Message
from ucam_faas.execution.dead_letters import SUBSCRIPTION_ATTRIBUTE
from ucam_faas.logs.columns import INDENT, cut, fold, paragraph, printable
from ucam_faas.logs.links import linked, path_of
from ucam_faas.tasks.needs import TaskNeeds

DIM = "dim"
"""Not a colour: the style of the tasks' log."""
_COLOURS = {
    "published": "blue",
    "delivered": DIM,
    "starting": DIM,
    "started": DIM,
    "paused": "yellow",
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
_QUOTED_BYTES = 2000
_T = TypeVar("_T")
Emit = Callable[[dict[str, Any]], None]


class Stream:
    """Writes lines.

    Args:
        write: takes a line without its end.
        colours: use ANSI escapes.
        columns: returns how many columns there are now; None: lines are not folded.
        emit: takes each event as a JSON object, also those that no line shows; None: nothing does.
    """

    def __init__(
        self,
        write: Callable[[str], None],
        *,
        colours: bool,
        columns: Callable[[], int | None] = lambda: None,
        emit: Emit | None = None,
    ) -> None:
        self.links = ""
        """URL of a dashboard, which the events of lines link to; none: they don't."""
        self._write = write
        self._colours = colours
        self._columns = columns
        self._emit = emit
        self._logged: set[str] = set()
        self._dead_letters: set[str] = set()
        self._quoted: set[int] = set()
        self._is_broken = False

    def follow(self, plans: Sequence[TaskNeeds], *, suffix: str, logged: bool) -> None:
        """Show the messages of these tasks from now on.

        Args:
            plans: the tasks.
            suffix: of their subscriptions.
            logged: the tasks' own log says how each delivery ended.
        """
        self._logged = {f"{plan.name}{suffix}" for plan in plans} if logged else set()
        topics = [plan.dead_letter_topic for plan in plans]
        self._dead_letters = {_short(topic) for topic in topics if topic}

    def event(self, what: str, **fields: Any) -> None:
        """Emit an event that no line shows.

        Args:
            what: happened.
            fields: of the JSON object.
        """
        if self._emit is None:
            return
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._until_broken(self._emit, {"event": what, "time": time, **fields})

    def line(self, what: str, about: str, text: str, *page: str, **fields: Any) -> None:
        """Show one event, and emit it.

        Args:
            what: happened.
            about: which task.
            text: the rest; further lines are indented.
            page: the parts of its path in the dashboard.
            fields: more of the JSON object.
        """
        self.event(what, **({"task": about} if about else {}), **fields, text=text)
        self._draw(what, about, text, *page)

    def _draw(self, what: str, about: str, text: str, *page: str) -> None:
        time = datetime.now().strftime("%H:%M:%S.%f")[:-3]
        about = f"{printable(about)}  " if about else ""
        first, *more = text.split("\n")
        lines, columns = [printable(first)], self._columns()
        if columns is not None:
            room = columns - len(f"{time}  {'':<9} {about}")
            lines = fold(lines[0], columns - INDENT, room=room)
        # As wide as the log's severities and the space after them.
        painted = self._paint(what, _COLOURS.get(what, "white"))
        if self.links and page:
            painted = linked(painted, self.links + path_of(*page))
        painted += " " * (9 - len(what))
        about = self._paint(about, "cyan") if about else ""
        self._show(f"{self._paint(time, DIM)}  {painted} {about}{lines[0]}")
        for line in (*lines[1:], *more):
            self._show(paragraph(line, columns))

    @property
    def columns(self) -> int:
        """How wide the lines are now."""
        return self._columns() or COLUMNS

    def say(self, text: str) -> None:
        """Show a sentence."""
        columns = self._columns()
        for line in [text] if columns is None else fold(text, columns):
            self._show(line)

    def table(self, heading: str, *rows: str) -> None:
        """Show lines that fit already."""
        self._show(self._paint(heading, DIM))
        for row in rows:
            self._show(row)

    def published(self, topic: str, message: Message) -> None:
        """Show a message of a topic."""
        short = _short(topic)
        if short in self._dead_letters and SUBSCRIPTION_ATTRIBUTE in message.attributes:
            return  # shown as a dead letter already
        key = f", key {printable(message.key)}" if message.key else ""
        text = f"message {message.number}, {_size(len(message.data))}{key}"
        fields = {"bytes": len(message.data), "ordering_key": message.key}
        self.event("published", topic=short, message_id=str(message.number), **fields)
        self._draw("published", short, text, *_page(message))

    def delivered(self, subscription: str, message: Message, attempt: int) -> None:
        """Show the beginning of a delivery."""
        short = _short(subscription)
        self.event("delivered", **_delivery(short, message, attempt))
        text = f"message {message.number}, attempt {attempt}"
        self._draw("delivered", short, text, *_page(message))

    def acknowledged(self, subscription: str, message: Message, attempt: int) -> None:
        """Show the success of a delivery, unless the tasks' log does."""
        self._quoted.discard(message.number)
        short = _short(subscription)
        self.event("done", **_delivery(short, message, attempt))
        if short not in self._logged:
            text = f"message {message.number}, attempt {attempt}"
            self._draw("done", short, text, *_page(message))

    def failed(
        self,
        subscription: str,
        message: Message,
        attempt: int,
        *,
        status: int | str,
        retry_seconds: float | None,
    ) -> None:
        """Show the failure of a delivery, as far as the tasks' log doesn't, and its message."""
        short = _short(subscription)
        fields = {"status": status, "retry_seconds": retry_seconds}
        self.event("retry", **_delivery(short, message, attempt), **fields)
        logged = short in self._logged and isinstance(status, int)
        if not (logged and retry_seconds is None):
            why = f"answered {status}" if isinstance(status, int) else printable(status)
            why = "" if logged else f" ({why})"
            when = "given up" if retry_seconds is None else f"again in {retry_seconds:.3g} s"
            text = f"message {message.number}, attempt {attempt} failed{why}, {when}"
            self._draw("retry", short, text, *_page(message))
        self._quote(message)

    def dead_lettered(
        self, subscription: str, message: Message, topic: str, letter: Message
    ) -> None:
        """Show a message that is now a dead letter."""
        short, letters = _short(subscription), _short(topic)
        fields = {"dead_letter_topic": letters, "dead_letter_id": str(letter.number)}
        message_id = str(message.number)
        self.event("dead", subscription=short, message_id=message_id, **fields)
        text = f"message {message_id} is now message {letter.number} of {letters}"
        self._draw("dead", short, text, *_page(message))
        self._quote(message)
        self._quoted.discard(message.number)

    def scheduled(self, job: str, *, forced: bool) -> None:
        """Show a run of a schedule."""
        name = _short(job)
        self.event("schedule", schedule=name, forced=forced)
        self._draw("schedule", name, f"runs{' by hand' if forced else ''}", "schedules")

    def task_failed(
        self, task: str, attempt: int, *, reason: str, retry_seconds: float | None
    ) -> None:
        """Show a request of Cloud Tasks that failed."""
        queue, _, name = task.partition("/tasks/")
        when = "given up" if retry_seconds is None else f"again in {retry_seconds:.3g} s"
        fields = {"attempt": attempt, "status": reason, "retry_seconds": retry_seconds}
        self.event("retry", queue=_short(queue), queue_task=name, **fields)
        text = f"task {name}, attempt {attempt} failed ({printable(reason)}), {when}"
        self._draw("retry", _short(queue), text)

    def _quote(self, message: Message) -> None:
        """Show a message's content in one line, unless it was shown before."""
        if message.number in self._quoted:
            return
        self._quoted.add(message.number)
        content = f"data: {_text(message.data)}"
        if message.attributes and not message.data:
            pairs = [f"{key}={_quoted(value)}" for key, value in message.attributes.items()]
            content = f"attributes: {', '.join(pairs)}"
        text = cut(printable(content), self.columns - INDENT)
        self._show(" " * INDENT + self._paint(text, DIM))

    def _paint(self, text: str, colour: str) -> str:
        if not self._colours:
            return text
        return click.style(text, dim=True) if colour == DIM else click.style(text, fg=colour)

    def _show(self, line: str) -> None:
        """Write a line; a failure to do so doesn't fail the publisher's request."""
        try:
            self._until_broken(self._write, line)
        except UnicodeEncodeError:
            self._until_broken(self._write, line.encode("ascii", "backslashreplace").decode())

    def _until_broken(self, write: Callable[[_T], None], what: _T) -> None:
        """Write something; if the reader is gone, end in order, as after Control-C."""
        if self._is_broken:
            return
        try:
            write(what)
        except BrokenPipeError:
            self._is_broken = True
            signal.raise_signal(signal.SIGTERM)


def _text(data: bytes) -> str:
    """Return the beginning of a message's data, as text if it is UTF-8."""
    start = data[:_QUOTED_BYTES]
    try:
        return start.decode()
    except UnicodeDecodeError as error:
        whole = error.start > len(start) - 4 and len(data) > len(start)  # cut in a character
        return start[: error.start].decode() if whole else repr(start)


def _quoted(value: str) -> str:
    """Return an attribute's value, in quotes if it would look like more than one."""
    return value if re.fullmatch(r"[^\s,\"]+", value) else json.dumps(value, ensure_ascii=False)


def _delivery(subscription: str, message: Message, attempt: int) -> dict[str, Any]:
    return {
        "subscription": subscription,
        "message_id": str(message.number),
        "attempt": attempt,
    }


def _page(message: Message) -> tuple[str, str]:
    """Return the parts of the path of a message's page."""
    return "messages", str(message.number)


def _short(name: str) -> str:
    return name.rpartition("/")[2]


def _size(count: int) -> str:
    return f"{count} byte{'s' * (count != 1)}"
