"""The lines of `ucam-faas dev` about jobs: their starts, their retries, and ends without success.

In: the deliveries of wakes. Wakes are not shown: they only say which row to read. A success is in
the log of the task.
"""

from __future__ import annotations

from typing import Any

from ucam_faas.dev.stream import Stream
from ucam_faas.emulator.core.storage import Message
from ucam_faas.exceptions import JobError
from ucam_faas.execution.inbox import JOB_ATTRIBUTE
from ucam_faas.jobs.rows import Key, Row
from ucam_faas.jobs.states import State
from ucam_faas.jobs.stores import JobStore
from ucam_faas.tasks.topics import inbox_of

_INBOX = inbox_of("")


def is_wake(name: str, message: Message) -> bool:
    """Return True if a message of this topic or subscription is a wake."""
    return JOB_ATTRIBUTE in message.attributes and name.endswith(_INBOX)


class JobNews:
    """Shows the jobs of an application.

    Args:
        stream: takes the lines.
        store: has the jobs.
        app: the name of the application.
    """

    def __init__(self, stream: Stream, store: JobStore, app: str) -> None:
        self._stream = stream
        self._store = store
        self._app = app

    def delivered(self, subscription: str, message: Message) -> None:
        """Show the start of a job, unless this wake is one too many."""
        row = self._row(subscription, message)
        if row is not None and row.state is State.PENDING and row.due <= self._store.now():
            self._show("started", row, f"attempt {row.attempts + 1}")

    def acknowledged(self, subscription: str, message: Message) -> None:
        """Show when a job runs again, or how it ended."""
        row = self._row(subscription, message)
        if row is None:
            return
        wait = row.due - self._store.now()
        if row.state is State.PENDING and row.attempts and wait > 0:
            self._show("retry", row, f"attempt {row.attempts} failed, again in {wait:.3g} s")
        elif row.state is State.PAUSED:
            self._show("paused", row, f"until: ucam-faas jobs resume {row.key.id}")
        elif row.state is State.FAILURE:
            attempts = "1 attempt" if row.attempts == 1 else f"{row.attempts} attempts"
            self._show("dead", row, f"{row.state} after {attempts}")
        elif row.state in (State.CANCELLED, State.EXPIRED):
            self._show("dead", row, str(row.state))

    def failed(self, subscription: str, message: Message, **fields: Any) -> None:
        """Show that a wake was refused: its job has not run."""
        again = fields["retry_seconds"]
        when = "" if again is None else f", again in {again:.3g} s"
        text = f"job {message.attributes[JOB_ATTRIBUTE]} could not start ({fields['status']}){when}"
        self._stream.line("retry", _task(subscription), text)

    def _show(self, what: str, row: Row, text: str) -> None:
        self._stream.line(what, row.key.task, f"job {row.key.id}, {text}")

    def _row(self, subscription: str, message: Message) -> Row | None:
        key = Key(self._app, _task(subscription), message.attributes[JOB_ATTRIBUTE])
        try:
            return self._store.get(key)
        except JobError:
            return None  # the serving process reports it


def _task(subscription: str) -> str:
    return subscription.rpartition("/")[2].removesuffix(_INBOX)
