"""The options of a job that a request has: its header Idempotency-Key, and its query."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from ucam_faas.http_jobs.problems import Problem
from ucam_faas.jobs.send_options import LONGEST, SendOptions, check_id
from ucam_faas.tasks.lanes import DEFAULT_LANE
from ucam_faas.tasks.task import Task

ID_HEADER = "Idempotency-Key"
MAX_SECONDS = int(LONGEST.total_seconds())
"""The longest delay and ttl: those of `send`."""
MAX_WAIT_SECONDS = 60
"""The longest time that a request waits for the end of a job."""
Query = Mapping[str, Sequence[str]]
"""The values of each parameter."""

PARAMETERS: dict[str, tuple[str, dict[str, Any]]] = {
    "delay": (
        "Seconds until the job may start.",
        {"type": "number", "minimum": 0, "maximum": MAX_SECONDS},
    ),
    "at": (
        "When it may start, with a time zone, in place of `delay`. The past is now.",
        {"type": "string", "format": "date-time"},
    ),
    "ttl": (
        "Seconds after which it ends as EXPIRED if it hasn't started; more than its delay.",
        {"type": "number", "exclusiveMinimum": 0, "maximum": MAX_SECONDS},
    ),
    "lane": ("The lane of the task that runs it.", {"type": "string", "default": DEFAULT_LANE}),
}
"""The parameters of a sending: a description and a schema each."""


def of_task(task: Task) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return the parameters of a task, which has `lane` only if it has several."""
    parameters = dict(PARAMETERS)
    text, schema = parameters.pop("lane")
    if len(task.lane_names) > 1:
        parameters["lane"] = text, {**schema, "enum": [*task.lane_names]}
    return parameters


def send_options(task: Task, header: str | None, query: Query) -> SendOptions:
    """Return the options of `send`.

    Args:
        task: gets the job.
        header: Idempotency-Key; None: there is none.
        query: of the request.

    Raises:
        Problem: an option can't be used, or isn't known.
    """
    _check_known(query, PARAMETERS)
    options = SendOptions()
    if header is not None:
        options["id"] = _id(header)
    if "delay" in query and "at" in query:
        raise invalid("delay", "delay and at are two ways to say the same: use one of them.")
    if "delay" in query:
        options["delay"] = timedelta(seconds=_seconds("delay", query))
    if "at" in query:
        options["at"] = _time(query)
    if "ttl" in query:
        options["ttl"] = timedelta(seconds=_seconds("ttl", query, above=0))
    if "lane" in query:
        options["lane"] = _lane(task, query)
    return options


def wait_seconds(query: Query) -> float:
    """Return how long a request waits for the end of a job.

    Raises:
        Problem: the parameter can't be used, or there is another.
    """
    _check_known(query, ["wait"])
    return _seconds("wait", query, most=MAX_WAIT_SECONDS) if "wait" in query else 0.0


def check_none(query: Query) -> None:
    """Refuse parameters where there are none.

    Raises:
        Problem: there is one.
    """
    _check_known(query, [])


def invalid(name: str, detail: str) -> Problem:
    """Return the problem of a parameter or a header."""
    return Problem(400, "parameter-invalid", detail, parameter=name)


def _check_known(query: Query, known: Sequence[str] | Mapping[str, Any]) -> None:
    for name, values in query.items():
        if name not in known:
            expected = ", ".join(known) or "none"
            detail = f"The query has an unknown parameter: expected {expected}."
            raise Problem(400, "parameter-unknown", detail)
        if len(values) > 1:
            raise invalid(name, f"The query has {name} more than once.")


def _id(header: str) -> str:
    """Return the id of a job: the header's text, or the string in it (RFC 9651)."""
    quoted = len(header) > 1 and header[0] == header[-1] == '"'
    id = header[1:-1] if quoted else header
    try:
        check_id(id)
    except ValueError as error:
        detail = f"{ID_HEADER}: expected 1 to 1,024 characters of printable ASCII."
        raise invalid(ID_HEADER, detail) from error
    if not id.isascii() or set(id) & set('/\\"') or id in (".", ".."):
        detail = (
            "expected printable ASCII without / \\ and \", since the job's address has the key."
        )
        raise invalid(ID_HEADER, f"{ID_HEADER}: {detail}")
    return id


def _seconds(name: str, query: Query, *, above: float = -1, most: float = MAX_SECONDS) -> float:
    (text,) = query[name]
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not (seconds > above and 0 <= seconds <= most):
        lowest = "more than 0" if above == 0 else "0"
        raise invalid(name, f"{name}: expected seconds, {lowest} to {most:.0f}.")
    return seconds


def _time(query: Query) -> datetime:
    (text,) = query["at"]
    try:
        time = datetime.fromisoformat(text)
        time.astimezone(UTC)
    except (ValueError, OverflowError):
        time = datetime.min
    if time.utcoffset() is None:
        raise invalid("at", "at: expected a time with a time zone, such as 2030-01-31T12:00:00Z.")
    return time


def _lane(task: Task, query: Query) -> str:
    (name,) = query["lane"]
    if name not in task.lane_names:
        known = ", ".join(task.lane_names)
        raise invalid("lane", f"lane: expected one of the task's lanes, {known}.")
    return name
