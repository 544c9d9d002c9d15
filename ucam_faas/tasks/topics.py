"""The topics of tasks, for those that publish to them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from ucam_faas.exceptions import TaskDefinitionError
from ucam_faas.tasks.lanes import DEFAULT_LANE, LANE_NAME
from ucam_faas.tasks.outer_decorators import task_function_of
from ucam_faas.tasks.policies import check_topic
from ucam_faas.tasks.task import Kind, Task, check_name


def topic_of(task: Task) -> str:
    """Return the topic of a task, as a short or a full name.

    Raises:
        TaskDefinitionError: it gets no messages.
    """
    if task.trigger is None:
        raise TaskDefinitionError(
            f"{task.name!r} is an HTTP task, and has no topic: send a request to {task.path}."
        )
    if task.run_as == "cloud-run-job":
        raise TaskDefinitionError(
            f"{task.name!r} is a Cloud Run job, and gets no messages: a schedule or a person "
            "starts it."
        )
    return task.trigger.topic


def topics_of(publishes: Iterable[Any]) -> list[str]:
    """Return the topics of a `publishes=` option, once each."""
    return list(dict.fromkeys(map(_topic, publishes)))


def check_target(target: Any) -> None:
    """Refuse an item of `publishes=` that no message can be published to.

    Raises:
        TaskDefinitionError: with the item.
    """
    check_topic(_topic(target))


def _topic(target: Any) -> str:
    if isinstance(target, str):
        return target
    forms = 'topics: "T" or "projects/P/topics/T"'
    return topic_of(_task("publishes", target, "name a topic", forms))


def _task(option: str, target: Any, instead: str, forms: str) -> Task:
    task_function = task_function_of(target)
    if task_function is not None:
        task: Task = task_function.task
        return task
    if inspect.isfunction(target):
        raise TaskDefinitionError(
            f"{option}=[{target.__name__}]: {target.__name__!r} is a function without a "
            f"decorator, and not a task: decorate it, or {instead}."
        )
    raise TaskDefinitionError(f"{option}=[{target!r}]: expected tasks, or {forms}.")


_NAMES = 'names of tasks: "charge" or "shop.tasks.charge"'


def receivers_of(sends: Iterable[Any]) -> list[str]:
    """Return the names of the tasks of a `sends=` option, once each."""
    return list(dict.fromkeys(map(_receiver, sends)))


def check_receiver(target: Any) -> None:
    """Refuse an item of `sends=` that no job can be sent to.

    Raises:
        TaskDefinitionError: with the item.
    """
    try:
        check_name(_receiver(target))
    except TaskDefinitionError as error:
        if not isinstance(target, str):
            raise
        raise TaskDefinitionError(f"sends=[{target!r}]: expected {_NAMES}.") from error


def _receiver(target: Any) -> str:
    """Return the name of a task, which may be named with its module: MODULE.TASK."""
    if isinstance(target, str):
        return target.rpartition(".")[2]
    task = _task("sends", target, "name the task", _NAMES)
    topic_of(task)  # it gets messages
    if task.batch is not None:
        raise TaskDefinitionError(
            f"sends=[{task.name}]: the task takes batches of messages, and no jobs. Write "
            f"publishes=[{task.name}], and publish to it."
        )
    return task.name


OWN_DEAD_LETTERS = "-dead-letter"
"""The end of the name of a dead-letter topic that is made for one task."""


def keeper_of(topic: str) -> str:
    """Return the name of the subscription that keeps the messages of a dead-letter topic.

    It depends on nothing but the topic's name, so it stays when other tasks use the topic, or none.

    >>> keeper_of("send-dead-letter"), keeper_of("unpaid")
    ('send-dead-letter', 'unpaid-kept')
    """
    return topic if topic.endswith(OWN_DEAD_LETTERS) else f"{topic}-kept"


INBOX_PATH = "/inbox"
"""Pushes of a task's inbox come to its own path with this after it, and those of a lane's to
`/inbox/LANE`.
"""


MIN_INBOX_BACKOFF_SECONDS, MAX_INBOX_BACKOFF_SECONDS = 1, 600
"""Until Pub/Sub repeats a wake that was refused: at first, and at most."""


def inbox_path(route: str, lane: str = DEFAULT_LANE) -> str:
    """Return the path to which the inbox of a lane is pushed.

    >>> inbox_path("/charge"), inbox_path("/charge", "bulk")
    ('/charge/inbox', '/charge/inbox/bulk')
    """
    return route + INBOX_PATH + ("" if lane == DEFAULT_LANE else f"/{lane}")


def lane_of_path(task: Task, path: str) -> str | None:
    """Return the lane whose inbox is pushed to a path; None: the path isn't of the task's inboxes.

    A lane that the task doesn't have any more may have messages still.
    """
    inbox = task.route + INBOX_PATH
    if task.kind is Kind.HTTP or not path.startswith(inbox):
        return None
    lane = path[len(inbox) :]
    if not lane:
        return DEFAULT_LANE
    return lane[1:] if re.fullmatch(f"/{LANE_NAME}", lane) else None


_INBOX = "-inbox"


def inbox_of(task: str, lane: str = DEFAULT_LANE) -> str:
    """Return the short name of the inbox of a task's lane: a topic, and its subscription.

    >>> inbox_of("charge"), inbox_of("charge", "bulk")
    ('charge-inbox', 'charge-inbox-bulk')
    """
    return f"{task}{_INBOX}" + ("" if lane == DEFAULT_LANE else f"-{lane}")


class Inbox(NamedTuple):
    """An inbox: the names of its task and of its lane."""

    task: str
    lane: str


def inbox_named(name: str) -> Inbox | None:
    """Return the inbox of a name, short or full; None: it isn't one.

    >>> inbox_named("projects/p/topics/charge-inbox"), inbox_named("charge")
    (Inbox(task='charge', lane='default'), None)
    >>> inbox_named("charge-inbox-bulk")
    Inbox(task='charge', lane='bulk')
    """
    pattern = f"(?P<task>.+){_INBOX}(?:-(?P<lane>{LANE_NAME}))?"
    match = re.fullmatch(pattern, name.rpartition("/")[2])
    return match and Inbox(match["task"], match["lane"] or DEFAULT_LANE)
