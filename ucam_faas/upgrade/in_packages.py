"""Changes of packages: the requirements of a project, and the imports that they don't cover."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import metadata
from typing import TYPE_CHECKING, Any

from ucam_faas.deploy.findings import Finding, Place
from ucam_faas.upgrade import changes
from ucam_faas.upgrade.project import Project, TextFile

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet

NAME = "ucam-faas"
_INSTALLED_BY_1_0 = {
    "requests": "requests",
    "ucam_observe": "ucam-observe",
    "typing_extensions": "typing-extensions",
    "google.cloud.storage": "google-cloud-storage",
}
"""Modules, and their packages, that 1.0 installed for everyone and this version doesn't."""
_BUCKET = re.compile(r"--input-bucket|INPUT_BUCKET")
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][\w.-]*)\s*(\[[^]]*\])?\s*([^;#]*)")
_POETRY = re.compile(r"[\^~](?!=)\s*(\d+)(?:\.(\d+))?")


@dataclass(slots=True)
class _Requirements:
    """The packages that a project requires."""

    names: set[str] = field(default_factory=set)
    extras: set[str] = field(default_factory=set)
    """Of ucam-faas."""
    wrong: list[tuple[Place, str]] = field(default_factory=list)
    """Requirements of ucam-faas that exclude this version."""


def look(project: Project) -> Iterator[Finding]:
    """Yield the findings about packages; none about imports if no file has requirements."""
    requirements = _Requirements()
    for file in project.texts:
        yield from _python(file)
        _collect(file, requirements)
    for place, text in requirements.wrong:
        yield changes.REQUIREMENT.finding(place, f"{text} excludes this version.")
    if requirements.names:
        yield from _imports(project, requirements)
        yield from _extras(project, requirements)


def _collect(file: TextFile, requirements: _Requirements) -> None:
    name = file.path.rpartition("/")[2]
    if name == "pyproject.toml":
        for text in _of_pyproject(file):
            _add(file, text, requirements)
    elif "requirements" in name and name.endswith((".txt", ".in")):
        for _, line in file.lines():
            _add(file, line, requirements)


def _of_pyproject(file: TextFile) -> Iterator[str]:
    """Yield requirements, as pip writes them."""
    document = _toml(file)
    project = _table(document, "project")
    lists = [project.get("dependencies"), *_table(project, "optional-dependencies").values()]
    lists += _table(document, "dependency-groups").values()
    for texts in lists:
        yield from (text for text in texts or () if isinstance(text, str))
    poetry = _table(_table(document, "tool"), "poetry")
    groups = [each for each in _table(poetry, "group").values() if isinstance(each, dict)]
    for table in (poetry, *groups):
        for name, value in _table(table, "dependencies").items():
            entry = value if isinstance(value, dict) else {"version": value}
            extras = f"[{','.join(map(str, entry['extras']))}]" if entry.get("extras") else ""
            yield f"{name}{extras} {entry.get('version', '')}"


def _add(file: TextFile, text: str, requirements: _Requirements) -> None:
    match = _REQUIREMENT.match(text)
    if match is None or text.lstrip().startswith("-"):
        return
    name = re.sub(r"[-_.]+", "-", match[1]).lower()
    requirements.names.add(name)
    if name == NAME:
        requirements.extras |= set(re.findall(r"\w+", match[2] or ""))
        if not _admits(match[3].strip().strip("()"), metadata.version(NAME)):
            place = Place(file.path, _line(file, NAME))
            requirements.wrong.append((place, " ".join(text.split())))


def _line(file: TextFile, name: str) -> int | None:
    """Return the line that a name begins; quotes may be before it."""
    lines = file.lines()
    return next((number for number, line in lines if line.lstrip(" \"'").startswith(name)), None)


def _admits(text: str, version: str) -> bool:
    """Return True if a specifier admits a version, or isn't understood; poetry's `^` included."""
    if caret := _POETRY.match(text):
        major, minor = map(int, version.split(".")[:2])
        wanted = int(caret[1])
        only_minor = text.startswith("~") and caret[2] is not None
        return major == wanted and (not only_minor or minor == int(caret[2]))
    specifier = _specifier(text)
    return specifier is None or specifier.contains(version, prereleases=True)


def _specifier(text: str) -> SpecifierSet | None:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        return SpecifierSet(text if not text[:1].isdigit() else f"=={text}")
    except InvalidSpecifier:
        return None


def _python(file: TextFile) -> Iterator[Finding]:
    """Look for Python 3.10, and for the base image of 1.0."""
    if file.path.endswith("pyproject.toml"):
        document = _toml(file)
        poetry = _table(_table(_table(document, "tool"), "poetry"), "dependencies")
        texts = {
            "requires-python": _table(document, "project").get("requires-python"),
            "python": poetry.get("python"),
        }
        for key, text in texts.items():
            if isinstance(text, str) and _takes_3_10(text):
                place = Place(file.path, _line(file, key))
                yield changes.PYTHON.finding(place, f"{key} is {text!r}.")
    for number, line in file.lines():
        place = Place(file.path, number)
        if re.match(r"\s*FROM\s+\S*ucam-faas", line):
            yield changes.IMAGE.finding(place, f"The image is built {line.strip()}.")
        elif re.match(r"\s*FROM\s+(\S*/)?python:3\.(8|9|10)\b", line):
            yield changes.PYTHON.finding(place, f"The image is built {line.strip()}.")


def _takes_3_10(text: str) -> bool:
    if caret := _POETRY.match(text):
        return int(caret[2] or 0) < 11
    specifier = _specifier(text)
    return specifier is not None and specifier.contains("3.10.99")


def _imports(project: Project, requirements: _Requirements) -> Iterator[Finding]:
    """Look for imports that 1.0 made possible: the first of each package."""
    told: set[str] = set()
    for file in project.python:
        for node in ast.walk(file.tree):
            for module in _modules(node):
                for prefix, package in _INSTALLED_BY_1_0.items():
                    is_it = module == prefix or module.startswith(f"{prefix}.")
                    if not is_it or package in requirements.names | told:
                        continue
                    if package == "google-cloud-storage" and "storage" in requirements.extras:
                        continue
                    told.add(package)
                    place = Place(file.path, getattr(node, "lineno", None))
                    what = f"{prefix} is imported, and {package} isn't required."
                    yield changes.IMPORTS.finding(place, what)


def _modules(node: ast.AST) -> list[str]:
    match node:
        case ast.Import(names=aliases):
            return [alias.name for alias in aliases]
        case ast.ImportFrom(module=str(module), names=aliases, level=0):
            return [f"{module}.{alias.name}" for alias in aliases]
    return []


def _extras(project: Project, requirements: _Requirements) -> Iterator[Finding]:
    if "storage" not in requirements.extras:
        for file in project.texts:
            for number, line in file.lines():
                if _BUCKET.search(line):
                    what = "The input is read from a bucket."
                    yield changes.STORAGE.finding(Place(file.path, number), what)
                    break
    if "testing" not in requirements.extras and "polyfactory" not in requirements.names:
        for python in project.users:
            for node in ast.walk(python.tree):
                if any(module.endswith(".CloudEventFactory") for module in _modules(node)):
                    place = Place(python.path, getattr(node, "lineno", None))
                    what = "CloudEventFactory is imported, and polyfactory isn't required."
                    yield changes.FACTORY.finding(place, what)


def _toml(file: TextFile) -> dict[str, Any]:
    try:
        return tomllib.loads(file.text)
    except tomllib.TOMLDecodeError:
        return {}


def _table(document: Any, key: str) -> dict[str, Any]:
    value = document.get(key) if isinstance(document, dict) else None
    return value if isinstance(value, dict) else {}
