"""Rules of deletions: messages that an apply would lose, from Terraform's plan or two plans."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ucam_faas.deploy.checks import advice
from ucam_faas.deploy.checks.advice import Fix
from ucam_faas.deploy.checks.changes import KINDS_OF_TASKS, Change, Kind
from ucam_faas.deploy.checks.inputs import Inputs, configured, decorated
from ucam_faas.deploy.checks.rule import rule
from ucam_faas.deploy.findings import Finding, Place

_SHOWN = 3
GRANT_SECONDS = 15 * 60
"""How long a grant may take to work, with a margin. Google's page "Access change propagation" says
typically 2 minutes, and 7 or more."""


@rule(
    "subscription-deleted",
    why="Its unhandled messages are lost, and so are those published until there is another.",
)
def subscription_deleted(inputs: Inputs) -> Iterator[Finding]:
    """A subscription that `terraform apply` would delete or replace."""
    for change in _of(inputs, "subscription", "archive"):
        yield _finding(inputs, change, advice.for_subscription(inputs, change))


@rule(
    "prefix-changed",
    why="Google can't rename: all messages and dead letters in the old ones are lost, and "
    "publishers to the old topics are refused.",
)
def prefix_changed(inputs: Inputs) -> Iterator[Finding]:
    """A deployed stage whose `name_prefix` changes."""
    if inputs.last is None or not inputs.planned:
        return
    new = inputs.planned[0]
    before = {task.get("name_prefix", "") for task in inputs.last.tasks.values()}
    deleted = [change for change in inputs.changes if not change.replaced]
    if before and new.naming.prefix not in before and deleted:
        names = ", ".join(change.name for change in deleted[:_SHOWN])
        more = f" and {len(deleted) - _SHOWN} more" if len(deleted) > _SHOWN else ""
        yield Finding(
            configured(new, "name_prefix"),
            f"The last plan has the name_prefix {min(before)!r}, and this one has "
            f"{new.naming.prefix!r}: `terraform apply` would delete {names}{more}, and make them "
            "under other names.",
            "Keep the prefix; or deploy a further stage with the new one, move the publishers to "
            "it, and remove the old stage when its subscriptions are empty.",
            name=new.naming.prefix or "none",
        )


@rule("dead-letters-deleted", why="The dead letters in it are lost.")
def dead_letters_deleted(inputs: Inputs) -> Iterator[Finding]:
    """A subscription with dead letters that `terraform apply` would delete or replace."""
    for change in _of(inputs, "dead letters"):
        yield _finding(inputs, change, advice.for_dead_letters(inputs, change))


@rule(
    "topic-deleted",
    why="Publishing to it fails, and its other subscriptions never get another message.",
)
def topic_deleted(inputs: Inputs) -> Iterator[Finding]:
    """A topic that `terraform apply` would delete or replace.

    Not a dead-letter topic whose subscription is deleted with it: that is a finding already.
    """
    emptied = {change.topic for change in _of(inputs, "dead letters")}
    for change in _of(inputs, "topic"):
        if change.name not in emptied:
            yield _finding(inputs, change, advice.for_topic(inputs, change))


@rule(
    "protected-deleted",
    why="Terraform refuses it only after it has deleted grants and schedules: pushes fail from "
    "then on.",
)
def protected_deleted(inputs: Inputs) -> Iterator[Finding]:
    """A protected service, worker pool or Cloud Run job that `terraform apply` would delete."""
    for change in _of(inputs, *KINDS_OF_TASKS.values()):
        if change.protected:
            yield _finding(inputs, change, advice.for_protected(inputs, change))


@rule(
    "tainted",
    why="Each apply tries to delete it first, with all that is lost then, or is refused.",
)
def tainted(inputs: Inputs) -> Iterator[Finding]:
    """A resource that `terraform apply` would replace, because an earlier one didn't finish it."""
    for change in inputs.changes:
        if change.tainted:
            because = ": it exists, and the apply that made it failed (tainted)"
            yield _finding(inputs, change, advice.for_tainted(inputs, change), because)


@rule(
    "push-grant-deleted",
    why="A new grant takes 2 to 7 minutes to work, or longer. Until then each push is answered "
    "403, and messages become dead letters.",
)
def push_grant_deleted(inputs: Inputs) -> Iterator[Finding]:
    """A grant for pushes that `terraform apply` would delete, and retries that don't last."""
    refused = {
        change.name
        for change in inputs.changes
        if change.kind in KINDS_OF_TASKS.values() and (change.protected or change.tainted)
    }
    for change in _of(inputs, "push grant"):
        seconds = change.retries.seconds() if change.retries else math.inf
        if seconds < GRANT_SECONDS and change.name not in refused:
            because = f". The retries of a message are used up after {seconds:g} s"
            fix = advice.for_push_grant(inputs, change, GRANT_SECONDS)
            yield _finding(inputs, change, fix, because)


@rule(
    "job-store-left",
    why="Jobs that wait in it never run, and no task reads the results and payloads in it.",
)
def store_left(inputs: Inputs) -> Iterator[Finding]:
    """A store of jobs, or of their large payloads, that no task uses after `terraform apply`."""
    for change in _of(inputs, "job store", "payload store"):
        fix = advice.for_store(change)
        yield Finding(
            change.place,
            f"After `terraform apply`, no task uses the {change.kind} of {change.name}.",
            fix.text,
            name=change.name,
            commands=fix.commands,
        )


RULES = (
    prefix_changed,
    subscription_deleted,
    dead_letters_deleted,
    topic_deleted,
    protected_deleted,
    tainted,
    push_grant_deleted,
    store_left,
)

_THINGS: dict[Kind, str] = {
    "dead letters": "subscription",
    "archive": "subscription",
    "push grant": "right of Pub/Sub to call the service",
}


def _of(inputs: Inputs, *kinds: Kind) -> Iterator[Change]:
    """Yield the changes of these kinds, without the tainted: `untaint` undoes those."""
    return (change for change in inputs.changes if change.kind in kinds and not change.tainted)


def _finding(inputs: Inputs, change: Change, fix: Fix, because: str | None = None) -> Finding:
    verb = "replace" if change.replaced else "delete"
    thing = _THINGS.get(change.kind, change.kind)
    reason = _because(change) if because is None else because
    return Finding(
        _place(inputs, change),
        f"`terraform apply` would {verb} the {thing} {change.name!r}{reason}.",
        fix.text,
        task=change.owner if inputs.planned_task(change.owner) else None,
        name=change.name,
        commands=fix.commands,
    )


def _because(change: Change) -> str:
    if change.moves_to:
        return ", and make it again at another address"
    causes = " and ".join(change.causes)
    return f": its {causes} change{'s' * (len(change.causes) == 1)}" if causes else ""


def _place(inputs: Inputs, change: Change) -> Place:
    """Return the place of the cause; of a task that is gone, the change's."""
    planned = inputs.planned_task(change.owner)
    if planned is None:
        return change.place
    for key in ("project", "region"):
        if key in change.causes:
            return configured(planned, key)
    return decorated(planned.task)
