"""A project's own dependencies: the file that lists them, and the arguments of pip for it.

The first folder that lists any decides; in it, `requirements.txt` comes before `pyproject.toml`.
A file that this can't install is refused, with the command that makes one that it can.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

OURS = "ucam-faas"
_EXPORTS = {
    "uv.lock": "uv export --frozen --no-dev --no-emit-project --no-emit-package ucam-faas "
    "--output-file requirements.txt",
    "poetry.lock": "poetry export --only main --output requirements.txt",
    "pdm.lock": "pdm export --prod --output requirements.txt",
    "Pipfile.lock": "pipenv requirements > requirements.txt",
    "pylock.toml": "",
}
"""The files of locked dependencies, and the commands that write requirements.txt from them."""
_ADDRESS = re.compile(r"(?:-e |--editable )?\s*ucam[-_.]+faas\s*(?:\[[^]]*\])?\s*@", re.IGNORECASE)


class Refusal(Exception):
    """The dependencies can't be installed; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Dependencies:
    """A file of requirements, or a file and the requirements in it."""

    origin: Path
    requirements: tuple[str, ...] = ()

    @property
    def arguments(self) -> list[str]:
        """Return pip's arguments."""
        if self.origin.name == "requirements.txt":
            return ["--requirement", str(self.origin)]
        return list(self.requirements)


def find(folders: Iterable[Path], version: str) -> Dependencies | None:
    """Return the dependencies of the first folder that lists any, or None.

    Args:
        folders: may hold such files.
        version: of ucam-faas in the image.

    Raises:
        Refusal: it lists some in a form that isn't installed.
    """
    for folder in folders:
        file = folder / "requirements.txt"
        if file.is_file():
            _refuse_ours(file)
            return Dependencies(file)
        requirements = _of_pyproject(folder / "pyproject.toml", version)
        lock = next((name for name in _EXPORTS if (folder / name).is_file()), None)
        if lock and (requirements or not (folder / "pyproject.toml").is_file()):
            raise Refusal(_instead(f"{lock} is not read", lock))
        if requirements:
            return Dependencies(folder / "pyproject.toml", tuple(requirements))
    return None


def _refuse_ours(file: Path) -> None:
    for line in file.read_text().splitlines():
        if _ADDRESS.match(line):
            raise Refusal(
                f"requirements.txt has {line.strip()!r}, but the image has its own {OURS}. "
                "Delete that line."
            )


def _of_pyproject(file: Path, version: str) -> list[str]:
    """Return the dependencies in a pyproject.toml, but for ucam-faas, which the image has."""
    if not file.is_file():
        return []
    content = tomllib.loads(file.read_text())
    project: dict[str, Any] = content.get("project", {})
    tool: dict[str, Any] = content.get("tool", {})
    if _canonical(project.get("name", "")) == OURS:
        return []
    lock = next((name for name in _EXPORTS if (file.parent / name).is_file()), None)
    if "dependencies" in project.get("dynamic", ()):
        raise Refusal(_instead("the dependencies in pyproject.toml are dynamic", lock))
    poetry = {_canonical(name) for name in tool.get("poetry", {}).get("dependencies", {})}
    if "dependencies" not in project and poetry - {"python", OURS}:
        raise Refusal(_instead("[tool.poetry.dependencies] is not read", lock or "poetry.lock"))
    requirements = [Requirement(text) for text in project.get("dependencies", [])]
    moved = {_canonical(name) for name in tool.get("uv", {}).get("sources", {})}
    elsewhere = moved.intersection(_canonical(each.name) for each in requirements) - {OURS}
    if elsewhere:
        names = ", ".join(sorted(elsewhere))
        raise Refusal(_instead(f"[tool.uv.sources] is not read, and it has {names}", "uv.lock"))
    return [text for each in requirements if (text := _beyond_ours(each, version))]


def _beyond_ours(requirement: Requirement, version: str) -> str:
    """Return a requirement; of ucam-faas, which the image has, its extras at most."""
    if _canonical(requirement.name) != OURS:
        return str(requirement)
    if not requirement.specifier.contains(version, prereleases=True):
        raise Refusal(
            f"pyproject.toml requires {requirement}, but the image has {version}. "
            "Change one of them."
        )
    return f"{OURS}[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _instead(why: str, lock: str | None) -> str:
    command = _EXPORTS.get(lock or "")
    how = f":\n  {command}" if command else ", with the tool that keeps them."
    return f"{why}. The build installs requirements.txt: write one before `docker build`{how}"
