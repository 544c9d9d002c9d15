"""The topics of a deployment: those that its tasks use, and those that outlive their tasks."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ucam_faas.actions.topic_schemas import TopicSchema
from ucam_faas.deploy.layers import Merged
from ucam_faas.deploy.topic_schemas import schema_of
from ucam_faas.exceptions import ConfigurationError
from ucam_faas.tasks.needs import TaskNeeds
from ucam_faas.tasks.topics import keeper_of

_ARCHIVE = "-archive"
"""The end of the subscription that writes a topic's messages to a bucket."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTopic:
    """A topic that the deployment makes.

    Args:
        dead_letter_subscription: the name of the subscription that keeps its messages; None: it
            isn't a dead-letter topic.
        kms_key: encrypts it.
        deletion_protection: Terraform refuses to delete it.
        archive: the bucket that its messages are also written to.
        retention_seconds: how long it keeps messages itself; None: not at all.
        allowed_persistence_regions: the regions that may store its messages; none: all.
        schema: Pub/Sub checks its messages by it.
    """

    dead_letter_subscription: str | None
    kms_key: str | None
    deletion_protection: bool
    archive: str | None
    retention_seconds: int | None = None
    allowed_persistence_regions: Sequence[str] = field(default_factory=list)
    schema: TopicSchema | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicUser:
    """A task that reads topics or puts dead letters into them.

    Args:
        task: its name in the code.
        reads: the topic of its subscription; None: it has none, or one of another owner.
        schema: the schema of that topic.
        dead_letters: the topic of its dead letters.
        jobs: the topics of its jobs: its inbox, and the topic of events.
    """

    task: str
    needs: TaskNeeds
    merged: Merged
    reads: str | None
    schema: TopicSchema | None
    dead_letters: str | None
    jobs: Collection[str]

    @classmethod
    def of(
        cls, task: str, needs: TaskNeeds, merged: Merged, jobs: Collection[str], folder: Path
    ) -> TopicUser:
        """Return a task's use of topics. Only `ucam-faas dev` makes a topic for a Cloud Run job.

        Args:
            folder: of the configuration file; the path of a schema begins there.

        Raises:
            ConfigurationError: the schema of its topic cannot be used.
        """
        by_subscription = needs.dead_letter_topic if needs.gets_messages else None
        return cls(
            task=task,
            needs=needs,
            merged=merged,
            reads=needs.topic if needs.gets_messages and needs.subscription is None else None,
            schema=(
                schema_of(task, merged["topic_schema"], folder) if needs.gets_messages else None
            ),
            dead_letters=by_subscription or needs.decided_dead_letter_topic,
            jobs=jobs,
        )

    @property
    def topics(self) -> set[str]:
        """All its topics."""
        return {topic for topic in (self.reads, self.dead_letters, *self.jobs) if topic}


def plan_topics(users: Sequence[TopicUser]) -> dict[str, PlannedTopic]:
    """Return the topics to make, by short names.

    They are those that tasks use, but for `existing_topics`, and `kept_topics`.

    Raises:
        ConfigurationError: tasks disagree about a topic, or one has the name of a subscription
            that keeps messages.
    """
    for_all = users[0].merged
    existing, kept = set(for_all["existing_topics"]), set(for_all["kept_topics"])
    used = {topic for user in users for topic in user.topics}
    made = sorted({topic for topic in used if "/" not in topic} - existing | kept)
    topics = {topic: _planned(topic, users, kept=topic in kept) for topic in made}
    _check_subscriptions(topics, users)
    return topics


def _planned(topic: str, users: Sequence[TopicUser], *, kept: bool) -> PlannedTopic:
    writers = [user for user in users if user.dead_letters == topic]
    using = [user for user in users if topic in user.topics]
    return PlannedTopic(
        dead_letter_subscription=keeper_of(topic) if writers or kept else None,
        kms_key=_agreed("kms_key", topic, using),
        # Removing a kept topic from the configuration is the decision to delete it.
        deletion_protection=any(user.merged["deletion_protection"] for user in using),
        archive=(
            _common("dead_letter_archive", users)
            if kept and not writers
            else _agreed("dead_letter_archive", topic, writers)
        ),
        # A dead-letter topic has a subscription that keeps its messages for as long as a topic can.
        retention_seconds=(
            None if writers or kept else _agreed("topic_retention_seconds", topic, using)
        ),
        allowed_persistence_regions=list(
            _agreed("allowed_persistence_regions", topic, using) or ()
            if using
            else _common("allowed_persistence_regions", users) or ()
        ),
        schema=_schema(topic, users),
    )


def _agreed(key: str, topic: str, users: Sequence[TopicUser]) -> Any:
    """Return the value for a topic that tasks share: that of any task which has one."""
    tasks = {_value(key, user): user.task for user in users if user.merged[key]}
    if len(tasks) > 1:
        raise ConfigurationError(
            f"The topic {topic!r} has one {key}, and the tasks "
            f"{' and '.join(map(repr, tasks.values()))} that use it have one each. Give them the "
            "same."
        )
    return next(iter(tasks), None)


def _schema(topic: str, users: Sequence[TopicUser]) -> TopicSchema | None:
    """Return the schema of a topic: that of any task which reads it and has one."""
    tasks = {user.schema: user.task for user in users if user.reads == topic and user.schema}
    if len(tasks) > 1:
        raise ConfigurationError(
            f"The topic {topic!r} has one topic_schema, and the tasks "
            f"{' and '.join(map(repr, tasks.values()))} that read it have one each. Give them the "
            "same."
        )
    return next(iter(tasks), None)


def _common(key: str, users: Sequence[TopicUser]) -> Any:
    """Return the value that all tasks have, if it is the same."""
    values = {_value(key, user) for user in users}
    return values.pop() if len(values) == 1 else None


def _value(key: str, user: TopicUser) -> Hashable:
    value = user.merged[key]
    return tuple(sorted(value)) if isinstance(value, list) else value


def _check_subscriptions(topics: Mapping[str, PlannedTopic], users: Sequence[TopicUser]) -> None:
    tasks = {user.needs.name for user in users if user.reads}
    for topic, planned in topics.items():
        if both := sorted(tasks & {*subscriptions_of(topic, planned)}):
            raise ConfigurationError(
                f"The task {both[0]!r} and the topic {topic!r}, which keeps its messages, would "
                "both have the subscription of that name. Give the task another name."
            )


def subscriptions_of(topic: str, planned: PlannedTopic) -> list[str]:
    """Return the names of the subscriptions that are made with a topic."""
    archive = f"{topic}{_ARCHIVE}" if planned.archive else None
    return [name for name in (planned.dead_letter_subscription, archive) if name]
