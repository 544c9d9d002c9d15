"""The ids of jobs that a running task sends: the same when it is tried again.

An id is made of the execution's cause (the job, or the event), the payload, and the number of
equal payloads before it. So a parent that sends three children, fails, and is retried has three.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from heapq import heappop, heappush

from ucam_faas.events.context import CLOUD_EVENT_CONTEXT
from ucam_faas.jobs import transactions
from ucam_faas.jobs.rows import Row
from ucam_faas.logs.context import LOG_CONTEXT

_LOCK = threading.Lock()


@dataclass(slots=True)
class Parent:
    """The cause of the running execution.

    Args:
        task: the name of its task.
        cause: the same at each attempt.
        row: of the job, as it was claimed; None: the cause is a message, or an event.
        sent: how many ids this execution has used for equal payloads.
        free: the numbers of those whose transactions were rolled back.
    """

    task: str
    cause: str
    row: Row | None = None
    sent: Counter[str] = field(default_factory=Counter)
    free: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))


PARENT: ContextVar[Parent | None] = ContextVar("PARENT", default=None)
"""Set while a job runs."""


def parent() -> Parent | None:
    """Return the cause of the execution under way; None outside of tasks, and where none is known,
    as for requests.
    """
    event, log = CLOUD_EVENT_CONTEXT.get(None), LOG_CONTEXT.get()
    if PARENT.get() is not None or event is None or log is None:
        return PARENT.get()
    with _LOCK:
        if event.parent is None:
            attributes = event.attributes
            cause = json.dumps([log.task, attributes.event_source, attributes.event_id])
            event.parent = Parent(log.task, cause)
    assert isinstance(event.parent, Parent)
    return event.parent


def child_id(
    of: Parent | None, app: str, task: str, payload: bytes, attributes: Mapping[str, str]
) -> str:
    """Return the id of the next job that an execution sends; a random one without an execution."""
    if of is None:
        return os.urandom(16).hex()  # uuid4 takes five times as long
    text = json.dumps([app, of.cause, task, sorted(attributes.items())])
    digest = hashlib.sha256(text.encode() + b"\0" + payload).hexdigest()
    with _LOCK:
        free = of.free[digest]
        of.sent[digest] += not free
        number = heappop(free) if free else of.sent[digest]
    transaction = transactions.current()
    if transaction is not None:
        transaction.on_rollback.append(partial(_free, of, digest, number))
    return digest[:32] if number == 1 else f"{digest[:32]}-{number}"


@contextmanager
def of_step(name: str) -> Iterator[None]:
    """Let the jobs that a step sends be the step's children: at an attempt that skips it, those of
    other steps have the same ids.
    """
    job = PARENT.get()
    if job is None:
        yield
        return
    token = PARENT.set(Parent(job.task, json.dumps([job.cause, "step", name]), job.row))
    try:
        yield
    finally:
        PARENT.reset(token)


def after_cursor(number: int) -> None:
    """Let the jobs that are sent from now on be children of the cursor: an attempt that begins at
    it sends them with the same ids. In a transaction, from its commit on.

    Args:
        number: of the cursor, from 1.
    """
    job, transaction = PARENT.get(), transactions.current()
    if job is None or job.row is None:
        return
    cause = json.dumps([job.row.key, "cursor", number])
    if transaction is None:
        _move(job, cause)
    else:
        transaction.on_commit.insert(0, partial(_move, job, cause))


def _move(parent: Parent, cause: str) -> None:
    with _LOCK:
        if parent.cause != cause:
            parent.cause = cause
            parent.sent.clear()
        parent.free.clear()


def _free(of: Parent, digest: str, number: int) -> None:
    """Free the number of a sending that was rolled back, so that the next try gets the same id."""
    with _LOCK:
        heappush(of.free[digest], number)


def of_job(row: Row) -> None:
    """Let the jobs that a claimed job sends be its children."""
    PARENT.set(Parent(row.key.task, json.dumps(row.key), row))
