"""Rules of the places of jobs: stores that the tasks and the sweep share, and the delay queue."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ucam_faas.deploy.checks.inputs import Inputs, configured
from ucam_faas.deploy.checks.rule import rule
from ucam_faas.deploy.checks.terraform.resources import Resource
from ucam_faas.deploy.findings import Finding, Place
from ucam_faas.deploy.job_places import PAYLOADS, QUEUE, QUEUE_ACCOUNT, STORE
from ucam_faas.deploy.jobs import EVENTS, is_sweep, store_of
from ucam_faas.deploy.terraform_variables import PlannedTask
from ucam_faas.jobs.stores.firestore.connect import NAME

_FORMS = {
    STORE: (
        re.compile(f"memory|sqlite:.+|postgres(ql)?://.*|firestore:{NAME.pattern}"),
        "postgresql://…, firestore:PROJECT or firestore:PROJECT/DATABASE",
    ),
    PAYLOADS: (re.compile("gs://[^/]+|file:.+"), "gs://BUCKET"),
}
_LOCAL = re.compile("memory|(sqlite|file):.*")
_ACCOUNT = re.compile(r"[^@]+@([^.]+)\.iam\.gserviceaccount\.com")


@rule("job-store-local", why="Each instance has jobs of its own, and loses them when it ends.")
def store_local(inputs: Inputs) -> Iterator[Finding]:
    """A store of jobs or of large payloads in a file or in memory."""
    for planned in inputs.planned:
        for variable, better in (
            (STORE, "Use PostgreSQL or Firestore; see docs/stores.md."),
            (PAYLOADS, "Use a bucket, gs://BUCKET; see docs/stores.md."),
        ):
            value = planned.merged["environment"].get(variable, "")
            if _LOCAL.fullmatch(value):
                yield Finding(
                    _place_of(planned, variable),
                    f"{variable} is {value}, which the instances of Cloud Run don't share.",
                    better,
                    planned.name,
                )


@rule("job-store-unknown", why="Sending fails, and no job runs.")
def store_unknown(inputs: Inputs) -> Iterator[Finding]:
    """A store of jobs or of large payloads of a form that isn't known."""
    for planned in inputs.planned:
        for variable, (form, expected) in _FORMS.items():
            value = planned.merged["environment"].get(variable)
            if value is not None and not form.fullmatch(value):
                yield Finding(
                    _place_of(planned, variable),
                    f"{variable} is {value!r}; expected {expected}.",
                    "Correct the value; see docs/stores.md.",
                    planned.name,
                )


@rule(
    "jobs-not-swept",
    why="Delayed jobs don't start, those of lost processes wait, and ended ones are never removed.",
)
def not_swept(inputs: Inputs) -> Iterator[Finding]:
    """A task with another job store than the one that is set for all tasks."""
    swept = next((store_of(own.merged) for own in inputs.planned if is_sweep(own.task)), None)
    for planned in inputs.planned:
        store = store_of(planned.merged)
        if store not in (None, swept):
            yield Finding(
                _place_of(planned, STORE),
                f"The job store of the task {planned.name!r} isn't the one of all tasks, and so "
                "isn't swept.",
                f"Set {STORE} for all tasks, and not for one.",
                planned.name,
            )


@rule(
    "sweep-differs",
    why="The sweep drops the events that it should publish, and can't remove large payloads.",
)
def sweep_differs(inputs: Inputs) -> Iterator[Finding]:
    """A task with another events topic, or another bucket of payloads, than the sweep."""
    sweep = next((own for own in inputs.planned if is_sweep(own.task)), None)
    if sweep is None:
        return
    for planned in inputs.planned:
        for variable in (EVENTS, PAYLOADS) if planned.gets_messages else (PAYLOADS,):
            value, of_sweep = _value(planned, variable), _value(sweep, variable)
            if value != of_sweep and store_of(planned.merged):
                yield Finding(
                    _place_of(planned, variable),
                    f"{variable} of the task {planned.name!r} is {value}, and of the sweep "
                    f"{of_sweep}.",
                    f"Set {variable} for all tasks, and not for one.",
                    planned.name,
                )


@rule(
    "queue-account-elsewhere",
    why="Cloud Tasks refuses each wake, and jobs start up to a minute late.",
)
def account_elsewhere(inputs: Inputs) -> Iterator[Finding]:
    """A queue of delays in another project than the account as which it publishes wakes."""
    for planned in inputs.planned:
        queue, account = planned.jobs.queue, planned.jobs.account
        if queue is None:
            continue
        account = account or planned.merged["service_account"]
        match = _ACCOUNT.fullmatch(account or "")
        made_in = inputs.plan.project if inputs.plan and account is None else None
        project = match[1] if match else made_in
        there = queue.split("/")[1]
        if project not in (None, there):
            yield Finding(
                _place_of(planned, QUEUE),
                f"The queue {queue} publishes the wakes of the task {planned.name!r} as "
                f"{account or 'its own account'}, of the project {project}.",
                f"Use a queue of that project, or name an account of {there} in {QUEUE_ACCOUNT}.",
                planned.name,
            )


@rule(
    "payloads-deleted-early",
    why="A job whose payload is gone ends as FAILURE, and a result is lost.",
)
def deleted_early(inputs: Inputs) -> Iterator[Finding]:
    """A bucket in Terraform that deletes payloads that jobs may still need."""
    buckets = inputs.terraform.of("google_storage_bucket") if inputs.terraform else ()
    by_name = {bucket.get("name"): bucket for bucket in buckets}
    for planned in inputs.planned:
        needed = planned.jobs.payloads
        bucket = by_name.get(needed.name) if needed else None
        if needed is None or bucket is None:
            continue
        days = min(_ages(bucket), default=None)
        if days is not None and days < needed.days:
            yield Finding(
                bucket.place,
                f"{bucket.address} deletes objects after {days} days, and the jobs of the task "
                f"{planned.name!r} need them for {needed.days}: the longest delay, all attempts "
                "and the retention.",
                f"Let it delete objects after {needed.days} days, or lower longest_delay_days.",
                planned.name,
            )


def _ages(bucket: Resource) -> Iterator[int]:
    """Yield the ages at which a bucket deletes objects, whatever their names are."""
    for known in bucket.values.get("lifecycle_rule") or ():
        conditions: list[dict[str, Any]] = known.get("condition") or [{}]
        is_deletion = [action["type"] for action in known.get("action") or ()] == ["Delete"]
        only_some = ("matches_prefix", "matches_suffix", "num_newer_versions")
        age = conditions[0].get("age")
        if is_deletion and isinstance(age, int) and not any(map(conditions[0].get, only_some)):
            yield age


def _value(planned: PlannedTask, variable: str) -> str:
    value = {**planned.merged["environment"], **planned.merged["secrets"]}.get(variable)
    return "not set" if value is None else str(value)


def _place_of(planned: PlannedTask, variable: str) -> Place:
    option = "environment" if variable in planned.merged["environment"] else "secrets"
    return configured(planned, option, variable)


RULES = (
    *(store_local, store_unknown, not_swept, sweep_differs),
    *(account_elsewhere, deleted_early),
)
