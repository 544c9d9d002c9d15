"""The places that a task's jobs need in the cloud: the database, the delay queue, and the bucket.

They come from the task's environment, and Terraform grants the task's account its roles on them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from ucam_faas.deploy.layers import Merged
from ucam_faas.exceptions import TaskDefinitionError
from ucam_faas.jobs.stores.firestore.connect import DEFAULT
from ucam_faas.tasks.policies import MAX_ATTEMPTS, wait_seconds
from ucam_faas.tasks.task import Task

STORE, PAYLOADS = "UCAM_FAAS_JOB_STORE", "UCAM_FAAS_PAYLOADS"
QUEUE, QUEUE_ACCOUNT = "UCAM_FAAS_DELAY_QUEUE", "UCAM_FAAS_DELAY_ACCOUNT"
_BUCKET = "gs://"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """The bucket of large payloads and results.

    Args:
        days: the longest that the task's jobs need an object; after that it is an orphan.
    """

    name: str
    days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPlaces:
    """The places of a task's jobs; None: it needs none.

    Args:
        firestore: the full name of the database. A store in PostgreSQL exists already.
        queue: the full name of the queue of Cloud Tasks.
        account: the one as which the queue publishes wakes; None: the task's own.
        inboxes: the topics to which the queue publishes the task's wakes.
        existing: the names of those that the deployment uses, and never makes.
    """

    firestore: str | None = None
    queue: str | None = None
    account: str | None = None
    inboxes: Sequence[str] = ()
    payloads: Bucket | None = None
    existing: Sequence[str] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the places as the Terraform module for a collection takes them."""
        places: dict[str, Any] = {"firestore": self.firestore, "queue": self.queue}
        if self.account is not None:
            places |= {"account": self.account, "inboxes": list(self.inboxes)}
        if self.payloads is not None:
            places["payloads"] = {"bucket": self.payloads.name, "days": self.payloads.days}
        if self.existing:
            places["existing"] = list(self.existing)
        return {place: value for place, value in places.items() if value is not None}


def places_of(task: Task, merged: Merged, waits_for: Sequence[str]) -> JobPlaces:
    """Return the places of a task's jobs.

    Args:
        waits_for: the inboxes to which it may send jobs that wait; empty: it needs no queue.

    Raises:
        TaskDefinitionError: the task's `backoff=` fails.
    """
    environment: Mapping[str, str] = merged["environment"]
    database = _database(environment.get(STORE, ""))
    queue = (environment.get(QUEUE) if waits_for else None) or None
    account = environment.get(QUEUE_ACCOUNT) if queue else None
    payloads = _bucket(task, merged, environment.get(PAYLOADS, ""))
    names = {STORE: database, QUEUE: queue, PAYLOADS: payloads and payloads.name}
    return JobPlaces(
        firestore=database,
        queue=queue,
        account=account,
        inboxes=waits_for if account else (),
        payloads=payloads,
        existing=[
            name
            for variable, name in names.items()
            if name and environment[variable] in merged["existing_job_places"]
        ],
    )


def _database(store: str) -> str | None:
    kind, _, name = store.partition(":")
    if kind != "firestore":
        return None
    project, _, database = name.partition("/")
    return f"projects/{project}/databases/{database or DEFAULT}"


def _bucket(task: Task, merged: Merged, place: str) -> Bucket | None:
    if not place.startswith(_BUCKET):
        return None
    lives = timedelta(days=merged["longest_delay_days"]) + _attempts(task) + task.jobs.kept
    return Bucket(name=place.removeprefix(_BUCKET), days=math.ceil(lives / timedelta(days=1)))


def _attempts(task: Task) -> timedelta:
    """Return the longest time from the first start of a job to its end.

    Attempts without a limit count as Pub/Sub's most.
    """
    retry = task.policy.retry
    attempts = retry.max_attempts or MAX_ATTEMPTS
    try:
        waits = sum(wait_seconds(retry, failures) for failures in range(1, attempts))
    except Exception as error:  # the function is the user's
        raise TaskDefinitionError(
            f"The task {task.name!r} has a backoff= that fails: {error!r}."
        ) from error
    return timedelta(seconds=waits + attempts * task.policy.served_timeout_seconds)
