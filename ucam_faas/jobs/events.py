"""The events of jobs that have ended: a row in, a CloudEvent as a Pub/Sub message out.

An event says which job ended, and how. It has nothing of the payload or the result, nor the text of
an error, which may be personal data: `get_job(event.task, event.id)` has these. Its attributes,
which filters see, don't even have the job's id, which may be made of the payload.

Source: "Google Cloud Pub/Sub Protocol Binding for CloudEvents", binary content mode.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from urllib.parse import quote

from pydantic import BaseModel

from ucam_faas.jobs.rows import Row
from ucam_faas.jobs.states import State
from ucam_faas.publishing import Draft


class JobEvent(BaseModel):
    """The end of a job, as a task gets it that reads the events topic.

    Args:
        app: the application whose job it is.
        task: the name of the job's task.
        id: of the job.
        state: in which it ended: FAILURE, EXPIRED or SUCCESS.
        cause: of the end, as in the job's history: `failed`, `crashed`, `expired`, `finished`, ….
        attempts: that failed.
        error: the type of the last error, such as `ValueError`; None: there was none.
        ended: when it ended, by the store's clock.
    """

    app: str
    task: str
    id: str
    state: State
    cause: str
    attempts: int
    error: str | None = None
    ended: datetime

    @property
    def type(self) -> str:
        """The CloudEvent's type: `core.task.NAME.failure.v1`, or `….success.v1`."""
        end = "success" if self.state is State.SUCCESS else "failure"
        return f"core.task.{self.task}.{end}.v1"


def event_of(row: Row) -> JobEvent:
    """Return the event of a job that has ended."""
    end = row.history[-1]
    return JobEvent(
        **row.key._asdict(),
        state=row.state,
        cause=end.cause,
        attempts=row.attempts,
        error=None if row.error is None or row.state is State.SUCCESS else row.error["type"],
        ended=datetime.fromtimestamp(end.time, UTC),
    )


def message_of(row: Row) -> Draft:
    """Return the message of a job's event: the same each time, with the same id."""
    event = event_of(row)
    app = quote(event.app, safe="")
    attributes = {
        "ce-specversion": "1.0",
        "ce-id": _id(row),
        "ce-source": f"/ucam-faas/apps/{app}/tasks/{event.task}",
        "ce-type": event.type,
        "ce-time": event.ended.isoformat(),
        "Content-Type": "application/json",
        "app": event.app,
        "task": event.task,
        "state": event.state.value,
        "cause": event.cause,
    }
    return Draft(event.model_dump_json().encode(), attributes)


def _id(row: Row) -> str:
    """Return an id that only this end of this job has: a job that is retried ends again."""
    end = row.history[-1]
    text = json.dumps([*row.key, row.fence, float(end.time), row.state])  # SQLite may say 5 for 5.0
    return hashlib.sha256(text.encode()).hexdigest()[:32]
