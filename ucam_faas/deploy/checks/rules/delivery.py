"""Rules of delivery: retries, retention, dead letters, filters, and missing topics."""

from __future__ import annotations

from collections.abc import Iterator

from ucam_faas.deploy.checks.filters import matches_nothing
from ucam_faas.deploy.checks.inputs import Inputs, configured, decorated
from ucam_faas.deploy.checks.rule import rule
from ucam_faas.deploy.findings import Finding
from ucam_faas.deploy.problems import TASK
from ucam_faas.tasks.needs import full_topic
from ucam_faas.tasks.policies import backoffs

SHORT_SECONDS = 24 * 3600
_KEY = "message_retention_seconds"


@rule(
    "retries-outlast-retention",
    why="The message expires before its last attempt, and never becomes a dead letter.",
)
def outlast_retention(inputs: Inputs) -> Iterator[Finding]:
    """Attempts and waits that take longer than Pub/Sub keeps a message."""
    for planned in inputs.retried:
        attempts = planned.needs.max_attempts
        if attempts is None:
            continue
        waits = sum(backoffs(planned.task.policy.retry, attempts - 1))
        own = planned.timeout_seconds if planned.is_worker else planned.needs.ack_deadline_seconds
        longest = attempts * own + waits
        kept = planned.merged[_KEY]
        if longest > kept:
            yield Finding(
                configured(planned, _KEY),
                f"{attempts} attempts of the task {planned.task.name!r} may take {longest:g} s "
                f"({attempts} of {own} s, {waits:g} s between), and "
                f"Pub/Sub keeps a message for {kept} s.",
                f"Keep messages for at least {int(longest) + 1} s with {_KEY}, or set fewer "
                "attempts, shorter waits or a shorter timeout.",
                planned.task.name,
            )


@rule(
    "failures-lost-early",
    why="Pub/Sub deletes a message that keeps failing within a day, without a trace.",
)
def lost_early(inputs: Inputs) -> Iterator[Finding]:
    """Endless retries without dead letters, and messages kept for less than a day."""
    for planned in inputs.retried:
        kept = planned.merged[_KEY]
        if planned.needs.max_attempts is None and kept < SHORT_SECONDS:
            yield Finding(
                configured(planned, _KEY),
                f"The task {planned.task.name!r} has no dead letters (max_attempts=None), and "
                f"keeps a message for {kept} s.",
                f"Limit the attempts with retry=RetryPolicy(max_attempts=…), or keep messages for "
                f"at least {SHORT_SECONDS} s.",
                planned.task.name,
            )


@rule("worker-without-instances", why="Its messages wait until they expire.")
def without_instances(inputs: Inputs) -> Iterator[Finding]:
    """A worker pool without instances, and without an autoscaler that starts some."""
    for planned in inputs.planned:
        least, most = (planned.merged[f"{name}_instances"] for name in ("min", "max"))
        if planned.is_worker and least == 0 and most is None:
            yield Finding(
                configured(planned, "min_instances"),
                f"The worker pool of the task {planned.task.name!r} has min_instances=0.",
                "Set min_instances = 1; or max_instances, if an autoscaler starts instances.",
                planned.task.name,
            )


@rule("dead-letters-return", why="A message that keeps failing goes round in a circle.")
def dead_letters_return(inputs: Inputs) -> Iterator[Finding]:
    """A dead-letter topic that leads back to the task, directly or through other tasks."""
    project = (inputs.plan and inputs.plan.project) or "-"
    leads: dict[str, set[str]] = {}
    ways = []
    for planned in inputs.receivers:
        if planned.needs.topic and planned.needs.dead_letter_topic:
            start = full_topic(planned.needs.topic, project)
            end = full_topic(planned.needs.dead_letter_topic, project)
            leads.setdefault(start, set()).add(end)
            ways.append((planned, start, end))
    for planned, start, end in ways:
        if start in _reached(end, leads):
            yield Finding(
                decorated(planned.task),
                f"The dead letters of the task {planned.task.name!r} go to "
                f"{planned.needs.dead_letter_topic!r}, and from there to {planned.needs.topic!r}, "
                "which it reads.",
                "Give the dead letters another topic.",
                planned.task.name,
            )


