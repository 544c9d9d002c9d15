"""`ucam-faas publish --wait`: follow a message until its task has handled it.

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

import click

from ucam_faas.cli._destination import Destination
from ucam_faas.dev.history import PAGE
from ucam_faas.exceptions import ConfigurationError, UCAMFAASException

POLL_SECONDS = 0.05
PATIENCE_SECONDS = 5.0
"""Without news for this long after publishing, we say where to look."""
_TIMEOUT_SECONDS = 10.0
_NO_NEWS = (
    "No answer yet: the task still runs, or its start-up code failed and the message waits. The "
    "output of `ucam-faas dev` says which."
)
_SOONER = ", or when you press Enter in dev"


def check(destination: Destination) -> None:
    """Refuse to wait where the Pub/Sub does not tell how a message went.

    Raises:
        ConfigurationError: it does not.
    """
    if destination.history is None or _history(destination.history) is None:
        raise ConfigurationError(
            f"--wait follows messages of `ucam-faas dev` with its own Pub/Sub; {destination.name} "
            "doesn't tell how a message went. Leave --wait out."
        )


def wait(destination: Destination, task: str, message_id: str) -> int:
    """Print each attempt as it ends; return 0 when one is acknowledged, 1 after a dead letter.

    Raises:
        ConfigurationError: `ucam-faas dev` has ended before.
    """
    for step in _steps(destination, f"{task}/{message_id}"):
        match step["event"]:
            case "failed":
                delay = step["retry_seconds"]
                then = "" if delay is None else f"; the next one is in {delay:.3g} s{_SOONER}"
                why = step["status"]
                why = f"HTTP status {why}" if isinstance(why, int) else why
                click.secho(f"Attempt {step['attempt']} failed ({why}){then}.", fg="yellow")
            case "acknowledged":
                click.secho(f"Handled by {task}, attempt {step['attempt']}.", fg="green")
                return 0
            case "dead_lettered":
                letter = f"message {step['message_id']} of {step['topic']}"
                click.secho(f"Given up by {task}: it is a dead letter now, {letter}.", fg="red")
                return 1
    raise AssertionError("a message ends in one of the two ways")


def _steps(destination: Destination, key: str) -> Iterator[dict[str, Any]]:
    """Yield what happens to a message."""
    seen, note_at = 0, time.monotonic() + PATIENCE_SECONDS
    while True:
        found = _history(destination.history or "")
        if found is None:
            raise UCAMFAASException(
                "`ucam-faas dev` has ended before the message was handled. Started again, it "
                "delivers the message, unless it runs with --memory."
            )
        steps = found.get(key, [])
        yield from steps[seen:]
        seen = len(steps)
        if not seen and time.monotonic() >= note_at:
            note_at = math.inf
            click.secho(_NO_NEWS, fg="yellow", err=True)
        time.sleep(POLL_SECONDS)


def _history(host: str) -> dict[str, list[dict[str, Any]]] | None:
    """Return the page of `ucam-faas dev`; None: it is not there."""
    connection = HTTPConnection(host, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request("GET", PAGE)
        response = connection.getresponse()
        body = response.read()
        return dict(json.loads(body)) if response.status == 200 else None
    except (OSError, HTTPException, ValueError, TypeError):
        return None
    finally:
        connection.close()
