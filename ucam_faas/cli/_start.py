"""The start of a process that serves tasks or runs one: settings, log, tasks, runtime."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ucam_faas.cli import _source
from ucam_faas.config import Settings, mistyped
from ucam_faas.exceptions import ConfigurationError
from ucam_faas.execution import runtime
from ucam_faas.logs import setup
from ucam_faas.tasks import environment, several_sources
from ucam_faas.tasks.task import Task

logger = logging.getLogger("ucam_faas")


@dataclass(frozen=True, slots=True)
class Started:
    """A process that is ready to serve.

    Args:
        settings: of options and environment.
        tasks: those that are wanted.
        runtime: for their executions.
        handler: writes the log.
    """

    settings: Settings
    tasks: Sequence[Task]
    runtime: runtime.Runtime
    handler: logging.Handler


def start(arguments: Mapping[str, Any]) -> Started:
    """Read options and environment, set the log up, and load the tasks of one source.

    Raises:
        UCAMFAASException: one of these can't be used.
    """
    return start_all([_source.decide(arguments.get("source"))], arguments)


def start_all(
    sources: Sequence[str],
    arguments: Mapping[str, Any],
    *,
    pick: Callable[[Sequence[Task]], Sequence[Task]] = list,
) -> Started:
    """Do the same for the tasks of several sources; without any, for those of the environment.

    Args:
        sources: of tasks.
        arguments: options.
        pick: chooses among the tasks, unless there is a target.
    """
    sources = list(sources) or [_source.decide(None)]
    settings = Settings.from_environ(**{**arguments, "source": sources[0]})
    handler = setup.configure(settings)
    for variable, hint in mistyped(os.environ).items():
        fields = {"variable": variable, "hint": hint}
        logger.warning("ucam_faas_unknown_variable", extra={"fields": fields})
    if not settings.long_running and (settings.input_file or settings.input_bucket):
        raise ConfigurationError(
            "An input file or bucket is for a task that runs once: `ucam-faas run TASK`, or "
            "--long-running."
        )
    tasks = several_sources.tasks_of(sources, settings.target)
    if settings.target is None:
        tasks = list(pick(tasks))
    environment.HERE.add_all(tasks)
    setup.adopt_structlog()
    return Started(settings, tasks, runtime.build(settings, tasks), handler)
