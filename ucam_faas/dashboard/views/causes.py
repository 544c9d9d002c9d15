"""Failures that wait for a person, by their causes: those of the workbench, or the latest ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from ucam_faas.backends.ports import Backends
from ucam_faas.dashboard.query import path_of
from ucam_faas.dead_letters.database import BookError
from ucam_faas.dead_letters.filters import Filter
from ucam_faas.dead_letters.letters import Kind
from ucam_faas.dead_letters.workbench import Workbench
from ucam_faas.history.reader import History
from ucam_faas.history.rows import MessageRow, MessageState
from ucam_faas.jobs.rows import Row
from ucam_faas.jobs.states import State

MOST_READ = 200
"""Failures of a kind that are grouped where there is no workbench."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Failures of a task with one cause. Times are in epoch seconds.

    Args:
        kind: `dead letters`, `failed jobs`, both, or `retried`.
        text: the error, or the reason; empty: it isn't known.
        url: of their list.
        latest: the URL of the latest.
        has_more: the count is of the latest alone.
        key: what failures with this cause have in common, within their task.
    """

    task: str
    kind: str
    text: str
    count: int
    first: float
    last: float
    url: str
    latest: str
    has_more: bool = False
    key: str = ""


def causes(backends: Backends) -> tuple[list[Cause], str]:
    """Return the causes of failures, the most frequent first.

    The second value says why they aren't those of the workbench; empty: they are, or there is none.
    """
    problem = ""
    if backends.workbench is not None:
        try:
            return _of_letters(backends, backends.workbench), ""
        except BookError as error:
            problem = str(error)
    jobs, history = backends.jobs, backends.history
    failures: list[Cause] = []
    if jobs is not None:
        rows = jobs.store.find(jobs.app, states={State.FAILURE}, limit=MOST_READ)
        failures += _grouped(map(_of_job, rows), is_full=len(rows) == MOST_READ)
    if history is not None:
        failures += _of_messages(history, MessageState.DEAD_LETTERED, "dead letters")
    return sorted(failures, key=lambda cause: (-cause.count, -cause.last)), problem


def _of_letters(backends: Backends, workbench: Workbench) -> list[Cause]:
    backends.letter_work.refresh(workbench)
    jobs_of = {
        (group.fingerprint, group.task): group.count
        for group in workbench.groups(Filter(kind=Kind.JOB))
    }
    return [
        Cause(
            task=group.task,
            kind=_kind(group.count, jobs_of.get((group.fingerprint, group.task), 0)),
            text=group.error or group.reason,
            count=group.count,
            first=group.first,
            last=group.last,
            url=f"/dead-letters?{urlencode({'fingerprint': group.fingerprint})}",
            latest=path_of("dead-letters", group.sample),
        )
        for group in workbench.groups()
    ]


def _kind(count: int, failed_jobs: int) -> str:
    if not failed_jobs:
        return "dead letters"
    return "failed jobs" if failed_jobs == count else "dead letters and failed jobs"


def retried(backends: Backends) -> list[Cause]:
    """Return the causes for which messages failed that have another attempt before them."""
    if backends.history is None:
        return []
    return _of_messages(backends.history, MessageState.FAILED, "retried")


def _of_messages(history: History, state: MessageState, kind: str) -> list[Cause]:
    rows = history.messages(state=state, limit=MOST_READ)
    single = (_of_message(row, state, kind) for row in rows)
    return _grouped(single, is_full=len(rows) == MOST_READ)


def _of_message(row: MessageRow, state: MessageState, kind: str) -> Cause:
    task = row.task or row.topic
    url = f"/messages?{urlencode({'task': task, 'state': state.value})}"
    latest = path_of("messages", row.id)
    return Cause(task, kind, row.reason, 1, row.time, row.time, url, latest, key=row.reason)


def _of_job(row: Row) -> Cause:
    task, time = row.key.task, row.created
    error = row.error or {}
    text = str(error.get("summary") or error.get("type", ""))
    key = str(error.get("fingerprint") or text)
    url = f"/jobs?{urlencode({'task': task, 'state': 'failure'})}"
    latest = path_of("jobs", task, row.key.id)
    return Cause(task, "failed jobs", text, 1, time, time, url, latest, key=key)


def _grouped(single: Iterable[Cause], *, is_full: bool) -> list[Cause]:
    """Return failures by task and text.

    Args:
        single: one failure each, the latest first.
        is_full: there may be earlier ones.
    """
    groups: dict[tuple[str, str], Cause] = {}
    for cause in single:
        key = cause.task, cause.key
        group = groups.get(key)
        groups[key] = replace(
            cause if group is None else group,
            count=1 if group is None else group.count + 1,
            first=cause.first,
            has_more=is_full,
        )
    return list(groups.values())
