"""The lines of `ucam-faas dev` about jobs: delays, starts, retries, and ends without success.

In: the deliveries of wakes, and the jobs that the sweep ends. A wake only says which row to read; a
thread reads it, because a store may block. A success is in the log of the task.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

from ucam_faas.clock import Clock, SystemClock
from ucam_faas.dev.stream import Stream
from ucam_faas.emulator.core.storage import Message
from ucam_faas.exceptions import JobError
from ucam_faas.execution.inbox import JOB_ATTRIBUTE
from ucam_faas.jobs.rows import Entry, Key, Row
from ucam_faas.jobs.states import State
from ucam_faas.jobs.stores import JobStore
from ucam_faas.logs.durations import duration_text
from ucam_faas.tasks.topics import inbox_of

PAUSE_SECONDS = 0.25
"""Between two looks for new jobs with a delay: no wake tells of them."""
LEAST_DELAY_SECONDS = 1.0
MOST_NEW, MOST_DELAYED = 200, 20
"""New jobs that one look reads, and those with a delay that it shows."""
MOST_KNOWN = 10_000
"""Jobs whose last line is remembered."""
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
        clock: tells the time of deliveries.
    """

    def __init__(
        self, stream: Stream, store: JobStore, app: str, clock: Clock | None = None
    ) -> None:
        self._clock = clock or SystemClock()
        self._stream = stream
        self._store = store
        self._app = app
        self._events: SimpleQueue[Any] = SimpleQueue()
        self._told: dict[Key, Entry] = {}
        """The last entry of a job's history that was shown, or that is old news."""
        self._begun: dict[Key, int] = {}
        """The execution whose start was shown."""
        self._looked: float | None = None
        self._seen: set[Key] = set()

    @contextmanager
    def told(self) -> Iterator[None]:
        """Show lines while the block runs, in a thread."""
        ended = threading.Event()

        def work() -> None:
            while not ended.is_set():
                self.tell(PAUSE_SECONDS)

        thread = threading.Thread(target=work, name="ucam-faas-job-news", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            self._events.put(lambda: None)
            thread.join()

    def tell(self, seconds: float = 0.0) -> None:
        """Show the news so far; wait for some, at most so many seconds."""
        try:
            event = self._events.get(timeout=seconds) if seconds else self._events.get_nowait()
            while True:
                with suppress(JobError):  # the serving process reports it
                    event()
                event = self._events.get_nowait()
        except Empty:
            with suppress(JobError):
                self._tell_delays()

    def delivered(self, subscription: str, message: Message) -> None:
        """Show the start of a job, unless this wake is one too many."""
        key, since = self._key(subscription, message), self._clock.now().timestamp()
        self._events.put(lambda: self._tell_start(key, since))

    def acknowledged(self, subscription: str, message: Message) -> None:
        """Show when a job runs again, or how it ended."""
        self.changed(self._key(subscription, message))

    def changed(self, key: Key) -> None:
        """Show the changes of a job."""
        self._events.put(lambda: self._tell_changes(key))

    def failed(self, subscription: str, message: Message, **fields: Any) -> None:
        """Show that a wake was refused: its job has not run."""
        again = fields["retry_seconds"]
        when = "" if again is None else f", again in {again:.3g} s"
        text = f"job {message.attributes[JOB_ATTRIBUTE]} could not start ({fields['status']}){when}"
        line = partial(self._stream.line, "retry", _task(subscription), text)
        self._events.put(line)

    def _tell_start(self, key: Key, since: float) -> None:
        row = self._store.get(key)
        if row is None:
            return
        if row.state is State.PENDING and row.due <= self._store.now():
            self._told[key] = row.history[-1]
            self._show_start(row, row.fence + 1)
        else:  # it has started before this look, or the wake is one too many
            sent, *changes = row.history
            earlier = [sent, *(entry for entry in changes if entry.time < since)]
            self._told.setdefault(key, earlier[-1])
            self._tell_changes(key)

    def _tell_changes(self, key: Key) -> None:
        row = self._store.get(key)
        if row is None:
            return
        history, told = row.history, self._told.pop(key, None)
        new = history[history.index(told) + 1 :] if told in history else history[-1:]
        for entry in new:
            self._tell_change(row, entry, is_last=entry is history[-1])
        self._told[key] = history[-1]
        if len(self._told) > MOST_KNOWN:
            oldest = next(iter(self._told))
            del self._told[oldest]
            self._begun.pop(oldest, None)

    def _tell_change(self, row: Row, entry: Entry, *, is_last: bool) -> None:
        match entry.state:
            case State.STARTED:
                self._show_start(row, entry.attempt)
            case State.PENDING if entry.cause == "failed":
                wait = row.due - self._store.now()
                again = f", again in {wait:.3g} s" if is_last and wait > 0 else ""
                self._show("retry", row, f"attempt {row.attempts} failed{again}")
            case State.PAUSED:
                self._show("paused", row, f"until: ucam-faas jobs resume {row.key.id}")
            case State.FAILURE:
                attempts = "1 attempt" if row.attempts == 1 else f"{row.attempts} attempts"
                self._show("dead", row, f"{entry.state} after {attempts}")
            case State.CANCELLED:
                self._show("dead", row, str(entry.state))
            case State.EXPIRED:
                self._show("dead", row, f"{entry.state}: it hadn't started within its ttl")

    def _show_start(self, row: Row, execution: int) -> None:
        if self._begun.get(row.key) != execution:
            self._begun[row.key] = execution
            has_failed = row.history[-1].cause == "failed" and row.fence == execution
            self._show("started", row, f"attempt {row.attempts + (not has_failed)}")

    def _tell_delays(self) -> None:
        """Show the new jobs that have a delay."""
        now = self._store.now()
        since = now if self._looked is None else self._looked
        rows = self._store.find(self._app, states={State.PENDING}, since=since, limit=MOST_NEW)
        new = [row for row in rows if row.key not in self._seen]
        self._looked = max([since, *(row.created for row in rows)])
        self._seen = {row.key for row in rows if row.created == self._looked}
        delayed = [row for row in new if row.due - row.created >= LEAST_DELAY_SECONDS]
        for row in reversed(delayed[:MOST_DELAYED]):
            if not row.fence:  # else it failed, and waits for its next attempt
                self._show("delayed", row, f"starts in {duration_text(max(0.0, row.due - now))}")
        if len(delayed) > MOST_DELAYED:
            self._stream.line("delayed", "", "more jobs wait: ucam-faas jobs list")

    def _show(self, what: str, row: Row, text: str) -> None:
        self._stream.line(what, row.key.task, f"job {row.key.id}, {text}")

    def _key(self, subscription: str, message: Message) -> Key:
        return Key(self._app, _task(subscription), message.attributes[JOB_ATTRIBUTE])


def _task(subscription: str) -> str:
    return subscription.rpartition("/")[2].removesuffix(_INBOX)
