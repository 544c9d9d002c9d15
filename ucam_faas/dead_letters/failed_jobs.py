"""Failed jobs as letters: they are in one list with the dead letters."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

from ucam_faas.actions.jobs import Filter as JobFilter, Jobs
from ucam_faas.dead_letters.letters import JOB, Kind, Letter, fallback_fingerprint
from ucam_faas.exceptions import PayloadMissingError
from ucam_faas.jobs.rows import Key, Row
from ucam_faas.jobs.states import State

FAILED = frozenset({State.FAILURE})


def failed_rows(jobs: Jobs) -> Iterator[Row]:
    """Yield the rows of all failed jobs."""
    return JobFilter(states=FAILED).rows(jobs)


def job_of_id(app: str, id: str) -> Key:
    """Return the job of a letter.

    >>> job_of_id("shop", "job:charge/order/17")
    Key(app='shop', task='charge', id='order/17')
    """
    task, _, job = id.removeprefix(JOB).partition("/")
    return Key(app, task, job)


def id_of(key: Key) -> str:
    """Return the id of a job's letter."""
    return f"{JOB}{key.task}/{key.id}"


def letter_of_row(row: Row) -> Letter:
    """Return the letter of a failed job, without its data."""
    error, history = row.error or {}, row.history
    last = history[-1] if history else None
    reason = (last.message if last else "") or str(error.get("type", "failed"))
    claims = [entry.time for entry in history if entry.state is State.STARTED]
    return Letter(
        id=id_of(row.key),
        kind=Kind.JOB,
        task=row.key.task,
        job=f"{row.key.task}/{row.key.id}",
        original_id=row.key.id,
        reason=reason,
        error=str(error.get("summary") or error.get("type", "")),
        fingerprint=str(error.get("fingerprint") or fallback_fingerprint(row.key.task, reason)),
        first_attempt=claims[0] if claims else None,
        last_attempt=claims[-1] if claims else None,
        time=last.time if last else row.created,
        sent=row.created,
        attempts=row.attempts,
        attributes=dict(row.attributes),
        key=row.ordering_key,
        replays=sum(entry.cause == "retried" for entry in history),
        hash=_hash(row),
    )


def data_of(jobs: Jobs, row: Row) -> bytes:
    """Return the payload of a job; nothing if it is lost."""
    try:
        return jobs.store.payload_of(row)
    except PayloadMissingError:
        return b""


def _hash(row: Row) -> str:
    """Return a text that differs after another run of the job."""
    history = row.history
    last = history[-1].time if history else row.created
    parts = [row.created, row.fence, last, dict(row.attributes), row.ordering_key]
    text = json.dumps(parts, sort_keys=True).encode()
    return hashlib.sha256(text + row.payload).hexdigest()[:32]
