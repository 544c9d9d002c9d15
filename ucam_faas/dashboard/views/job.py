"""A job: its state and life, its data, its relatives, and the actions on it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ucam_faas.actions.job_texts import progress
from ucam_faas.actions.jobs import ACTIONS, Jobs, act
from ucam_faas.backends.ports import Backends
from ucam_faas.dashboard.query import Download, Page, PageNotFoundError, Query, See, path_of
from ucam_faas.dashboard.views import sending
from ucam_faas.dashboard.views.job_history import moments
from ucam_faas.dashboard.views.job_list import JobLine, note
from ucam_faas.dashboard.views.letters import letters_of
from ucam_faas.dashboard.views.message import suffix
from ucam_faas.exceptions import JobStoreError, PayloadMissingError
from ucam_faas.history.reader import History
from ucam_faas.history.rows import Line, Run
from ucam_faas.jobs.members import batch_of
from ucam_faas.jobs.payloads.references import of_payload, of_result
from ucam_faas.jobs.rows import Key, Row, name_of
from ucam_faas.jobs.states import State

CHILDREN = 20
MEMBERS = 10
MOST_STEPS = 100
"""The latest steps that the page shows."""
LINES = 100
"""Log lines of a run that the page shows; the run's own page has all."""
LABELS = {
    "retry": ("Run again", "main", ""),
    "resume": ("Resume", "main", ""),
    "cancel": ("Cancel", "", "A process that runs it is asked to stop."),
    "delete": ("Delete", "danger", "Its result and history are removed, too."),
}
"""The button of each action: its text, its kind, and the question before it."""


def view(query: Query, backends: Backends) -> Page:
    """Show a job."""
    return _page(query, backends, revealed=not backends.hides_payloads)


def reveal(query: Query, backends: Backends) -> Page:
    """Show a job with its data where they are hidden, and note who did that."""
    page = _page(query, backends, revealed=True)
    backends.log(query.who, "revealed", _about(query))
    return page


def download(query: Query, backends: Backends) -> Download:
    """Return a job's payload or result, where data are shown."""
    if backends.hides_payloads:
        raise PageNotFoundError("Data are hidden here: show them on the job's page first.")
    return _data(query, backends)


def save(query: Query, backends: Backends) -> Download:
    """Return a job's payload or result where they are hidden, and note who did that."""
    saved = _data(query, backends)
    backends.log(query.who, f"downloaded the {query.parts['part']}", _about(query))
    return saved


def change(query: Query, backends: Backends) -> See:
    """Cancel, retry, resume or delete a job."""
    jobs, row = _found(query, backends)
    name = query.parts["action"]
    if name not in ACTIONS:
        raise PageNotFoundError("There is no such action.")
    result = act(jobs, name, row)
    if result.done:
        backends.log(query.who, name, _about(query))
    return See("/jobs" if result.state is None else _path(row.key), result.text)


def _found(query: Query, backends: Backends) -> tuple[Jobs, Row]:
    jobs = backends.jobs
    assert jobs is not None, "the table of routes says that it is needed"
    task, id = query.parts["task"], query.parts["id"]
    row = jobs.store.get(Key(jobs.app, task, id))
    if row is None:
        raise PageNotFoundError(
            f"There is no job {id!r} of {task!r}. It may have been deleted, or removed after its "
            "retention."
        )
    return jobs, row


def _page(query: Query, backends: Backends, *, revealed: bool) -> Page:
    jobs, row = _found(query, backends)
    store, key, now = jobs.store, row.key, jobs.store.now()
    runs = [] if backends.history is None else backends.history.job_runs(key.task, key.id)
    steps = store.steps(key)
    children = store.children(jobs.app, name_of(key), limit=CHILDREN + 1)
    members = store.members(jobs.app, batch_of(key), limit=MEMBERS)
    hidden = not revealed
    values = {
        "query": query,
        "row": row,
        "path": _path(key),
        "revealed": revealed,
        "beside": note(replace(row, progress=None, error=None), now, hidden=hidden),
        "progress": progress(row.progress) if row.progress else "",
        "share": _share(row.progress),
        "moments": [
            (moment, _lines(backends.history, moment.run)) for moment in moments(row, runs)
        ],
        "most_lines": LINES,
        "payload": _shown(store.payload_of, row, of_payload(row)),
        "result": _shown(store.result_of, row, of_result(row)),
        "steps": steps[-MOST_STEPS:],
        "earlier_steps": max(0, len(steps) - MOST_STEPS),
        "children": [JobLine(child, note(child, now, hidden=hidden)) for child in children],
        "most_children": CHILDREN,
        "members": [JobLine(member, note(member, now, hidden=hidden)) for member in members],
        "counts": store.count_members(jobs.app, batch_of(key)) if members else {},
        "batch": batch_of(key),
        "actions": _actions(row),
        "letters": letters_of(backends, name_of(key)),
        "can_send": not backends.read_only and key.task in sending.names(backends),
    }
    return Page("job.html", f"Job {key.id}", values)


def _lines(history: History | None, run: Run | None) -> list[Line]:
    """Return the first log lines of a run, and one more if there are more."""
    if history is None or run is None or not run.execution_id:
        return []
    return history.lines(run.execution_id, limit=LINES + 1)


def _shown(read: Any, row: Row, reference: Any) -> tuple[bytes, str]:
    """Return data of a job, which may be in the payload store, or the reason why they aren't."""
    try:
        return read(row) or b"", ""
    except (PayloadMissingError, JobStoreError) as error:
        if reference is None:
            raise
        return b"", str(error)


def _share(report: Any) -> tuple[float, float] | None:
    """Return how much of how much is done, if a task reports both."""
    done, total = (report or {}).get("done"), (report or {}).get("total")
    return (done, total) if done is not None and total else None


def _actions(row: Row) -> list[tuple[str, str, str, str]]:
    """Return the actions that a job's state allows: the name, and its button."""
    names = [name for name in LABELS if row.state in ACTIONS[name].possible]
    if row.is_waiting_callback:
        names.remove("resume")
    if row.cancel_requested and row.state is State.STARTED:
        names.remove("cancel")
    return [(name, *LABELS[name]) for name in names]


def _data(query: Query, backends: Backends) -> Download:
    jobs, row = _found(query, backends)
    part = query.parts["part"]
    if part not in ("payload", "result"):
        raise PageNotFoundError("There are no such data.")
    data = jobs.store.payload_of(row) if part == "payload" else jobs.store.result_of(row)
    if data is None:
        raise PageNotFoundError("The job has no result.")
    return Download(data, f"{row.key.task}-{row.key.id}-{part}{suffix(data)}")


def _path(key: Key) -> str:
    return path_of("jobs", key.task, key.id)


def _about(query: Query) -> str:
    return f"{query.parts['task']}/{query.parts['id']}"
