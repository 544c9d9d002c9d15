"""Rules of deletions: what an apply would lose, how to avoid it, and how to drain it first."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from dataclasses import replace

from ucam_faas.deploy.checks.changes import Change, Kind
from ucam_faas.deploy.checks.inputs import Inputs, configured, decorated
from ucam_faas.deploy.checks.rule import rule
from ucam_faas.deploy.findings import Finding, Place
from ucam_faas.deploy.problems import where_for_all
from ucam_faas.deploy.terraform_variables import PlannedTask

GRANT_SECONDS = 15 * 60
"""How long a grant may take to work, with a margin. Google's page "Access change propagation" says
typically 2 minutes, and 7 or more."""
_ELSEWHERE = (
    "Deploy to the other project from a Terraform state of its own, beside this one. Destroy this "
    "one when its subscriptions have no messages left."
)


@rule(
    "subscription-deleted",
    why="Its unhandled messages are lost, and so are those published until there is another.",
)
def subscription_deleted(inputs: Inputs) -> Iterator[Finding]:
    """A subscription that `terraform apply` would delete or replace."""
    for change in _of(inputs, "subscription", "archive"):
        yield _finding(inputs, change, *_subscription_fix(inputs, change))


@rule("dead-letters-deleted", why="The dead letters in it are lost.")
def dead_letters_deleted(inputs: Inputs) -> Iterator[Finding]:
    """A subscription with dead letters that `terraform apply` would delete or replace."""
    for change in _of(inputs, "dead letters"):
        fix = (
            f'Keep it: kept_topics = ["{change.topic}"] {where_for_all(inputs.config)}. Or read '
            f"the dead letters, as below, and then allow the deletion: {_allow(change)}."
        )
        pull = f"gcloud pubsub subscriptions pull {change.name}{_project(change)}"
        commands = (f"{pull} --limit=100 --format=json",)
        yield _finding(inputs, change, *(_elsewhere(inputs, change) or (fix, commands)))


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
            yield _finding(inputs, change, *_topic_fix(inputs, change))


@rule(
    "protected-deleted",
    why="Terraform refuses it only after it has deleted grants and schedules: pushes fail from "
    "then on.",
)
def protected_deleted(inputs: Inputs) -> Iterator[Finding]:
    """A protected service or job that `terraform apply` would delete or replace."""
    for change in _of(inputs, "service", "job"):
        if change.protected:
            off = f"[task.{change.owner}] deletion_protection = false"
            moves = change.replaced or change.owner in _names(inputs)
            fix = f"Deploy it once with {off}, and then " + (
                "change it." if moves else "remove it."
            )
            if not moves:
                fix = f"{_renamed(change)} Otherwise d{fix[1:]}"
            yield _finding(inputs, change, *(_moved(inputs, change) or (fix, ())))


@rule(
    "tainted",
    why="Each apply tries to delete it first, with all that is lost then, or is refused.",
)
def tainted(inputs: Inputs) -> Iterator[Finding]:
    """A resource that `terraform apply` would replace, because an earlier one didn't finish it."""
    for change in inputs.changes:
        if change.tainted:
            finding = _finding(
                inputs,
                change,
                "Let Terraform keep it, and correct the cause in place. Then plan again.",
                (_terraform(inputs, "untaint", change.address),),
            )
            what = f"{_would(change)}: it exists, and the apply that made it failed (tainted)."
            yield replace(finding, what=what)


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
        if change.kind in ("service", "job") and (change.protected or change.tainted)
    }
    for change in _of(inputs, "push grant"):
        if change.patience_seconds < GRANT_SECONDS and change.name not in refused:
            finding = _finding(
                inputs,
                change,
                "First deploy longer retries, retry=RetryPolicy(max_attempts=8): 20 minutes. Then "
                f"plan this again. Or allow it, in a quiet hour: {_allow(change)}.",
                (),
            )
            what = (
                f"{_would(change)}. The retries of a message are used up after "
                f"{change.patience_seconds:g} s."
            )
            yield replace(finding, what=what)


RULES = (
    subscription_deleted,
    dead_letters_deleted,
    topic_deleted,
    protected_deleted,
    tainted,
    push_grant_deleted,
)

_RULES: dict[Kind, str] = {
    "subscription": "subscription-deleted",
    "dead letters": "dead-letters-deleted",
    "archive": "subscription-deleted",
    "topic": "topic-deleted",
    "push grant": "push-grant-deleted",
}
_THINGS: dict[Kind, str] = {
    "dead letters": "subscription",
    "archive": "subscription",
    "push grant": "right of Pub/Sub to call the service",
}
_Fix = tuple[str, tuple[str, ...]]
"""The advice, and its commands."""


def _of(inputs: Inputs, *kinds: Kind) -> Iterator[Change]:
    """Yield the changes of these kinds, without the tainted: `untaint` undoes those."""
    return (change for change in inputs.changes if change.kind in kinds and not change.tainted)


def _finding(inputs: Inputs, change: Change, fix: str, commands: tuple[str, ...]) -> Finding:
    protects = change.protected and change.kind not in ("service", "job") and not change.moves_to
    off = " Before, deploy it once with deletion_protection = false: it is protected."
    return Finding(
        _place(inputs, change),
        f"{_would(change)}{_because(change)}.",
        f"{fix}{off if protects else ''}",
        task=change.owner if change.owner in _names(inputs) else None,
        name=change.name,
        commands=commands,
    )


