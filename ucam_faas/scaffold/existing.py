"""A collection that exists: where its tasks are, and the choices that were made for it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ucam_faas import project
from ucam_faas.deploy import config_file
from ucam_faas.exceptions import ConfigurationError
from ucam_faas.scaffold.files import WORKFLOWS
from ucam_faas.scaffold.names import project_name


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection that takes further tasks.

    Args:
        tasks: the folder of the tasks' folders, from where the search began.
        has_job_store: its configuration names one, for a stage at least.
    """

    tasks: Path
    has_job_store: bool


def find(start: Path) -> Collection:
    """Return the collection that a folder belongs to, by its configuration.

    Raises:
        ConfigurationError: there is none.
    """
    config = config_file.find(start)
    source = config.table.get("source")
    folder = config.path.parent / source if config.path and isinstance(source, str) else None
    is_one_task = folder is not None and any(
        (folder / name).exists() for name in ("__init__.py", "main.py")
    )
    if folder is None or not folder.is_dir() or is_one_task:
        raise ConfigurationError(
            f"{start} isn't a collection that takes further tasks: expected `source` in "
            f"{config.name or 'a pyproject.toml'}, with a folder of tasks' folders. `ucam-faas new "
            "NAME` makes a collection."
        )
    has_job_store = any("UCAM_FAAS_JOB_STORE" in path for path in config.lines)
    return Collection(Path(os.path.relpath(folder, start)), has_job_store)


def name_of(folder: Path) -> str:
    """Return the name of the project in a folder.

    Raises:
        ConfigurationError: the folder has no project, or one whose name can't be used.
    """
    if not (folder / "pyproject.toml").exists():
        raise ConfigurationError(f"{folder.resolve()} isn't a collection: no pyproject.toml.")
    return project_name(project.read(folder.resolve()).get("name", ""))


def ci_of(folder: Path) -> str | None:
    """Return the CI system whose file is there."""
    return next((ci for ci, place in WORKFLOWS.items() if (folder / place).exists()), None)
