"""The argument SOURCE and the option `--source`, which every verb that loads tasks has."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ucam_faas.cli._local_cloud import elsewhere
from ucam_faas.config import Settings
from ucam_faas.deploy import source as sources
from ucam_faas.exceptions import ConfigurationError, NoSuchTargetError
from ucam_faas.local_state import LocalCloud

if TYPE_CHECKING:
    from ucam_faas.tasks.task import Task

FORMS = "File, package directory, folder of task packages, or dotted module."
OTHERWISE = "[FUNCTION_SOURCE, or source in [tool.ucam-faas]; default: ./main.py]"
HELP = f"{FORMS} {OTHERWISE}"

_Verb = Callable[..., None]


def source_parameters(verb: _Verb) -> _Verb:
    """Give a verb SOURCE and `--source`; it is called with the named `source`, or None."""

    @click.argument("source_argument", metavar="[SOURCE]", required=False)
    @click.option("--source", "source_option", help=f"The same as SOURCE: {_lower(HELP)}")
    @functools.wraps(verb)
    def wrapper(
        *arguments: Any, source_argument: str | None, source_option: str | None, **options: Any
    ) -> None:
        source = _one(source_argument, source_option)
        verb(*arguments, source=source or _of_group(), **options)

    return wrapper


def sources_parameters(verb: _Verb) -> _Verb:
    """Give a verb SOURCE and `--source`, each any number of times; it is called with `sources`."""

    @click.argument("source_arguments", metavar="[SOURCE]...", nargs=-1)
    @click.option(
        "--source", "source_options", multiple=True, help=f"The same as SOURCE: {_lower(HELP)}"
    )
    @functools.wraps(verb)
    def wrapper(
        *arguments: Any,
        source_arguments: Sequence[str],
        source_options: Sequence[str],
        **options: Any,
    ) -> None:
        group = _of_group()
        named = dict.fromkeys((*source_arguments, *source_options)) or ([group] if group else [])
        verb(*arguments, sources=tuple(named), **options)

    return wrapper


def decide(source: str | None) -> str:
    """Return where the tasks are, for a verb that needs no more of the configuration."""
    return sources.decide(source, Path.cwd())


def of_cloud(source: str | None, cloud: LocalCloud | None) -> list[str]:
    """Return the sources that are named, or those that `ucam-faas dev` serves."""
    if cloud is not None and cloud.sources and sources.chosen(source) is None:
        return list(cloud.sources)
    return [decide(source)]


def of_folder() -> list[str]:
    """Return the source that this folder has by its environment, its configuration or the default;
    nothing: only the default is left, and there is no ./main.py.
    """
    source = decide(None)
    is_there = source != Settings().source or Path(source).exists()
    return [source] if is_there else []


def load(named: Sequence[str], target: str | None = None) -> list[Task]:
    """Load tasks for a verb that works with a local cloud.

    Raises:
        UCAMFAASException: it isn't possible; where a source is missing, with the folder of a
            `ucam-faas dev` that runs elsewhere.
    """
    from ucam_faas.tasks.several_sources import tasks_of

    try:
        return tasks_of(named, target)
    except NoSuchTargetError as error:
        here = any(Path(source).exists() for source in named)
        raise NoSuchTargetError(f"{error}{'' if here else elsewhere()}") from error


def load_one(named: Sequence[str], name: str) -> Task:
    """Load the one task of a name; see `load`."""
    tasks = load(named, name)
    if len(tasks) != 1:
        raise ConfigurationError(f"A message goes to one task: {name!r} names {len(tasks)}.")
    return tasks[0]


def is_source(argument: str) -> bool:
    """Return True if an argument is a source and not a task's name: a path or a dotted module."""
    is_dotted = "." in argument and all(part.isidentifier() for part in argument.split("."))
    return is_dotted or "/" in argument or argument.endswith(".py")


def _one(argument: str | None, option: str | None) -> str | None:
    if argument and option and argument != option:
        raise click.UsageError(f"SOURCE is {argument}, but --source is {option}: give one of them.")
    return argument or option


def _of_group() -> str | None:
    """Return the `--source` that comes before the verb."""
    source: str | None = (click.get_current_context().obj or {}).get("source")
    return source


def _lower(text: str) -> str:
    return text[0].lower() + text[1:]
