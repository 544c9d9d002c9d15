"""Rules of the options of jobs, and of those that are sent: stores, receivers and queues."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from ucam_faas.deploy.checks.inputs import Inputs, configured, decorated
from ucam_faas.deploy.checks.rule import rule
from ucam_faas.deploy.findings import Finding
from ucam_faas.deploy.job_places import QUEUE, STORE
from ucam_faas.deploy.jobs import store_of
from ucam_faas.deploy.sent_jobs import sent_by
from ucam_faas.tasks.topics import receivers_of

_KEPT = "message_retention_seconds"


@rule(
    "job-store-missing",
    why="With id=, idempotent=True, limit= or jobs over HTTP the container ends when it starts; "
    "with the others, sending fails.",
)
def store_missing(inputs: Inputs) -> Iterator[Finding]:
    """A task with an option that only a job store can keep, and no store."""
    for planned in inputs.planned:
        policy = planned.task.jobs
        options = {
            "idempotent=": policy.idempotent,
            "id=": policy.id is not None,
            "unique=": policy.unique is not None,
            "max_pending=": policy.max_pending is not None,
            "limit=": policy.limit is not None,
            "jobs over HTTP": planned.task.serves_jobs,
        }
        names = [name for name, is_set in options.items() if is_set]
        is_served = planned.gets_messages or planned.task.serves_jobs
        if names and is_served and store_of(planned.merged) is None:
            yield Finding(
                decorated(planned.task),
                f"The task {planned.name!r} has {' and '.join(names)}, and no job store.",
                f"Name one for all tasks: environment = {{ {STORE} = "
                '"firestore:PROJECT/DATABASE" } '
                "in the configuration; PostgreSQL's address, with its password, in secrets.",
                planned.name,
            )


@rule("jobs-forgotten-early", why="A message that is delivered again after that runs again.")
def forgotten_early(inputs: Inputs) -> Iterator[Finding]:
    """A task whose messages are jobs, and which keeps jobs for less time than messages."""
    for planned in inputs.receivers:
        kept, policy = timedelta(seconds=planned.merged[_KEPT]), planned.task.jobs
        if policy.adopts and policy.kept < kept:
            yield Finding(
                configured(planned, _KEPT),
                f"The task {planned.name!r} keeps an ended job for {policy.kept.days} days, and "
                f"Pub/Sub a message for {kept.days}.",
                f"Write retention=timedelta(days={kept.days + 1}) on the decorator, or lower "
                f"{_KEPT}.",
                planned.name,
            )


@rule("receiver-missing", why="`terraform apply` fails, or the job is never run.")
def receiver_missing(inputs: Inputs) -> Iterator[Finding]:
    """A task in `sends=` that isn't in the plan, or that gets no messages."""
    receivers = {planned.name for planned in inputs.receivers}
    for planned in inputs.planned:
        for name in receivers_of(planned.task.sends):
            if name not in receivers:
                yield Finding(
                    decorated(planned.task),
                    f"The task {planned.name!r} sends to {name!r}, and no task of that name gets "
                    "messages here.",
                    "Correct the name. If another deployment to the same project has the task, "
                    f'grant the permission there, or ignore = ["receiver-missing:{name}"].',
                    planned.name,
                    name=name,
                )


@rule(
    "send-not-stated",
    why="Pub/Sub refuses the wake: the job starts up to a minute late, and without a store, "
    "sending fails.",
)
def send_not_stated(inputs: Inputs) -> Iterator[Finding]:
    """A task whose function sends jobs to a task that its `sends=` doesn't have."""
    for planned in inputs.planned:
        own = [planned.name] if store_of(planned.merged) else []
        stated = {*own, *receivers_of(planned.task.sends)}
        for sent in sent_by(planned.task):
            if sent.receiver not in stated:
                yield Finding(
                    sent.place,
                    f"The task {planned.name!r} sends jobs to {sent.receiver!r}, and its sends= "
                    "lacks it.",
                    f'Write sends=["{sent.receiver}"] on the decorator: then the plan grants it.',
                    planned.name,
                    name=sent.receiver,
                )


@rule("callback-not-stated", why="Pub/Sub refuses the wake: the callback starts a minute late.")
def callback_not_stated(inputs: Inputs) -> Iterator[Finding]:
    """A task whose jobs are sent with `then=`, and whose `sends=` doesn't have the callback."""
    by_name = {planned.name: planned for planned in inputs.planned}
    for sender in inputs.planned:
        for sent in sent_by(sender.task):
            member = by_name.get(sent.receiver)
            if member is None or sent.then in (None, member.name):
                continue
            if sent.then not in receivers_of(member.task.sends):
                yield Finding(
                    decorated(member.task),
                    f"The task {sender.name!r} sends a batch of {member.name!r}, whose last job "
                    f"wakes the callback {sent.then!r}; the sends= of {member.name!r} lacks it.",
                    f'Write sends=["{sent.then}"] on the decorator: then the plan grants it.',
                    member.name,
                    name=sent.then,
                )


@rule("delay-without-queue", why="Only the sweep wakes the job, up to a minute late.")
def delay_without_queue(inputs: Inputs) -> Iterator[Finding]:
    """A task whose function sends jobs with `delay=` or `at=`, and no queue of Cloud Tasks."""
    for planned in inputs.planned:
        if store_of(planned.merged) is None or QUEUE in planned.merged["environment"]:
            continue
        for sent in sent_by(planned.task):
            if sent.is_delayed:
                yield Finding(
                    sent.place,
                    f"The task {planned.name!r} sends jobs with a delay, and {QUEUE} isn't set.",
                    f"Set {QUEUE} for all tasks. If a minute doesn't matter, ignore = "
                    '["delay-without-queue"].',
                    planned.name,
                )


@rule("delay-too-long", why="The bucket deletes a large payload before the job starts.")
def delay_too_long(inputs: Inputs) -> Iterator[Finding]:
    """A task whose function sends jobs with a longer delay than `longest_delay_days`."""
    for planned in inputs.planned:
        days = planned.merged["longest_delay_days"]
        for sent in sent_by(planned.task) if planned.jobs.payloads else ():
            if sent.delay is not None and sent.delay > timedelta(days=days):
                yield Finding(
                    sent.place,
                    f"The task {planned.name!r} sends jobs with a delay of "
                    f"{sent.delay / timedelta(days=1):g} days, and longest_delay_days is {days}.",
                    "Raise longest_delay_days, or shorten the delay.",
                    planned.name,
                )


RULES = (
    *(store_missing, forgotten_early, receiver_missing),
    *(send_not_stated, callback_not_stated, delay_without_queue, delay_too_long),
)
