"""Advice against a deletion: how to avoid it, how to drain it first, and how to allow it."""

from __future__ import annotations

import os
import shlex
from typing import NamedTuple

from ucam_faas.deploy.checks.changes import Change
from ucam_faas.deploy.checks.inputs import Inputs
from ucam_faas.deploy.problems import where_for_all
from ucam_faas.deploy.terraform_variables import PlannedTask

_EMPTY = "has no messages left (num_undelivered_messages is 0 in Cloud Monitoring)"


class Fix(NamedTuple):
    """Advice, and commands to copy."""

    text: str
    commands: tuple[str, ...] = ()


def for_subscription(inputs: Inputs, change: Change) -> Fix:
    """Return the advice for a subscription with a backlog."""
    elsewhere = _moved(inputs, change) or _to_other_project(change)
    if elsewhere:
        return elsewhere
    if change.replaced and "topic" not in change.causes:
        return _snapshot(change)
    if change.kind == "archive":
        return Fix(
            "It may hold dead letters that aren't in the bucket yet. Allow the deletion when it "
            f"{_EMPTY}: {_allow(change)}."
        )
    if "topic" in change.causes:
        return Fix(f"Make a second task for the other topic. Remove this one when it {_EMPTY}.")
    planned = inputs.planned_task(change.owner)
    if planned and planned.is_cloud_run_job:
        return Fix(f"Make the Cloud Run job a second task. Remove this one when it {_EMPTY}.")
    drain = f"top its publishers, wait until it {_EMPTY}, and allow the deletion: {_allow(change)}."
    if planned or change.owner is None:
        return Fix(f"S{drain}")
    return Fix(f"{_renamed(change)} Otherwise s{drain}")


def for_dead_letters(inputs: Inputs, change: Change) -> Fix:
    """Return the advice for a subscription that keeps dead letters."""
    elsewhere = _moved(inputs, change) or _to_other_project(change)
    if elsewhere:
        return elsewhere
    if _exists_elsewhere(inputs, change.topic):
        forget, allowed = _forget(inputs, change)
        return Fix(f"Its topic is in existing_topics: {forget.text}.{allowed}", forget.commands)
    pull = f"gcloud pubsub subscriptions pull {change.name}{_project(change)}"
    topic = inputs.plan.topics.get(str(change.topic)) if inputs.plan else None
    successor = topic and topic.dead_letter_subscription
    if successor and successor != change.name:  # of an earlier version: no setting keeps it
        before = f"This version keeps the messages of {change.topic!r} in {successor!r}. Read"
    else:
        kept = f'kept_topics = ["{change.topic}"] {where_for_all(inputs.config)}'
        before = f"Keep it: {kept}. Or read"
    return Fix(
        f"{before} the dead letters, as below, and then allow the deletion: {_allow(change)}.",
        (f"{pull} --limit=100 --format=json",),
    )


def for_topic(inputs: Inputs, change: Change) -> Fix:
    """Return the advice for a topic."""
    elsewhere = _moved(inputs, change) or _to_other_project(change)
    if elsewhere:
        return elsewhere
    (forget, commands), allowed = _forget(inputs, change)
    if _exists_elsewhere(inputs, change.name):
        return Fix(f"It is in existing_topics: {forget}.{allowed}", commands)
    users = [planned.name for planned in inputs.planned if _names_in_full(planned, change.name)]
    if users:
        return Fix(
            f"The task {users[0]!r} names it in full, as a topic of others. Write "
            f'topic="{change.name}" to keep it here. Or leave it to others: {forget}.{allowed}',
            commands,
        )
    return Fix(
        f'Keep it: kept_topics = ["{change.name}"] {where_for_all(inputs.config)}. Or leave it to '
        f'others: existing_topics = ["{change.name}"], and {forget}. Or allow the deletion, when '
        f"nothing publishes to it: {_allow(change)}.",
        commands,
    )


def for_protected(inputs: Inputs, change: Change) -> Fix:
    """Return the advice for a protected service, worker pool or Cloud Run job."""
    elsewhere = _moved(inputs, change) or _to_other_project(change)
    if elsewhere:
        return elsewhere
    off = f"eploy it once with [task.{change.owner}] deletion_protection = false, and then"
    if change.causes:
        return Fix(f"D{off} change its {' and '.join(change.causes)}.")
    if inputs.planned_task(change.owner):
        return Fix(f"D{off} change it.")
    return Fix(f"{_renamed(change)} Otherwise d{off} remove it.")


