"""The files of a collection and of a task: paths and texts, made of the templates."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType

from ucam_faas.scaffold.names import account_name
from ucam_faas.scaffold.origin import Origin

KINDS: Mapping[str, str] = MappingProxyType({"message": "take_order"})
"""The kinds of tasks, and the name of a new collection's first task."""
_PLACEHOLDER = re.compile(r"@([a-z]+)@")
_TRY = {
    "message": "ucam-faas publish {task} --sample",
}


def of_task(kind: str, name: str) -> dict[str, str]:
    """Return the files of a task, by their path in the collection."""
    values = {"task": name, "summary": f"{name.replace('_', ' ').capitalize()}."}
    return {
        f"tasks/{name}/__init__.py": "",
        f"tasks/{name}/main.py": _filled(f"{kind}/main.py", values),
        f"tasks/{name}/test_{name}.py": _filled(f"{kind}/test.py", values),
    }


def of_collection(project: str, kind: str, origin: Origin) -> dict[str, str]:
    """Return the files of a collection with one task."""
    task = KINDS[kind]
    values = {
        "project": project,
        "accounts": account_name(project),
        "dependency": origin.dependency,
        "module": origin.module,
        "try": _TRY[kind].format(task=task),
    }
    places = {
        "README.md": "README.md",
        "Makefile": "Makefile",
        "pyproject.toml": "pyproject.toml",
        "Dockerfile": "Dockerfile",
        "dockerignore": ".dockerignore",
        "gitignore": ".gitignore",
        "main.tf": "deploy/main.tf",
    }
    made = {place: _filled(f"collection/{name}", values) for name, place in places.items()}
    return made | of_task(kind, task)


def _filled(template: str, values: Mapping[str, str]) -> str:
    text = (files("ucam_faas.scaffold") / f"templates/{template}.template").read_text()
    return _PLACEHOLDER.sub(lambda match: values[match[1]], text)