def _place(inputs: Inputs, change: Change) -> Place:
    """Return the place of the cause; of a task that is gone, the change's."""
    planned = _names(inputs).get(change.owner or "")
    if planned is None:
        return change.place
    for key in ("project", "region"):
        if key in change.causes:
            return configured(planned, key)
    return decorated(planned.task)


def _would(change: Change) -> str:
    verb = "replace" if change.replaced else "delete"
    thing = _THINGS.get(change.kind, change.kind)
    return f"`terraform apply` would {verb} the {thing} {change.name!r}"


def _because(change: Change) -> str:
    if change.moves_to:
        return ", and make it again at another address"
    causes = " and ".join(change.causes)
    return f": its {causes} change{'s' * (len(change.causes) == 1)}" if causes else ""


def _allow(change: Change) -> str:
    return f'ignore = ["{_RULES[change.kind]}:{change.name}"]'


def _names(inputs: Inputs) -> dict[str, PlannedTask]:
    return {planned.name: planned for planned in inputs.planned}


def _project(change: Change) -> str:
    return f" --project={change.project}" if change.project else ""


def _renamed(change: Change) -> str:
    return f'If the task was renamed, keep its name in the cloud: name="{change.owner}".'


def _changed(change: Change) -> str:
    return f"change its {' and '.join(change.causes)}" if change.causes else "change it"


def _moved(inputs: Inputs, change: Change) -> _Fix | None:
    """Return the fix of a resource that only has another address."""
    if not change.moves_to or inputs.terraform is None:
        return None
    command = f"ucam-faas plan --terraform {shlex.quote(inputs.terraform.name)}"
    return "Let Terraform move it: this command, with your other options, writes moved.tf.", (
        command,
    )


def _elsewhere(inputs: Inputs, change: Change) -> _Fix | None:
    """Return the fix of a thing that isn't deleted for its own sake."""
    moved = _moved(inputs, change)
    return moved or ((_ELSEWHERE, ()) if "project" in change.causes else None)


def _terraform(inputs: Inputs, verb: str, address: str) -> str:
    folder = os.path.relpath(inputs.terraform.directory) if inputs.terraform else "."
    chdir = "" if folder == "." else f" -chdir={shlex.quote(folder)}"
    return f"terraform{chdir} {verb} {shlex.quote(address)}"


def _subscription_fix(inputs: Inputs, change: Change) -> _Fix:
    elsewhere = _elsewhere(inputs, change)
    if elsewhere:
        return elsewhere
    planned = _names(inputs).get(change.owner or "")
    if change.replaced and "topic" not in change.causes:
        return _backlog(change)
    if change.kind == "archive":
        return (
            "It may hold dead letters that aren't in the bucket yet. Allow the deletion when it "
            f"{_EMPTY}: {_allow(change)}.",
            (),
        )
    if "topic" in change.causes:
        return f"Make a second task for the other topic. Remove this one when it {_EMPTY}.", ()
    if planned and planned.is_job:
        return f"Make the job a second task. Remove this one when it {_EMPTY}.", ()
    fix = f"top its publishers, wait until it {_EMPTY}, and allow the deletion: {_allow(change)}."
    if planned or change.owner is None:
        return f"S{fix}", ()
    return f"{_renamed(change)} Otherwise s{fix}", ()


_EMPTY = "has no messages left (num_undelivered_messages is 0 in Cloud Monitoring)"


def _backlog(change: Change) -> _Fix:
    """Return how a subscription's messages go to the one that replaces it."""
    snapshot, project = f"{change.name}-backlog", _project(change)
    return (
        "Keep its messages in a snapshot, which also gets those that are published meanwhile: the "
        "first command before the apply, the second after it. For that apply, allow it: "
        f"{_allow(change)}.",
        (
            f"gcloud pubsub snapshots create {snapshot}{project} --subscription={change.name}",
            f"gcloud pubsub subscriptions seek {change.name}{project} --snapshot={snapshot}",
        ),
    )


def _topic_fix(inputs: Inputs, change: Change) -> _Fix:
    elsewhere = _elsewhere(inputs, change)
    if elsewhere:
        return elsewhere
    command = "the command below" if change.address else "what `ucam-faas check --terraform` prints"
    forget = f"take it out of Terraform's state with {command}"
    commands = (_terraform(inputs, "state rm", change.address),) if change.address else ()
    allowed = "" if change.address else f" Then allow this: {_allow(change)}."
    if any(change.name in planned.merged["existing_topics"] for planned in inputs.planned):
        return f"It is in existing_topics: {forget}.{allowed}", commands
    users = [planned.name for planned in inputs.planned if _names_in_full(planned, change.name)]
    if users:
        fix = (
            f"The task {users[0]!r} names it in full, as a topic of others. Write "
            f'topic="{change.name}" to keep it here. Or leave it to others: {forget}.{allowed}'
        )
        return fix, commands
    fix = (
        f'Keep it: kept_topics = ["{change.name}"] {where_for_all(inputs.config)}. Or leave it to '
        f'others: existing_topics = ["{change.name}"], and {forget}. Or allow the deletion, when '
        f"nothing publishes to it: {_allow(change)}."
    )
    return fix, commands


def _names_in_full(planned: PlannedTask, topic: str) -> bool:
    named = (planned.needs.topic, planned.needs.dead_letter_topic)
    return any(name is not None and name.endswith(f"/topics/{topic}") for name in named)
