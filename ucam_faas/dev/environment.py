"""The environment that tasks declare, for the one process that serves all of them here.

Variables of the shell win. Secrets stay in Secret Manager: developers set their variables and
write their files.
"""

from __future__ import annotations

import logging
from collections.abc import MutableMapping, Sequence
from pathlib import Path

from ucam_faas.deploy import layers
from ucam_faas.deploy.config_file import ConfigFile
from ucam_faas.tasks.environment import Declared
from ucam_faas.tasks.mounts import is_file
from ucam_faas.tasks.task import Task

logger = logging.getLogger("ucam_faas")


def declare(tasks: Sequence[Task], environ: MutableMapping[str, str], config: ConfigFile) -> None:
    """Set the variables that tasks declare, in code or configuration, unless they are set already.

    Args:
        tasks: those that are served.
        environ: of this process.
        config: read and checked.

    Raises:
        ConfigurationError: the configuration doesn't fit the tasks.
    """
    already_set = set(environ)
    declared = Declared(environ)
    missing: set[str] = set()
    for task in tasks:
        merged = layers.merge_task(config, task, None)
        for conflict in declared.add(task.name, merged["environment"]):
            event = "ucam_faas_environment_differs"
            _warn(event, task, conflict.variable, first=conflict.first)
        for variable, secret in merged["secrets"].items():
            there = Path(variable).exists() if is_file(variable) else variable in already_set
            if not there and variable not in missing:
                missing.add(variable)
                _warn("ucam_faas_secret_not_set", task, variable, secret=secret)


def _warn(event: str, task: Task, variable: str, **fields: str) -> None:
    fields = {"task": task.name, "variable": variable, **fields}
    logger.warning(event, extra={"fields": fields})
