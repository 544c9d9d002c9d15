"""The one place that decides where the tasks are, for every verb.

The command line wins over FUNCTION_SOURCE, and that over the configuration: its stage, then its top
level. The default is ./main.py.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ucam_faas.config import Settings
from ucam_faas.exceptions import NoSuchTargetError

if TYPE_CHECKING:
    from ucam_faas.deploy.config_file import ConfigFile


def decide(named: str | None, start: Path) -> str:
    """Return where the tasks are. The configuration is read only if it counts.

    Args:
        named: by an option or an argument.
        start: where the search for the configuration begins.

    Raises:
        ConfigurationError: the configuration can't be used.
        NoSuchTargetError: it names a file that isn't there.
    """
    if source := chosen(named):
        return source
    from ucam_faas.deploy import config_file  # kept off the start

    config = config_file.find(start)
    if config.path is not None:
        from ucam_faas.deploy.problems import check_file

        check_file(config)
    return in_config(config) or Settings().source


def decide_in(config: ConfigFile, *, stage: str | None, named: str | None) -> str:
    """Return where the tasks are, with a configuration that is read already."""
    return chosen(named) or in_config(config, stage) or Settings().source


def chosen(named: str | None) -> str | None:
    """Return the source that the command line or FUNCTION_SOURCE names."""
    return named or os.environ.get("FUNCTION_SOURCE") or None


def in_config(config: ConfigFile, stage: str | None = None) -> str | None:
    """Return the source that a checked configuration names; a path in it is relative to its file.

    Raises:
        NoSuchTargetError: it is a path, and there is no such file.
    """
    layers = [config.layer(("stage", stage)) if stage is not None else {}, config.table]
    source: str | None = next((layer["source"] for layer in layers if "source" in layer), None)
    if source is None or config.path is None:
        return None
    layer = ("stage", stage) if stage is not None and "source" in layers[0] else ()
    origin = config.origin(layer, ("source",))
    path = config.path.parent / source
    if path.exists():
        return os.path.relpath(path)
    if source.endswith(".py") or "/" in source:
        raise NoSuchTargetError(
            f"{origin}: source: There is no {os.path.relpath(path)} in {Path.cwd()}. Correct it, "
            "or name another with --source."
        )
    return source
