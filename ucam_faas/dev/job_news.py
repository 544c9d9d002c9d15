"""The lines of `ucam-faas dev` about jobs: delays, starts, retries, and ends without success.

In: the deliveries of wakes, and the jobs that the sweep ends. A wake only says which row to read; a
thread reads it, because a store may block. A success is in the log of the task.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import Any

from ucam_faas.dev.stream import Stream
from ucam_faas.emulator.core.storage import Message
from ucam_faas.exceptions import JobError
from ucam_faas.execution.inbox import JOB_ATTRIBUTE
from ucam_faas.jobs.rows import Entry, Key, Row
from ucam_faas.jobs.states import State
from ucam_faas.jobs.stores import JobStore
from ucam_faas.logs.durations import duration_text
from ucam_faas.tasks.topics import inbox_named

PAUSE_SECONDS = 0.25
"""Between two looks for new jobs with a delay: no wake tells of them."""
LEAST_DELAY_SECONDS = 1.0
MOST_NEW, MOST_DELAYED = 200, 20
"""New jobs that one look reads, and those with a delay that it shows."""
MOST_KNOWN = 1000
"""Jobs whose last entry is remembered."""
RECENT_SECONDS = 10.0
"""The changes of another job that are shown when it is read, apart from the last one."""


def is_wake(name: str, message: Message) -> bool:
    """Return True if a message of this topic or subscription is a wake."""
    return JOB_ATTRIBUTE in message.attributes and inbox_named(name) is not None


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
        self._events: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self._known: dict[Key, Entry] = {}
        """The last entry of each history, as it was last read."""
        self._delivered: set[Key] = set()
        """Jobs whose wakes aren't answered yet."""
        self._late: set[Key] = set()
        """Those whose start is shown as soon as the store has it."""
        self._began = 0.0
        """The store's time at the first look: earlier starts aren't news."""
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
                for key in tuple(self._late):
                    self._tell_changes(key)
                self._tell_delays()

    def delivered(self, subscription: str, message: Message) -> None:
        """Show the start of a job, unless this wake is one too many.

        The thread looks at the store first: the job may have ended, or wait for a limit.
        """
        key = self._key(subscription, message)
        if key not in self._delivered:
            self._delivered.add(key)
            self._events.put(lambda: self._tell_start(key))

    def acknowledged(self, subscription: str, message: Message) -> None:
        """Show when a job runs again, or how it ended."""
        key = self._key(subscription, message)
        self._delivered.discard(key)
        self.changed(key)
        self._events.put(lambda: self._tell_pause(key))
        self._events.put(lambda: self._late.discard(key))

    def changed(self, key: Key) -> None:
        """Show the changes of a job."""
        self._events.put(lambda: self._tell_changes(key))

    def failed(self, subscription: str, message: Message, **fields: Any) -> None:
        """Show that a wake was refused: its job has not run."""
        again = fields["retry_seconds"]
        when = "" if again is None else f", again in {again:.3g} s"
        key = self._key(subscription, message)
        self._delivered.discard(key)
        self._events.put(lambda: self._late.discard(key))
        text = f"job {message.attributes[JOB_ATTRIBUTE]} could not start ({fields['status']}){when}"
        self._stream.line("retry", key.task, text, "jobs", key.task, key.id, job=key.id)

    def _tell_start(self, key: Key) -> None:
        """Show the start of a job that was woken: now if it can start, else when it is claimed.

        Now is before the task's own lines. It may have to wait for a place, or be refused.
        """
        row = self._store.get(key)
        if row is not None and self._is_starting(row):
            self._show("starting", key, f"attempt {row.attempts + 1}")
        else:
            self._late.add(key)
            self._tell_changes(key)

    def _is_starting(self, row: Row) -> bool:
        """Return True if a job can be claimed at once, and wasn't claimed since the last look."""
        if row.state is not State.PENDING or row.limit_key or row.due > self._store.now():
            return False
        history, known = row.history, self._known.get(row.key)
        index = history.index(known) if known in history else -1
        if any(entry.state is State.STARTED for entry in history[index + 1 :]):
            return False
        return (row.key.task, row.lane) not in self._store.paused_lanes(self._app)

    def _tell_changes(self, key: Key) -> None:
        """Show the changes of a job since the last look; the recent ones if it wasn't known."""
        row = self._store.get(key)
        if row is None:
            return
        history, known = row.history, self._known.get(key)
        if known in history:
            index = history.index(known)
        else:
            begin = self._store.now() - RECENT_SECONDS
            old = sum(entry.time < begin for entry in history)
            index = min(old, len(history) - 1) - 1
        self._remember(row)
        for position, entry in enumerate(history[index + 1 :], index + 2):
            failures = row.attempts - sum(later.cause == "failed" for later in history[position:])
            if entry.state is not State.STARTED:
                self._tell_change(row, entry, failures, is_last=entry is history[-1])
            elif key in self._late and entry.time >= self._began:
                self._late.discard(key)
                self._show("started", key, f"attempt {failures + 1}")

    def _tell_change(self, row: Row, entry: Entry, failures: int, *, is_last: bool) -> None:
        key = row.key
        match entry.state:
            case State.PENDING if entry.cause == "failed":
                wait = row.due - self._store.now()
                again = f", again in {wait:.3g} s" if is_last and wait > 0 else ""
                self._show("retry", key, f"attempt {failures} failed{again}")
            case State.PAUSED:
                self._show("paused", key, f"until: ucam-faas jobs resume {key.id}")
            case State.FAILURE:
                attempts = "1 attempt" if row.attempts == 1 else f"{row.attempts} attempts"
                self._show("dead", key, f"{entry.state} after {attempts}")
            case State.CANCELLED:
                self._show("dead", key, str(entry.state))
            case State.EXPIRED:
                self._show("dead", key, f"{entry.state}: it hadn't started within its ttl")

    def _tell_pause(self, key: Key) -> None:
        """Show that a job that was woken hasn't started because its lane is paused."""
        row = self._store.get(key)
        if row is None or row.state is not State.PENDING or row.due > self._store.now():
            return
        if (key.task, row.lane) in self._store.paused_lanes(self._app):
            self._show("paused", key, f"until: ucam-faas lanes resume {key.task} {row.lane}")

    def _remember(self, row: Row) -> None:
        """Note a job, as the latest; forget the oldest of too many."""
        self._known.pop(row.key, None)
        self._known[row.key] = row.history[-1]
        if len(self._known) > MOST_KNOWN:
            del self._known[next(iter(self._known))]

    def _tell_delays(self) -> None:
        """Show the new jobs that have a delay."""
        now = self._store.now()
        if self._looked is None:  # the first look: what is there already isn't news
            self._looked = self._began = now
            for row in reversed(self._store.find(self._app, limit=MOST_KNOWN)):
                self._remember(row)
        since = self._looked
        rows = self._store.find(self._app, states={State.PENDING}, since=since, limit=MOST_NEW)
        new = [row for row in rows if row.key not in self._seen]
        self._looked = max([since, *(row.created for row in rows)])
        self._seen = {row.key for row in rows if row.created == self._looked}
        delayed = [row for row in new if row.due - row.created >= LEAST_DELAY_SECONDS]
        for row in reversed(delayed[:MOST_DELAYED]):
            if not row.fence:  # else it failed, and waits for its next attempt
                wait = duration_text(max(0.0, row.due - now))
                self._show("delayed", row.key, f"starts in {wait}")
        if len(delayed) > MOST_DELAYED:
            self._stream.line("delayed", "", "more jobs wait: ucam-faas jobs list")

    def _show(self, what: str, key: Key, text: str) -> None:
        page = "jobs", key.task, key.id
        self._stream.line(what, key.task, f"job {key.id}, {text}", *page, job=key.id)

    def _key(self, subscription: str, message: Message) -> Key:
        return Key(self._app, _task(subscription), message.attributes[JOB_ATTRIBUTE])


def _task(subscription: str) -> str:
    inbox = inbox_named(subscription)
    return inbox.task if inbox else subscription