def _reached(topic: str, leads: dict[str, set[str]]) -> set[str]:
    """Return the topics that a topic's messages can reach as dead letters, and itself."""
    reached, open_ends = {topic}, [topic]
    while open_ends:
        new = leads.get(open_ends.pop(), set()) - reached
        reached |= new
        open_ends += new
    return reached


@rule("archive-without-effect", why="The bucket does not get the dead letters.")
def archive_without_effect(inputs: Inputs) -> Iterator[Finding]:
    """An archive of a task without dead letters, or whose dead-letter topic exists elsewhere."""
    key = "dead_letter_archive"
    for planned in inputs.receivers:
        origin = planned.merged.origin(key)
        if planned.merged[key] is None:
            continue
        topic = planned.dead_letters and planned.dead_letters.topic
        named = topic if inputs.plan and topic not in inputs.plan.topics else None
        none = topic is None
        if named or (none and f"{TASK}.{planned.task.name}" in origin.layer):
            has = f"them in the topic {named!r}" if named else "none"
            existing = "subscription=" if planned.needs.subscription else None
            fix = "that topic" if named else existing or "retry=RetryPolicy(max_attempts=None)"
            yield Finding(
                configured(planned, key),
                f"The dead letters of the task {planned.task.name!r} are not archived: it "
                f"has {has}, and only those in a topic that Terraform makes are.",
                f"Leave out {fix}, or the archive.",
                planned.task.name,
            )


@rule(
    "topic-missing",
    why="`terraform apply` fails, because it cannot grant a role on a missing topic.",
)
def topic_missing(inputs: Inputs) -> Iterator[Finding]:
    """A topic in `publishes_to` with a short name that no task reads."""
    made = set(inputs.plan.topics) if inputs.plan else set()
    made |= {topic for planned in inputs.planned for topic in planned.merged["existing_topics"]}
    for planned in inputs.planned:
        for topic in planned.merged["publishes_to"]:
            if "/" not in topic and planned.naming.topic(topic) not in made:
                yield Finding(
                    configured(planned, "publishes_to", topic),
                    f"The task {planned.task.name!r} publishes to {topic!r}, a topic that no task "
                    "reads and Terraform does not make.",
                    f"If it exists in each stage's project, add it to existing_topics; if in "
                    f"another project, write projects/PROJECT/topics/{topic}; if a task should "
                    f'read it, set topic="{topic}" there.',
                    planned.task.name,
                )


@rule("filter-matches-nothing", why="Pub/Sub drops every message, and the task never runs.")
def nothing_matches(inputs: Inputs) -> Iterator[Finding]:
    """A filter that no message can pass."""
    for planned in inputs.receivers:
        if planned.needs.filter and matches_nothing(planned.needs.filter):
            yield Finding(
                decorated(planned.task),
                f"No message can pass the filter of {planned.task.name!r}: {planned.needs.filter}",
                "Correct the filter.",
                planned.task.name,
            )


@rule("publishes-to-itself", why="Each message makes another, without end.")
def publishes_to_itself(inputs: Inputs) -> Iterator[Finding]:
    """A task that may publish to the topic all of whose messages it gets."""
    project = (inputs.plan and inputs.plan.project) or "-"
    for planned in inputs.receivers:
        own = full_topic(planned.needs.topic or "", project)
        for topic in planned.merged["publishes_to"]:
            to = planned.naming.topic(topic)
            if planned.needs.filter is None and full_topic(to, project) == own:
                yield Finding(
                    configured(planned, "publishes_to", topic),
                    f"The task {planned.name!r} gets all messages of {topic!r}, and publishes to "
                    "it.",
                    "Publish to another topic; or tell its own messages apart with a filter. To "
                    "continue its own work, send a job instead.",
                    planned.name,
                )


RULES = (
    publishes_to_itself,
    outlast_retention,
    lost_early,
    without_instances,
    dead_letters_return,
    archive_without_effect,
    topic_missing,
    nothing_matches,
)
