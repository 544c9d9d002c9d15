"""Names in the cloud are made of tasks' names, and two tasks can't share one."""

from __future__ import annotations

from typing import Any

import pytest

from ucam_faas import TaskDefinitionError, message_handler
from ucam_faas.config import Settings
from ucam_faas.tasks.cloud_names import check_distinct
from ucam_faas.tasks.needs import TaskNeeds, needs_of


def needs(name: str, **options: Any) -> TaskNeeds:
    @message_handler(name=name, **options)
    def handle() -> None: ...

    return needs_of(handle.task, Settings())


@pytest.mark.parametrize(
    ("other", "text"),
    [
        (
            needs("send-dead-letter", topic="letters"),
            "The subscription 'send-dead-letter' would be that of the dead letters in "
            "'send-dead-letter' and of the task 'send-dead-letter'.",
        ),
        (needs("send-dead-letter-archive"), "The subscription 'send-dead-letter-archive' would"),
        (needs("send-inbox"), "The subscription 'send-inbox' would be that of the task 'send' "),
        (needs("send-2", schedule="0 3 * * *"), "The schedule 'send-2' would be that of the task"),
    ],
    ids=lambda value: value.name if isinstance(value, TaskNeeds) else "",
)
def test_a_name_that_something_of_another_task_has_is_refused(other: TaskNeeds, text: str) -> None:
    send = needs("send", schedule=["0 1 * * *", "0 2 * * *"])

    with pytest.raises(TaskDefinitionError) as caught:
        check_distinct([send, other])

    assert str(caught.value).startswith(text)
    assert str(caught.value).endswith("Give one of the tasks another name=….")


def test_the_subscription_of_a_named_dead_letter_topic_is_not_a_task_s() -> None:
    with pytest.raises(TaskDefinitionError, match="The subscription 'failed-kept'"):
        check_distinct([needs("failed-kept"), needs("send", dead_letter_topic="failed")])


def test_tasks_may_share_a_topic_of_dead_letters_and_read_it() -> None:
    check_distinct(
        [
            needs("send", dead_letter_topic="failed"),
            needs("store", dead_letter_topic="failed"),
            needs("look", topic="failed"),
            needs("watch", topic="store-dead-letter"),
            needs("send-2"),
        ]
    )
