"""The names that tasks have in the cloud, which are made of theirs: no two tasks may share one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ucam_faas.exceptions import TaskDefinitionError
from ucam_faas.tasks.needs import TaskNeeds, job_id
from ucam_faas.tasks.topics import inbox_of, keeper_of


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
    yield "subscription", needs.name, task
    for lane in needs.lanes:
        yield "subscription", inbox_of(needs.name, lane), task
    topic = needs.decided_dead_letter_topic or needs.dead_letter_topic
    if topic and "/" not in topic:
        letters = f"the dead letters in {topic!r}"
        yield "subscription", keeper_of(topic), letters
        yield "subscription", f"{topic}-archive", letters
