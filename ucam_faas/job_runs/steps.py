"""The steps of a running job: each is done once, and a later attempt reads its stored result.

The store is asked for the steps of earlier attempts when the first one is needed; a job that has
none costs no statement. A step's result is read back from its JSON the first time, too, so that it
is the same at each attempt.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from ucam_faas.clock import Clock
from ucam_faas.exceptions import JobCancelledError, JobStoreError
from ucam_faas.execution.execution import SleepSignal
from ucam_faas.gcp.limits import MAX_ATTRIBUTE_VALUE_BYTES
from ucam_faas.job_runs.lease import Lease
from ucam_faas.job_runs.step_values import JSON_TYPES, to_json
from ucam_faas.job_runs.stored_ends import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS
from ucam_faas.jobs import transactions
from ucam_faas.jobs.rows import lost, size_of
from ucam_faas.jobs.send_options import LONGEST, is_id
from ucam_faas.jobs.transactions import within
from ucam_faas.outcomes import Sleeping
from ucam_faas.sending import children

CURSOR = ""
"""The name of the step that has the cursor: a task's own steps aren't called that."""
ROUNDED_SECONDS = 0.001
"""A sleep that has less than this left is over: sums of times are rounded."""


class Steps:
    """The steps of a job, in the execution that holds it.

    Args:
        lease: of the job.
        clock: by which the lease ends.
    """

    def __init__(self, lease: Lease, clock: Clock) -> None:
        self._lease = lease
        self._row = lease.row
        self._store = lease.store
        self._clock = clock
        self._lock = threading.Lock()
        self._asks = threading.RLock()
        """Held while the store is asked, so never waited for on an event loop."""
        self._done: dict[str, bytes] | None = None
        self._used: set[str] = set()
        self._sleeps = 0
        self.sleeping: Sleeping | None = None
        """The sleep that ends this execution."""

    @property
    def is_read(self) -> bool:
        """The steps of earlier attempts are known: to begin one asks nothing of the store."""
        return self._done is not None

    @property
    def size(self) -> int:
        """The bytes of the steps that are known."""
        return sum(len(name.encode()) + len(value) for name, value in (self._done or {}).items())

    def read(self) -> dict[str, bytes]:
        """Return the results of the steps that are done, by name."""
        if self._done is not None:
            return self._done
        with self._asks:
            if self._done is None:
                is_first = self._row.fence == 1  # so there can't be any
                steps = () if is_first else within(self._store).steps(self._row.key)
                self._done = {step.name: step.value for step in steps}
            return self._done

    def begin(self, name: str) -> bytes | None:
        """Begin a step, and return its result if it is done.

        Raises:
            TypeError: its name isn't a text.
            ValueError: its name is empty, too long, or that of another step.
        """
        if not isinstance(name, str):
            raise TypeError(f"A step has the name {name!r}: expected a text, such as 'charge'.")
        if not is_id(name):
            raise ValueError(
                f"A step has the name {name[:50]!r}: expected 1 to {MAX_ATTRIBUTE_VALUE_BYTES} "
                "bytes of printable text."
            )
        done = self.read()
        with self._lock:
            if name in self._used:
                raise ValueError(
                    f"The job {self._row.key.id!r} has two steps named {name!r}: the second would "
                    "get the result of the first. In a loop, let the name have the item, such as "
                    f"f'{name} {{item.id}}'."
                )
            self._used.add(name)
            return done.get(name)

    @contextmanager
    def running(self, name: str) -> Iterator[None]:
        """Run a step's function: the jobs that it sends are the step's children. After an error the
        step may begin again.
        """
        try:
            with children.of_step(name):
                yield
        except BaseException:
            self._used.discard(name)
            raise

    def end(self, name: str, value: bytes) -> None:
        """Store the result of a step.

        Raises:
            JobCancelledError: `job.cancel()` was called. The result is stored.
            JobLostError: another process holds the job by now. An open transaction is rolled back,
                though the task may catch this.
            JobStoreError: the store doesn't answer while the claim lasts.
            ValueError: it is too large for the store.
        """
        with self._asks:
            done, transaction = self.read(), transactions.current()
            self._check_size(name, value)
            if transaction is not None:
                transaction.on_rollback.append(partial(self._forget, name, done.get(name)))
            is_cancelled = self._put(name, value)
            if is_cancelled is None:
                error = lost(self._row.key)
                if transaction is not None:
                    transaction.refusal = error
                raise error
            done[name] = value
        if is_cancelled:
            raise JobCancelledError(f"The job {self._row.key.id!r} was cancelled.")

    def cursor(self) -> Any:
        """Return the cursor; None: no attempt has saved one."""
        stored = self.read().get(CURSOR)
        if stored is None:
            return None
        number, value = json.loads(stored)
        children.after_cursor(number)
        return value

    def save_cursor(self, value: Any) -> None:
        """Store the cursor; see `end`."""
        if not isinstance(value, JSON_TYPES):
            raise TypeError(
                f"A cursor of type {type(value).__name__} would come back as another type: "
                "expected a value that JSON has. Save its text, or a number."
            )
        encoded = to_json(value, "cursor")
        with self._asks:
            number = json.loads(self.read().get(CURSOR, b"[0]"))[0] + 1
            self.end(CURSOR, b"[%d, %b]" % (number, encoded))
            children.after_cursor(number)

    def sleep(self, duration: timedelta, name: str | None) -> SleepSignal | None:
        """Begin a sleep, and return the signal that ends this execution; None: it is over.

        Raises:
            RuntimeError: a transaction is open.
            TypeError: the duration isn't a timedelta.
            ValueError: it is longer than a century.
        """
        if not isinstance(duration, timedelta):
            raise TypeError(
                f"sleep({duration!r}): expected a timedelta, such as timedelta(hours=1)."
            )
        if duration > LONGEST:
            raise ValueError(f"sleep({duration!r}): expected at most {LONGEST.days} days.")
        if transactions.current() is not None:
            raise RuntimeError(
                "sleep(…) ends this execution, which would roll the open transaction back: move it "
                "out of the block."
            )
        with self._lock:
            self._sleeps += name is None
            name = f"sleep {self._sleeps if name is None else name}"
        stored = self.begin(name)
        begun = self._row.history[-1].time + ROUNDED_SECONDS
        if stored is not None and json.loads(stored) <= begun:
            return None  # it was over when this execution began
        with self.running(name):
            now = self._store.now()
            if stored is None:
                stored = json.dumps(now + duration.total_seconds()).encode()
                self.end(name, stored)
        until = float(json.loads(stored))
        if until <= now + ROUNDED_SECONDS:
            return None
        time = datetime.fromtimestamp(until, UTC).isoformat(" ", "seconds")
        self.sleeping = Sleeping(f"until {time}", until - now)
        return SleepSignal(self.sleeping)

    def _put(self, name: str, value: bytes) -> bool | None:
        """Store a result; its step is done, so the store is asked again for as long as it helps.
        See `JobStore.put_step`.
        """
        row, store, pause = self._row, within(self._store), FIRST_PAUSE_SECONDS
        while True:
            try:
                return store.put_step(row.key, name, value, fence=row.fence)
            except JobStoreError:
                if store is not self._store or pause >= self._lease.seconds_left(self._clock):
                    raise
            self._clock.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _forget(self, name: str, value: bytes | None) -> None:
        """Return to the result before a transaction that was rolled back."""
        done = self.read()
        self._used.discard(name)
        done.pop(name, None)
        if value is not None:
            done[name] = value

    def _check_size(self, name: str, value: bytes) -> None:
        limit, max_bytes = self._store.max_steps_bytes, self._store.max_bytes
        if limit is None:
            return
        if max_bytes is not None:
            limit = min(limit, max_bytes - size_of(self._row))
        others = self.size - len(self.read().get(name, b""))
        if others + len(value) > limit:
            raise ValueError(
                f"The step {name!r} has {len(value):,} bytes, the job's other steps have "
                f"{others:,}, and the store takes {limit:,} of a job. Keep large data elsewhere, "
                "and return its name."
            )
