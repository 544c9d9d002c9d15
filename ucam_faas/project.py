"""The project of a directory: the texts in the nearest pyproject.toml, and the way up to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from ucam_faas.exceptions import ConfigurationError

_TEXTS = frozenset({"name", "version", "description"})


def read(start: Path) -> Mapping[str, str]:
    """Return the texts of [project] in the nearest pyproject.toml; see `upwards`.

    Raises:
        ConfigurationError: the file can't be used.
    """
    for directory in upwards(start):
        file = directory / "pyproject.toml"
        if file.is_file():
            return _read(file)
    return {}


def upwards(start: Path) -> Iterator[Path]:
    """Yield a directory and those above it, up to the root of its repository."""
    for directory in (start, *start.parents):
        yield directory
        if (directory / ".git").exists():
            return


def _read(file: Path) -> Mapping[str, str]:
    import tomllib  # a deployed service doesn't need it

    try:
        project = tomllib.loads(file.read_bytes().decode()).get("project", {})
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{file} cannot be read as TOML: {error}.") from error
    if not isinstance(project, dict) or not all(
        isinstance(project[key], str) for key in _TEXTS & project.keys()
    ):
        raise ConfigurationError(
            f"{file}: [project]: expected a table, with name, version and description as texts."
        )
    return {key: project[key] for key in _TEXTS & project.keys()}
