"""`ucam-faas config`: the configuration of each task, and the origin of each value."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from ucam_faas.cli._group import Verb
from ucam_faas.cli._output import json_option, print_json
from ucam_faas.cli._source import is_source, source_parameters
from ucam_faas.cli._table import print_table
from ucam_faas.deploy import layers
from ucam_faas.deploy.config_file import ConfigFile, KeyPath
from ucam_faas.deploy.keys import keys
from ucam_faas.deploy.layers import DEFAULT, Merged
from ucam_faas.deploy.problems import check_stage, check_tasks
from ucam_faas.deploy.source import decide_in
from ucam_faas.tasks import registry
from ucam_faas.tasks.option import Option


@click.command("config", cls=Verb)
@click.argument("task", required=False)
@click.option(
    "--stage", help="Stage, such as production. [default: only the values for all stages]"
)
@json_option
@source_parameters
def command(task: str | None, stage: str | None, source: str | None, json_only: bool) -> None:
    """Print the configuration of TASK, or of each task, and the origin of each value.

    The configuration is [tool.ucam-faas] in pyproject.toml, or ucam-faas.toml, in this directory or
    the nearest above it.
    """
    if task and source is None and is_source(task):
        task, source = None, task
    config = layers.read(Path.cwd())
    check_stage(config, stage)
    source = decide_in(config, stage=stage, named=source)
    tasks = registry.load(source)
    check_tasks(config, [each.name for each in tasks])
    wanted = registry.load(source, task) if task else tasks
    merged_tasks = [layers.merge_task(config, each, stage) for each in wanted]
    if json_only:
        print_json(_as_json(config, stage, merged_tasks))
    else:
        _print(config, stage, merged_tasks)


def _as_json(config: ConfigFile, stage: str | None, merged_tasks: list[Merged]) -> dict[str, Any]:
    tasks = {
        merged.task: {
            "values": merged.values,
            "origins": {".".join(path): asdict(origin) for path, origin in merged.origins.items()},
        }
        for merged in merged_tasks
    }
    return {"file": config.name, "stage": stage, "tasks": tasks}


def _print(config: ConfigFile, stage: str | None, merged_tasks: list[Merged]) -> None:
    click.echo(f"configuration  {config.name or 'none: all values come from the code'}")
    click.echo(f"stage          {stage or 'none'}")
    for_all = [option for option in keys().values() if option.configurable == "for all tasks"]
    own = [option for option in keys().values() if option.configurable != "for all tasks"]
    parts = [("all tasks", for_all, merged_tasks[0]), *((m.task, own, m) for m in merged_tasks)]
    for title, options, merged in parts:
        rows = list(_rows(merged, options, merged.values))
        if rows:
            click.echo()
            headings = (title, "VALUE", "FROM")
            print_table(headings, rows, is_dim=lambda row: row[2] == str(DEFAULT), fold=True)


def _rows(
    merged: Merged, options: Iterable[Option], values: Mapping[str, Any], path: KeyPath = ()
) -> Iterator[tuple[str, str, str]]:
    """Yield name, value and origin of each option that is set; lists and maps, part by part."""
    for option in options:
        at: KeyPath = (*path, option.name)
        value: Any = values.get(option.name)
        if value is None:
            continue
        if option.merge == "table":
            yield from _rows(merged, option.options.values(), value, at)
        elif option.merge == "list":
            yield from ((".".join(at), item, str(merged.origin(*at, item))) for item in value)
        elif option.merge == "map":
            for name in sorted(value):
                yield ".".join((*at, name)), _shown(value[name]), str(merged.origin(*at, name))
        else:
            yield ".".join(at), _shown(value), str(merged.origin(*at))


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
