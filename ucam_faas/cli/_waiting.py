"""`publish --wait` and `schedules run`: follow a message until its task has handled it.

`ucam-faas dev` knows the HTTP answers to its deliveries, and the dead letters. What the function
returned or raised is in its log.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlencode

from ucam_faas.actions.publishing import Destination
from ucam_faas.cli._messages import note, say
from ucam_faas.dev.history import PAGE
from ucam_faas.exceptions import ConfigurationError, UCAMFAASException

POLL_SECONDS = 0.05
PATIENCE_SECONDS = 5.0
"""Without news for this long after publishing, we say where to look."""
_TIMEOUT_SECONDS = 10.0
_NO_NEWS = "No answer yet: the task still runs. Its log is in the output of `ucam-faas dev`."
_ENDS = ("acknowledged", "dead_lettered")
_SOONER = ", or when you press Enter in dev"


def history_of(destination: Destination) -> str:
    """Return the `host:port` that tells how a message went.

    Raises:
        ConfigurationError: it does not.
    """
    if destination.history is None or _history(destination.history) is None:
        raise ConfigurationError(
            f"--wait follows messages of `ucam-faas dev` with its own Pub/Sub; {destination.name} "
            "doesn't tell how a message went. Leave --wait out."
        )
    return destination.history


def delivery_of(host: str, schedule: str) -> tuple[str, str | None] | None:
    """Return the task of a schedule, and the message of its last run; None: they aren't known.

    Args:
        host: `host:port` of a `ucam-faas dev`, or of another scheduler.
        schedule: its name.
    """
    run = (_history(host, schedule=schedule) or {}).get("run")
    return (run["task"], run["message"]) if run else None


def wait(
    host: str, task: str, message_id: str, *, quiet: bool, attempts: float = math.inf
) -> list[dict[str, Any]]:
    """Print each attempt as it ends, unless quiet; return their events, as the history has them.

    Args:
        host: `host:port` of the `ucam-faas dev`.
        task: that gets the message.
        message_id: of the message.
        quiet: print nothing.
        attempts: to wait for at most.

    Raises:
        UCAMFAASException: `ucam-faas dev` has ended before.
    """
    steps: list[dict[str, Any]] = []
    for step in _steps(host, task, message_id):
        steps.append(step)
        if not quiet:
            _tell(step, task)
        if step["event"] in _ENDS or len(steps) >= attempts:
            break
    return steps


def is_handled(steps: list[dict[str, Any]]) -> bool:
    """Return True if a message's task has handled it, and False if it failed."""
    return bool(steps[-1]["event"] == "acknowledged")


def _tell(step: dict[str, Any], task: str) -> None:
    match step["event"]:
        case "failed":
            delay = step["retry_seconds"]
            then = "" if delay is None else f"; the next one is in {delay:.3g} s{_SOONER}"
            why = step["status"]
            why = f"HTTP status {why}" if isinstance(why, int) else why
            say(f"Attempt {step['attempt']} failed ({why}){then}.", "yellow")
        case "acknowledged":
            say(f"Handled by {task}, attempt {step['attempt']}.", "green")
        case "dead_lettered":
            letter = f"message {step['message_id']} of {step['topic']}"
            say(f"Given up by {task}: it is a dead letter now, {letter}.", "red")


def _steps(host: str, task: str, message_id: str) -> Iterator[dict[str, Any]]:
    """Yield a message's events; while there are none, say why."""
    known, note_at, told = 0, time.monotonic() + PATIENCE_SECONDS, None
    while True:
        news = _history(host, task=task, message=message_id, after=known)
        if news is None:
            raise UCAMFAASException(
                "`ucam-faas dev` has ended before the message was handled. Started again, it "
                "delivers the message, unless it runs with --memory."
            )
        yield from news["steps"]
        known += len(news["steps"])
        if (down := news["down"]) and down != told:
            told, note_at = down, math.inf
            note(
                f"{task} can't run: {down}\nThe message waits until you save a fix. Still waiting."
            )
        if not known and time.monotonic() >= note_at:
            note_at = math.inf
            note(_NO_NEWS)
        time.sleep(POLL_SECONDS)


def _history(host: str, **query: str | int) -> dict[str, Any] | None:
    """Return new events of `ucam-faas dev`; None if it isn't running."""
    connection = HTTPConnection(host, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request("GET", f"{PAGE}?{urlencode(query)}")
        response = connection.getresponse()
        body = dict(json.loads(response.read()))
        return body if response.status == 200 and "steps" in body else None
    except (OSError, HTTPException, ValueError, TypeError):
        return None
    finally:
        connection.close()
