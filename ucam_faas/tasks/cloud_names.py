"""The names that tasks have in the cloud, which are made of theirs: no two tasks may share one.

A prefix keeps the names of two stages in one project apart.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace

from ucam_faas.config import Settings
from ucam_faas.exceptions import TaskDefinitionError
from ucam_faas.tasks.needs import TaskNeeds, job_id
from ucam_faas.tasks.topics import inbox_of, keeper_of


@dataclass(frozen=True, slots=True)
class Naming:
    """The prefix of the names of everything that a deployment makes.

    Args:
        prefix: with its `-`; empty: there is none.
        existing: short names of topics that exist elsewhere, and have no prefix.
    """

    prefix: str = ""
    existing: Collection[str] = ()

    @classmethod
    def of(cls, settings: Settings) -> Naming:
        """Return the naming of the deployment that a process belongs to."""
        return cls(settings.name_prefix, (settings.existing_topics or "").split(","))

    def name(self, name: str) -> str:
        """Return the name of a subscription, schedule or service."""
        return f"{self.prefix}{name}"

    def topic(self, topic: str) -> str:
        """Return a topic's name in the cloud. A full name is that already.

        >>> naming = Naming("test-", ["users"])
        >>> naming.topic("orders"), naming.topic("users"), naming.topic("projects/p/topics/t")
        ('test-orders', 'users', 'projects/p/topics/t')
        """
        return topic if "/" in topic or topic in self.existing else self.name(topic)

    def own(self, name: str) -> str:
        """Return the name in the code of a subscription or topic with this prefix.

        >>> Naming("test-").own("test-orders")
        'orders'
        """
        return name.removeprefix(self.prefix)

    def needs(self, needs: TaskNeeds) -> TaskNeeds:
        """Return a task's needs with the names in the cloud.

        Its name is that of the subscription that is made. One of another owner has its own.
        """
        if not self.prefix:
            return needs
        return replace(
            needs,
            name=self.name(needs.name),
            topic=needs.topic and self.topic(needs.topic),
            dead_letter_topic=needs.dead_letter_topic and self.topic(needs.dead_letter_topic),
            decided_dead_letter_topic=needs.decided_dead_letter_topic
            and self.topic(needs.decided_dead_letter_topic),
        )


def check_distinct(tasks: Iterable[TaskNeeds]) -> None:
    """Refuse two tasks that would share a subscription or a schedule.

    Raises:
        TaskDefinitionError: with the name that they would share.
    """
    for _, text in collisions(tasks):
        raise TaskDefinitionError(f"{text} Give one of the tasks another name=….")


def collisions(tasks: Iterable[TaskNeeds]) -> Iterator[tuple[str, str]]:
    """Yield the task and a sentence for each name that another task's thing has, too.

    A task `send-dead-letter` would have the subscription that keeps the dead letters of `send`.
    """
    owners: dict[tuple[str, str], str] = {}
    for needs in tasks:
        for kind, name, owner in _names(needs):
            first = owners.setdefault((kind, name), owner)
            if first != owner:
                yield needs.name, f"The {kind} {name!r} would be that of {first} and of {owner}."


def _names(needs: TaskNeeds) -> Iterator[tuple[str, str, str]]:
    """Yield the kind and the name of each thing, and its owner: tasks may share dead letters."""
    task = f"the task {needs.name!r}"
    for number in range(len(needs.schedules)):
        yield "schedule", job_id(needs, number), task
    if needs.topic is None:
        return
    yield "subscription", needs.subscription or needs.name, task
    for lane in needs.lanes:
        yield "subscription", inbox_of(needs.name, lane), task
    topic = needs.decided_dead_letter_topic or needs.dead_letter_topic
    if topic and "/" not in topic:
        letters = f"the dead letters in {topic!r}"
        yield "subscription", keeper_of(topic), letters
        yield "subscription", f"{topic}-archive", letters
