"""The Pub/Sub schemas of topics: from `topic_schema` in the configuration to the definition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ucam_faas.actions.topic_schemas import TopicSchema
from ucam_faas.deploy.config_file import ConfigFile
from ucam_faas.deploy.layers import merge_task
from ucam_faas.emulator.schemas.compiling import compile_definition
from ucam_faas.emulator.schemas.definitions import AVRO, PROTOCOL_BUFFER, DefinitionError
from ucam_faas.exceptions import ConfigurationError, MissingExtraError
from ucam_faas.tasks.needs import TaskNeeds
from ucam_faas.tasks.task import Task

TYPES = {".avsc": AVRO, ".proto": PROTOCOL_BUFFER}
"""The type of a definition, by the end of its file's name."""


def schema_of(task: str, table: Mapping[str, Any], folder: Path) -> TopicSchema | None:
    """Return the schema of a task's topic; None: it has none.

    Args:
        task: its name, for the error.
        table: the merged `topic_schema` of the task.
        folder: of the configuration file; the path of the definition begins there.

    Raises:
        ConfigurationError: the definition is missing, cannot be read, or isn't one.
    """
    if not table:
        return None
    name = table.get("definition")
    where = f"topic_schema of the task {task!r}"
    if name is None:
        raise ConfigurationError(f"{where}: definition: expected a .avsc or .proto file.")
    if "encoding" not in table:
        raise ConfigurationError(
            f"{where}: encoding: expected JSON or BINARY, in which tasks publish protobuf messages."
        )
    try:
        text = (folder / name).read_text()
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{where}: {name} cannot be read: {error}.") from error
    kind = TYPES[Path(name).suffix]
    try:
        compile_definition(kind, text)
    except DefinitionError as error:
        raise ConfigurationError(f"{where}: {name} isn't a schema: {error}.") from error
    except MissingExtraError:  # fastavro is for development; Pub/Sub checks the schema, too
        pass
    return TopicSchema(type=kind, definition=text, encoding=table["encoding"])


def of_task(task: Task, config: ConfigFile) -> TopicSchema | None:
    """Return the schema of a task's topic where `ucam-faas dev` makes it; None: it has none.

    Raises:
        ConfigurationError: it cannot be used.
    """
    if config.path is None or not any("topic_schema" in path for path in config.lines):
        return None
    table = merge_task(config, task, None)["topic_schema"]
    return schema_of(task.name, table, config.path.parent)


def of_topics(
    tasks: Sequence[Task], needs: Sequence[TaskNeeds], config: ConfigFile
) -> dict[str, dict[str, str]]:
    """Return the schemas of topics as JSON, by the topics' names, for `ucam-faas dev`.

    Raises:
        ConfigurationError: one of them cannot be used.
    """
    schemas = {}
    for task, plan in zip(tasks, needs, strict=True):
        schema = of_task(task, config)
        if plan.topic is not None and schema is not None:
            schemas[plan.topic] = asdict(schema)
    return schemas
