"""Which subscriptions keep dead letters. Pure: it looks at names.

A dead-letter topic is one that a subscription's policy names, or that a task gives up messages to.
Its keeper is a subscription that is pulled, and by no task: `ucam-faas dev` and Terraform make one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ucam_faas.dead_letters.source import Subscription
from ucam_faas.tasks.needs import TaskNeeds, full_topic
from ucam_faas.tasks.subscriptions import dead_letter_topics
from ucam_faas.tasks.topics import OWN_DEAD_LETTERS, keeper_of


@dataclass(frozen=True, slots=True)
class Keepers:
    """The subscriptions that keep dead letters, by their short names.

    Args:
        names: sorted.
        problems: sentences about dead letters that can't be seen.
    """

    names: tuple[str, ...]
    problems: tuple[str, ...] = ()


def keepers(
    subscriptions: Sequence[Subscription], tasks: Iterable[TaskNeeds], project: str
) -> Keepers:
    """Return the keepers of all dead-letter topics.

    Args:
        subscriptions: of the project.
        tasks: of the application, as far as they are known.
        project: of the short names of topics.
    """
    tasks = list(tasks)
    topics = {each.dead_letter_topic for each in subscriptions if each.dead_letter_topic}
    topics |= {each.topic for each in subscriptions if _has_usual_keeper(each)}
    for needs in tasks:
        topics |= {full_topic(topic, project) for topic in dead_letter_topics(needs)}
    readers = {needs.name for needs in tasks}
    names, problems = [], []
    for topic in sorted(topics):
        keeper, problem = _keeper(topic, subscriptions, readers, project)
        names += [keeper] if keeper else []
        problems += [problem] if problem else []
    return Keepers(tuple(sorted(names)), tuple(problems))


def expected(tasks: Iterable[TaskNeeds], project: str) -> Keepers:
    """Return the keepers by the names that Terraform gives them, without looking."""
    topics = {full_topic(topic, project) for needs in tasks for topic in dead_letter_topics(needs)}
    ours = [topic for topic in topics if topic.startswith(f"projects/{project}/")]
    return Keepers(tuple(sorted(keeper_of(topic.rpartition("/")[2]) for topic in ours)))


def _has_usual_keeper(subscription: Subscription) -> bool:
    """Return True if a subscription has the name that only keepers have."""
    topic = subscription.topic.rpartition("/")[2]
    return topic.endswith(OWN_DEAD_LETTERS) or subscription.name == keeper_of(topic)


def _keeper(
    topic: str, subscriptions: Sequence[Subscription], readers: set[str], project: str
) -> tuple[str, str]:
    """Return the keeper of a topic, or else the sentence that says why there is none."""
    short = topic.rpartition("/")[2]
    of_topic = [each for each in subscriptions if each.topic == topic]
    kept = [
        each.name
        for each in of_topic
        if not each.endpoint and not each.exports and each.name not in readers
    ]
    usual = (keeper_of(short), short)
    if kept:
        return min(kept, key=lambda name: (name not in usual, name)), ""
    if not topic.startswith(f"projects/{project}/"):
        other = topic.split("/")[1] if topic.count("/") == 3 else topic
        return "", f"The dead letters on {topic} are in the project {other}: look there."
    reading = sorted(each.name for each in of_topic if not each.exports)
    if reading:
        text = " and ".join(reading)
        return "", (
            f"The dead letters on {short} go to {text}, which handles them: nothing keeps them."
        )
    return "", (
        f"No subscription keeps the dead letters on {short}: deploy the tasks again, or create "
        f"{keeper_of(short)}."
    )
