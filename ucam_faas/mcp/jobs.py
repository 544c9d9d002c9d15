"""Tools about jobs."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from ucam_faas.actions.job_documents import as_json, step_as_json
from ucam_faas.actions.jobs import Filter, Jobs, act
from ucam_faas.backends.ports import Backends
from ucam_faas.exceptions import JobStoreError, PayloadMissingError
from ucam_faas.jobs.rows import Row
from ucam_faas.jobs.states import State
from ucam_faas.mcp.tools import Limit, Tool, ToolError, check_task, payload

STEPS = 50
"""The latest steps that are shown."""


class ListJobs(Tool):
    """List jobs, the latest first, with the error of each that failed."""

    task: str | None = None
    """Name of the task; null: any."""
    states: list[State] = Field(default_factory=list)
    """States of the jobs; empty: any."""
    lane: str | None = None
    """Lane of the task; null: any."""
    limit: Limit = 20

    def run(self, backends: Backends) -> dict[str, Any]:
        """Return the jobs."""
        jobs = _jobs(backends)
        chosen = Filter(
            task=self.task, states=frozenset(self.states), lane=self.lane, limit=self.limit
        )
        hidden = backends.hides_payloads
        rows = list(chosen.rows(jobs))
        check_task(backends, self.task, rows)
        return {"jobs": [_document(row, hidden=hidden, whole=False) for row in rows]}


class ShowJob(Tool):
    """Show a job: the changes of its state, its error with the traceback, its payload, result,
    progress and steps.
    """

    id: str
    """Id of the job."""
    task: str | None = None
    """Name of its task, needed only where jobs of several tasks have the id."""

    def run(self, backends: Backends) -> dict[str, Any]:
        """Return the job."""
        jobs, hidden = _jobs(backends), backends.hides_payloads
        row = jobs.row(self.id, self.task)
        steps = jobs.store.steps(row.key)
        return {
            **_document(row, hidden=hidden, whole=True),
            "payload": _data(jobs.store.payload_of, row, hidden=hidden),
            "result": _data(jobs.store.result_of, row, hidden=hidden),
            "steps": [step_as_json(step) for step in steps[-STEPS:]],
        }


class ActOnJob(Tool):
    """Retry a job that ended without success, cancel one that waits or runs, or resume one that is
    paused.
    """

    writes: ClassVar[bool] = True
    id: str
    """Id of the job."""
    task: str | None = None
    """Name of its task, needed only where jobs of several tasks have the id."""
    action: Literal["retry", "cancel", "resume"]
    """The change to make."""

    def run(self, backends: Backends) -> dict[str, Any]:
        """Do it, and return its result."""
        jobs = _jobs(backends)
        result = act(jobs, self.action, jobs.row(self.id, self.task))
        return result.as_json() | {"text": result.text}


def _jobs(backends: Backends) -> Jobs:
    if backends.jobs is None:
        raise ToolError(backends.notice or "There is no job store: set UCAM_FAAS_JOB_STORE.")
    return backends.jobs


def _document(row: Row, *, hidden: bool, whole: bool) -> dict[str, Any]:
    """Return a job; where values are hidden, without texts that the task wrote."""
    document = as_json(row, traceback=whole and not hidden)
    if not whole:
        del document["history"]
    if hidden:
        document["progress"] = None
        if document["error"]:
            document["error"]["message"] = "(hidden)"
        for entry in document.get("history", []):
            entry["message"] = "(hidden)" if entry["message"] else ""
    return {name: value for name, value in document.items() if value not in (None, "")}


def _data(read: Any, row: Row, *, hidden: bool) -> Any:
    try:
        return payload(read(row) or b"", hidden=hidden)
    except (PayloadMissingError, JobStoreError) as error:
        return {"problem": str(error)}
