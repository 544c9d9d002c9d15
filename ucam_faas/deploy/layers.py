"""One configuration from all its layers, and where each value of it comes from.

Later layers win: defaults → code (collections) → app → stage → code (decorator) → task →
task.stage. Options of one task win over options of all tasks, and then the file over the code.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ucam_faas.deploy import config_file
from ucam_faas.deploy.config_file import ConfigFile, KeyPath, Origin
from ucam_faas.deploy.container_keys import check_container
from ucam_faas.deploy.instances import check_size, usual_max_instances
from ucam_faas.deploy.keys import MAX_LABELS, keys
from ucam_faas.deploy.problems import STAGE, TASK, Problem, ProblemsError, check_file, check_stage
from ucam_faas.deploy.telemetry import check_telemetry
from ucam_faas.exceptions import TaskDefinitionError
from ucam_faas.tasks.mounts import check_mounts
from ucam_faas.tasks.options import RIVALS, lay_over
from ucam_faas.tasks.resources import check_together
from ucam_faas.tasks.task import Task
from ucam_faas.tasks.topics import topics_of

DEFAULT, COLLECTION = Origin(layer="default"), Origin(layer="collection")
DECORATOR = Origin(layer="decorator")
_Layer = tuple[Mapping[str, Any], Callable[[KeyPath], Origin]]
"""Its options, and the function from a path in it to its origin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """The options in force for a task.

    Args:
        values: by key, all keys; the default, empty or None if no layer has a value.
        origins: by path: ("memory",), ("environment", "MODE"), ("publishes_to", "orders"),
            ("vpc_access", "tags", "web").
    """

    task: str
    stage: str | None
    values: Mapping[str, Any]
    origins: Mapping[KeyPath, Origin]

    def __getitem__(self, key: str) -> Any:
        return self.values[key]

    def origin(self, *path: str) -> Origin:
        """Return where a value, an entry of a map, or an item of a list comes from."""
        return self.origins.get(path, DEFAULT)


def read(start: Path) -> ConfigFile:
    """Find, read and check the configuration, from a directory upwards; there may be none.

    Raises:
        ConfigurationError: it cannot be used.
    """
    config = config_file.find(start)
    check_file(config)
    return config


def merge_task(config: ConfigFile, task: Task, stage: str | None) -> Merged:
    """Return the options in force for a task in a stage.

    Raises:
        ProblemsError: the stage does not exist, or the merged options can never work.
    """
    file, line = task.place
    return merge(
        config,
        task=task.name,
        stage=stage,
        collection=_with_topics(task.collection_options),
        decorator=_with_topics(task.own_options),
        decorated=Origin(layer="decorator", file=os.path.relpath(file), line=line),
    )


def _with_topics(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return options with `publishes` as the configuration has it."""
    return {**options, "publishes_to": topics_of(options.get("publishes", ()))}


def merge(
    config: ConfigFile,
    *,
    task: str,
    stage: str | None = None,
    collection: Mapping[str, Any],
    decorator: Mapping[str, Any],
    decorated: Origin = DECORATOR,
) -> Merged:
    """Merge the layers of a task.

    Args:
        collection: the options of the task's collections.
        decorator: the options of its decorator.
        decorated: the origin of these.

    Raises:
        ProblemsError: the stage does not exist, or the merged options can never work.
    """
    check_stage(config, stage)
    options = keys()
    values: dict[str, Any] = {name: option.unset for name, option in options.items()}
    origins: dict[KeyPath, Origin] = {}
    layers: list[_Layer] = [
        (collection, lambda _: COLLECTION),
        *_file_layers(config, (), stage),
        (decorator, lambda _: decorated),
        *_file_layers(config, (TASK, task), stage),
    ]
    for layer, origin in layers:
        origins |= {path: origin(path) for path in lay_over(values, layer, options)}
    for path in [path for path in origins if path[0] in RIVALS and path[1] not in values[path[0]]]:
        del origins[path]
    if values["run_as"] == "worker":
        if ("min_instances",) not in origins:
            values["min_instances"] = 1  # with none, nothing would run
    elif values["max_instances"] is None:
        values["max_instances"] = usual_max_instances(values)
    merged = Merged(task=task, stage=stage, values=values, origins=origins)
    problems = list(_problems(merged))
    if problems:
        raise ProblemsError(problems)
    return merged


def _file_layers(config: ConfigFile, path: KeyPath, stage: str | None) -> list[_Layer]:
    """Return a table of the file, and its table for the stage."""
    paths = [path, *([(*path, STAGE, stage)] if stage is not None else [])]
    return [(config.layer(at), partial(config.origin, at)) for at in paths]


def _problems(merged: Merged) -> Iterator[Problem]:
    """Yield the problems of values that are right one by one, but not together."""
    for topic in merged["existing_topics"]:
        if topic in merged["kept_topics"]:
            at = merged.origin("kept_topics", topic)
            text = f"{topic!r} is in existing_topics and in kept_topics: keep one of them."
            yield Problem(origin=at, text=text)
    try:
        check_together(merged.values)
        check_mounts(merged.values)
        check_container(merged.values)
        check_telemetry(merged.values)
        check_size(merged.values)
    except TaskDefinitionError as error:
        named = [name for name in merged.values if f"{name}=" in str(error)]
        paths = [path for name in named for path in _entries(merged, name, str(error))]
        yield _clash(merged, str(error).rstrip("."), paths)
    if len(merged["labels"]) > MAX_LABELS:
        text = f"it has {len(merged['labels'])} labels: expected at most {MAX_LABELS}"
        yield _clash(merged, text, [("labels", list(merged["labels"])[-1])])
    vpc = merged["vpc_access"]
    direct = [name for name in ("network", "subnetwork", "tags") if vpc.get(name)]
    if "connector" in vpc and direct:
        text = f"vpc_access has a connector and {direct[0]}: a connector brings its own network"
        yield _clash(merged, text, [("vpc_access", "connector")])
    elif vpc and not {"connector", "network", "subnetwork"} & vpc.keys():
        text = "vpc_access leads nowhere: expected a connector, a network or a subnetwork"
        yield _clash(merged, text, [path for path in merged.origins if path[0] == "vpc_access"])


def _entries(merged: Merged, name: str, text: str) -> list[KeyPath]:
    """Return the entries of a map that the text names, which have origins of their own, or all."""
    entries = [path for path in merged.origins if path[0] == name and len(path) > 1]
    return [path for path in entries if path[1] in text] or entries or [(name,)]


def _clash(merged: Merged, text: str, paths: list[KeyPath]) -> Problem:
    """Make a problem of values that do not fit, with its origin in the file if it has one there."""
    origins = [merged.origin(*path) for path in paths]
    origin = next((origin for origin in origins if origin.file), DEFAULT)
    each = zip((".".join(path) for path in paths), origins, strict=True)
    told = ", ".join(f"{name} from {origin}" for name, origin in each)
    return Problem(origin=origin, text=f"the task {merged.task!r}: {text} ({told}).")
