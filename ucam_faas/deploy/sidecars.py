"""Containers beside a task's: the entries of `sidecars` in the configuration.

Source of the limits: Google's page "Deploying multiple containers to a service (sidecars)".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ucam_faas.deploy.value_checks import Check, holds, shown
from ucam_faas.exceptions import TaskDefinitionError
from ucam_faas.tasks import resources

TASK = "task"
"""The name of the task's own container."""
PORT = 8080
"""The port of the task's own container."""


def check_sidecars(sidecars: Mapping[str, Any]) -> None:
    """Refuse sidecars that Cloud Run can't run.

    Raises:
        TaskDefinitionError: with the expected form.
    """
    for name, sidecar in sidecars.items():
        if not re.fullmatch("[a-z]([a-z0-9-]{0,47}[a-z0-9])?", name) or name == TASK:
            raise TaskDefinitionError(
                f"the name: expected lower-case letters, digits and -, other than {TASK}; found "
                f"{shown(name)}"
            )
        if not isinstance(sidecar, dict) or "image" not in sidecar:
            raise TaskDefinitionError(f"{name}: expected a table with an image")
        for key, value in sidecar.items():
            if key not in _CHECKS:
                known = ", ".join(_CHECKS)
                raise TaskDefinitionError(f"{name} has no key {key!r}. Known are: {known}")
            try:
                _CHECKS[key](value)
            except TaskDefinitionError as error:
                raise TaskDefinitionError(f"{name}.{key}: {error}") from error


def terraform_sidecars(sidecars: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return sidecars as Terraform has them."""
    return {
        name: {**sidecar, **({"cpu": f"{float(sidecar['cpu']):g}"} if "cpu" in sidecar else {})}
        for name, sidecar in sidecars.items()
    }


_CHECKS: dict[str, Check] = {
    "image": holds(lambda value: re.fullmatch(r"\S+", str(value)), "an image"),
    "args": holds(
        lambda value: isinstance(value, list) and all(isinstance(each, str) for each in value),
        "a list of texts",
    ),
    "environment": lambda value: resources.check_variables("environment", value),
    "cpu": resources.cpu_count,
    "memory": resources.memory_bytes,
    "port": holds(
        lambda value: type(value) is int and 1 <= value <= 65535 and value != PORT,
        f"a port from 1 to 65535, other than the task's {PORT}",
    ),
}
