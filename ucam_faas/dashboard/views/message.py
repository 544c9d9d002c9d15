"""A message: its parts, its readers, and its life."""

from __future__ import annotations

import json
from collections.abc import Sequence

from ucam_faas.backends.ports import Backends
from ucam_faas.dashboard.query import Download, Page, PageNotFoundError, Query, path_of
from ucam_faas.dashboard.views import sending
from ucam_faas.dashboard.views.letters import letters_of
from ucam_faas.execution.dead_letters import MESSAGE_ID_ATTRIBUTE, TASK_ATTRIBUTE
from ucam_faas.execution.replays import REPLAY_ID_ATTRIBUTE
from ucam_faas.history.reader import LINES_OF_STEP, History
from ucam_faas.history.rows import Message, MessageRow


def view(query: Query, backends: Backends) -> Page:
    """Show a message; of one that was published a moment ago, that it is awaited."""
    id = query.parts["id"]
    if query.args.has("published") and _history(backends).message(id) is None:
        return Page("coming.html", f"Message {id}", {"path": path_of("messages", id)})
    message, history = found(query, backends), _history(backends)
    deliveries = history.deliveries(message.id)
    steps = history.timeline(message.id)
    failures = [step for step in steps if step.run is not None and step.run.failed]
    readers = [row for row in deliveries if row.subscription is not None]
    values = {
        "query": query,
        "message": message,
        "path": path_of("messages", message.id),
        "deliveries": readers,
        "letters": letters_of(backends, message.id),
        "again": _again(backends, message, readers),
        "steps": steps,
        "last_failure": failures[-1] if failures else None,
        "most_lines": LINES_OF_STEP,
        "is_replay": REPLAY_ID_ATTRIBUTE in message.attributes,
        "original": message.attributes.get(MESSAGE_ID_ATTRIBUTE, ""),
    }
    return Page("message.html", f"Message {message.id}", values)


def download(query: Query, backends: Backends) -> Download:
    """Return a message's data."""
    message = found(query, backends)
    return Download(message.data, f"message-{message.id}{suffix(message.data)}")


def run(query: Query, backends: Backends) -> Page:
    """Show a run with all its log lines, a page at a time."""
    id = query.parts["id"]
    history = _history(backends)
    run = history.run(id)
    if run is None:
        raise PageNotFoundError(
            f"There is no run {id!r} in the history. It keeps some days, or some megabytes."
        )
    limit = 500
    lines = history.lines(id, after=query.args.number("after") or 0, limit=limit + 1)
    values = {
        "query": query,
        "run": run,
        "lines": lines[:limit],
        "next": lines[limit - 1].key if len(lines) > limit else None,
    }
    return Page("run.html", f"Run {id}", values)


def _again(backends: Backends, message: Message, readers: Sequence[MessageRow]) -> list[str]:
    """Return the tasks that the message can be sent to again."""
    if backends.read_only:
        return []
    names = {row.task for row in readers} | {message.attributes.get(TASK_ATTRIBUTE)}
    return [name for name in sending.names(backends) if name in names]


def found(query: Query, backends: Backends) -> Message:
    """Return the message that a path names.

    Raises:
        PageNotFoundError: the history doesn't have it.
    """
    id = query.parts["id"]
    message = _history(backends).message(id)
    if message is None:
        raise PageNotFoundError(
            f"There is no message {id!r} in the history. It keeps some days, or some megabytes: "
            "see --history-days and --history-mb of `ucam-faas dev`."
        )
    return message


def _history(backends: Backends) -> History:
    assert backends.history is not None, "the table of routes says that it is needed"
    return backends.history


def suffix(data: bytes) -> str:
    """Return the end of the name of a file with some data."""
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return ".bin"
    return ".json"