def for_tainted(inputs: Inputs, change: Change) -> Fix:
    """Return the advice for a resource that an earlier apply didn't finish."""
    return Fix(
        "Let Terraform keep it, and correct the cause in place. Then plan again.",
        (_terraform(inputs, "untaint", change.address),),
    )


def for_push_grant(inputs: Inputs, change: Change, seconds: float) -> Fix:
    """Return the advice for a grant that pushes need.

    Args:
        seconds: how long retries have to last.
    """
    retries = change.retries
    assert retries is not None, "a grant without retries isn't a finding"
    attempts = retries.attempts_for(seconds)
    planned = inputs.planned_task(change.owner)
    letters = planned.dead_letters if planned else None
    in_code = letters is not None and retries.seconds(letters.max_attempts) < seconds
    code = f" Write retry=RetryPolicy(max_attempts={attempts}) in the code, too." if in_code else ""
    # The last plan doesn't know the command's effect; Terraform's does.
    then = (
        ", and plan with Terraform again. Or allow it, in a quiet hour"
        if change.address
        else ", and then allow this"
    )
    update = f"gcloud pubsub subscriptions update {retries.subscription}{_project(change)}"
    return Fix(
        f"Let Pub/Sub retry for longer before the apply, with the command below{then}: "
        f"{_allow(change)}.{code}",
        (
            f"{update} --dead-letter-topic={retries.dead_letter_topic} "
            f"--max-delivery-attempts={attempts}",
        ),
    )


def for_store(change: Change) -> Fix:
    """Return the advice for a store of jobs that no task uses any more."""
    return Fix(
        "Let its jobs end first, until the command below lists none; docs/operations.md has a "
        f'recipe, "Move to another job store". Then allow this: {_ignore(change)}.',
        ("ucam-faas jobs list --state pending --state started --state paused",),
    )


def _ignore(change: Change) -> str:
    return f'ignore = ["{change.rule}:{change.name}"]'


def _allow(change: Change) -> str:
    off = ". It is protected: before that, deploy it once with deletion_protection = false"
    return f"{_ignore(change)}{off if change.protected else ''}"


def _project(change: Change) -> str:
    return f" --project={change.project}" if change.project else ""


def _renamed(change: Change) -> str:
    return f'If the task was renamed, keep its name in the cloud: name="{change.owner}".'


def _terraform(inputs: Inputs, verb: str, address: str) -> str:
    folder = os.path.relpath(inputs.terraform.directory) if inputs.terraform else "."
    chdir = "" if folder == "." else f" -chdir={shlex.quote(folder)}"
    return f"terraform{chdir} {verb} {shlex.quote(address)}"


def _forget(inputs: Inputs, change: Change) -> tuple[Fix, str]:
    """Return how Terraform forgets a resource, and what to do next without Terraform's plan."""
    if change.address:
        command = _terraform(inputs, "state rm", change.address)
        return Fix("take it out of Terraform's state with the command below", (command,)), ""
    text = "take it out of Terraform's state with the command of `ucam-faas check --terraform`"
    return Fix(text), f" Then allow this: {_ignore(change)}."


def _exists_elsewhere(inputs: Inputs, topic: str | None) -> bool:
    return any(topic in planned.merged["existing_topics"] for planned in inputs.planned)


def _moved(inputs: Inputs, change: Change) -> Fix | None:
    """Return the advice for a resource that only has another address."""
    if not change.moves_to or inputs.terraform is None:
        return None
    return Fix(
        "Let Terraform move it: this command, with your other options, writes moved.tf.",
        (f"ucam-faas plan --terraform {shlex.quote(inputs.terraform.name)}",),
    )


def _to_other_project(change: Change) -> Fix | None:
    """Return the advice for a part of a deployment that moves to another project."""
    if "project" not in change.causes:
        return None
    return Fix(
        "Deploy to the other project from a Terraform state of its own, beside this one. Destroy "
        "this one when its subscriptions have no messages left."
    )


def _snapshot(change: Change) -> Fix:
    """Return how a subscription's messages go to the one that replaces it."""
    snapshot, project = f"{change.name}-backlog", _project(change)
    return Fix(
        "Keep its messages in a snapshot, which also gets those that are published meanwhile: the "
        "first command before the apply, the second after it. For that apply, allow it: "
        f"{_allow(change)}.",
        (
            f"gcloud pubsub snapshots create {snapshot}{project} --subscription={change.name}",
            f"gcloud pubsub subscriptions seek {change.name}{project} --snapshot={snapshot}",
        ),
    )


def _names_in_full(planned: PlannedTask, topic: str) -> bool:
    named = (planned.needs.topic, planned.needs.dead_letter_topic)
    return any(name is not None and name.endswith(f"/topics/{topic}") for name in named)
