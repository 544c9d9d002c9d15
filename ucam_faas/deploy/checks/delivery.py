"""Rules of delivery: retries, retention, dead letters, filters, and topics that nobody makes."""

from __future__ import annotations

from collections.abc import Iterator

from ucam_faas.deploy.checks.filters import matches_nothing
from ucam_faas.deploy.checks.rule import rule
from ucam_faas.deploy.checks.subject import Subject, configured, decorated
from ucam_faas.deploy.findings import Fault
from ucam_faas.deploy.problems import TASK
from ucam_faas.tasks.needs import full_topic
from ucam_faas.tasks.policies import backoffs

SHORT_SECONDS = 24 * 3600
_KEY = "message_retention_seconds"


@rule(
    "retries-outlast-retention",
    why="The message expires before its last attempt: it is deleted, and is no dead letter.",
)
def outlast_retention(subject: Subject) -> Iterator[Fault]:
    """Attempts and the waits between them that together take longer than a message is kept."""
    for one in subject.services:
        attempts = one.needs.max_attempts
        if attempts is None:
            continue
        waits = sum(backoffs(one.task.policy.retry, attempts - 1))
        longest = attempts * one.needs.ack_deadline_seconds + waits
        kept = one.merged[_KEY]
        if longest > kept:
            yield Fault(
                configured(one, _KEY),
                f"{attempts} attempts of the task {one.task.name!r} may take {longest:g} s "
                f"({attempts} of {one.needs.ack_deadline_seconds} s, {waits:g} s between), and a "
                f"message is kept for {kept} s.",
                f"Keep messages for at least {int(longest) + 1} s with {_KEY}, or ask for fewer "
                "attempts, shorter waits or a shorter timeout.",
                one.task.name,
            )


@rule(
    "failures-lost-early",
    why="A message that keeps failing is deleted without a trace, before anybody looks.",
)
def lost_early(subject: Subject) -> Iterator[Fault]:
    """Endless retries without dead letters, of messages that are kept for less than a day."""
    for one in subject.services:
        kept = one.merged[_KEY]
        if one.needs.max_attempts is None and kept < SHORT_SECONDS:
            yield Fault(
                configured(one, _KEY),
                f"The task {one.task.name!r} has no dead letters (max_attempts=None), and keeps a "
                f"message for {kept} s.",
                f"Say how many attempts, retry=RetryPolicy(max_attempts=…), or keep messages for "
                f"at least {SHORT_SECONDS} s.",
                one.task.name,
            )


@rule("dead-letters-return", why="A message that keeps failing goes round for ever.")
def dead_letters_return(subject: Subject) -> Iterator[Fault]:
    """A dead-letter topic from which dead letters come back to the task, through others or not."""
    project = subject.plan.variables.get("project", "-") if subject.plan else "-"
    leads: dict[str, set[str]] = {}
    ways = []
    for one in subject.services:
        if one.needs.topic and one.needs.dead_letter_topic:
            start = full_topic(one.needs.topic, project)
            end = full_topic(one.needs.dead_letter_topic, project)
            leads.setdefault(start, set()).add(end)
            ways.append((one, start, end))
    for one, start, end in ways:
        if start in _reached(end, leads):
            yield Fault(
                decorated(one.task),
                f"The dead letters of the task {one.task.name!r} go to "
                f"{one.needs.dead_letter_topic!r}, and from there to {one.needs.topic!r}, which it "
                "reads.",
                "Give the dead letters another topic.",
                one.task.name,
            )


def _reached(topic: str, leads: dict[str, set[str]]) -> set[str]:
    """Return the topics that the dead letters of a topic's readers come to, and itself."""
    found, open_ends = {topic}, [topic]
    while open_ends:
        new = leads.get(open_ends.pop(), set()) - found
        found |= new
        open_ends += new
    return found


@rule("archive-in-vain", why="The dead letters are not in the bucket where they are looked for.")
def archive_in_vain(subject: Subject) -> Iterator[Fault]:
    """An archive for dead letters that the task has not, or that go to a topic of another name."""
    key = "dead_letter_archive"
    for one in subject.services:
        origin = one.merged.origin(key)
        if one.merged[key] is None:
            continue
        named, none = one.needs.decided_dead_letter_topic, one.needs.max_attempts is None
        if named or (none and f"{TASK}.{one.task.name}" in origin.layer):
            has = f"them in the topic {named!r}" if named else "none"
            fix = "dead_letter_topic=…" if named else "retry=RetryPolicy(max_attempts=None)"
            yield Fault(
                configured(one, key),
                f"The dead letters of the task {one.task.name!r} are not archived: it has {has}, "
                "and only those of a topic that is made for the task are.",
                f"Leave out {fix} of the decorator, or the archive.",
                one.task.name,
            )


@rule(
    "topic-nobody-makes",
    why="`terraform apply` fails, because it cannot grant anything on a topic that is not there.",
)
def nobody_makes(subject: Subject) -> Iterator[Fault]:
    """A short name of a topic in `publishes_to` that no task reads."""
    made = set(subject.plan.variables["topics"]) if subject.plan else set()
    for one in subject.services:
        subscriptions = subject.variables(one)["triggers"]["subscriptions"]
        made |= {
            f"{name}-dead-letter"
            for name, found in subscriptions.items()
            if found["dead_letter"] and found["dead_letter"]["topic"] is None
        }
    for one in subject.planned:
        for topic in one.merged["publishes_to"]:
            if "/" not in topic and topic not in made:
                yield Fault(
                    configured(one, "publishes_to", topic),
                    f"The task {one.task.name!r} publishes to {topic!r}, a topic that no task "
                    "reads and that nobody makes.",
                    f"If it exists, write projects/PROJECT/topics/{topic}; if a task should read "
                    f'it, say topic="{topic}" there.',
                    one.task.name,
                )


@rule("filter-matches-nothing", why="Pub/Sub drops every message, and the task never runs.")
def nothing_matches(subject: Subject) -> Iterator[Fault]:
    """A filter that no message can pass."""
    for one in subject.services:
        if one.needs.filter and matches_nothing(one.needs.filter):
            yield Fault(
                decorated(one.task),
                f"No message can pass the filter of {one.task.name!r}: {one.needs.filter}",
                "Correct the filter.",
                one.task.name,
            )


RULES = (
    outlast_retention,
    lost_early,
    dead_letters_return,
    archive_in_vain,
    nobody_makes,
    nothing_matches,
)
