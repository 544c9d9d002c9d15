"""The data of a message that the command line names: an argument, a file or a sample."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import IO

from ucam_faas.actions.message_data import in_its_form, made_up, shown
from ucam_faas.actions.topic_schemas import TopicSchema
from ucam_faas.deploy import layers, topic_schemas
from ucam_faas.exceptions import ConfigurationError
from ucam_faas.tasks.task import Task


def data_of(
    task: Task | None,
    argument: str | None,
    file: IO[bytes] | None,
    *,
    sample: bool,
    may_be_empty: bool,
    schema: TopicSchema | None = None,
) -> bytes:
    """Return the data to publish.

    Args:
        task: the receiving task; None if only a topic is known.
        argument: the data, as it is on the command line.
        file: holds the data.
        sample: make the data up.
        may_be_empty: there are attributes.
        schema: of the task's topic.

    Raises:
        ConfigurationError: there is no data; the message shows some that the task takes.
    """
    if argument is not None or file is not None:
        content = file.read() if file is not None else as_bytes(argument or "")
        return in_its_form(task, content, schema) if task is not None else content
    if task is None and sample:
        raise ConfigurationError("--sample makes up data for a task: name the TASK.")
    if task is None or task.takes_nothing or (may_be_empty and not sample):
        return b""
    if sample:
        return made_up(task, schema)
    hint = "Give it as an argument or with --file."
    with suppress(ConfigurationError):
        hint = f"{hint} --sample sends: {shown(made_up(task, schema), task, schema)}"
    raise ConfigurationError(f"There is no data to send to {task.name!r}. {hint}")


def as_bytes(argument: str) -> bytes:
    """Return an argument's bytes, as they were on the command line."""
    return argument.encode("utf-8", "surrogateescape")


def schema_of(task: Task | None) -> TopicSchema | None:
    """Return the schema of a task's topic by the configuration of this folder; None: it has none.

    Raises:
        ConfigurationError: it cannot be used.
    """
    return None if task is None else topic_schemas.of_task(task, layers.read(Path.cwd()))
