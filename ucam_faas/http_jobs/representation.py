"""A job as an HTTP response shows it: not its payload, and of an error only the type."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any

from ucam_faas.exceptions import ResultNotStoredError
from ucam_faas.jobs.rows import Row
from ucam_faas.jobs.states import State

MAX_RETRY_SECONDS = 60


def body_of(row: Row, result: bytes | None) -> bytes:
    """Return a job as JSON.

    Args:
        row: of the job.
        result: as JSON; None: the job hasn't succeeded, or its result couldn't be stored.
    """
    members = {
        **identity(row.key.task, row.key.id),
        "state": row.state,
        "created": _text(row.created),
        "due": None if row.state.is_completed else _text(row.due),
        "expires": None if row.expires is None else _text(row.expires),
        "ended": _text(row.history[-1].time) if row.state.is_completed else None,
        "attempts": row.attempts,
        "cancel_requested": row.cancel_requested,
        "progress": row.progress,
        "error": _error(row),
    }
    text = json.dumps(members).encode()
    return _standard(text[:-1] + b', "result": ' + (result or b"null") + b"}")


def identity(task: str, id: str) -> dict[str, Any]:
    """Return the members that name a job."""
    return {"task": task, "id": id}


def retry_seconds(row: Row, now: float) -> int:
    """Return the seconds until a caller looks at a job again, at most a minute.

    Args:
        row: of a job that hasn't ended.
        now: in epoch seconds.
    """
    wait = row.due - now if row.state is State.PENDING else 1.0
    return max(1, min(MAX_RETRY_SECONDS, math.ceil(wait)))


def _standard(text: bytes) -> bytes:
    """Return JSON as RFC 8259 has it: NaN and infinity, which Python reads, are null.

    >>> _standard(b'[NaN, 1]')
    b'[null, 1]'
    """
    if b"NaN" not in text and b"Infinity" not in text:
        return text
    return json.dumps(json.loads(text, parse_constant=lambda _: None)).encode()


def _error(row: Row) -> dict[str, str] | None:
    """Return the type of a job's last error; its text may quote the payload."""
    if row.state is State.SUCCESS and row.result is None:
        return {"type": ResultNotStoredError.__name__}
    return None if row.error is None else {"type": str(row.error["type"])}


def _text(time: float) -> str:
    """Return a time as RFC 3339 has it.

    >>> _text(0.5)
    '1970-01-01T00:00:00.500Z'
    """
    text = datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
