"""The files of a collection and of a task: paths and texts, made of the templates."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType

from ucam_faas.scaffold.kinds import KINDS
from ucam_faas.scaffold.names import account_name, cloud_project
from ucam_faas.scaffold.origin import Origin

SOURCE = "tasks"
"""The folder of the tasks' folders in a new collection."""
WORKFLOWS: Mapping[str, str] = MappingProxyType(
    {"github": ".github/workflows/ci.yml", "gitlab": ".gitlab-ci.yml"}
)
"""The CI systems, and the files that they read."""
MODULE = "deploy/main.tf"
"""The file that names the Terraform module."""
_KEPT_IN_STEP = {
    "Makefile": "Makefile",
    "Dockerfile": "Dockerfile",
    "dockerignore": ".dockerignore",
    "gitignore": ".gitignore",
    "main.tf": MODULE,
}
"""Templates, and their places. A template `.gitignore` would count in its own folder."""
_PLACEHOLDER = re.compile(r"@([a-z]+)@")


def of_collection(project: str, kind: str, origin: Origin, ci: str | None) -> dict[str, str]:
    """Return the files of a collection with one task, by their path in it."""
    task = KINDS[kind].first
    values = {
        "project": project,
        "dependency": origin.dependency,
        "sample": sample_of(kind, task),
        **{stage: _stage(cloud_project(project, stage), kind) for stage in ("test", "production")},
    }
    own = {name: _filled(f"collection/{name}", values) for name in ("README.md", "pyproject.toml")}
    tasks = {f"{SOURCE}/{path}": text for path, text in of_task(kind, task).items()}
    return own | kept_in_step(project, origin, ci) | tasks


def kept_in_step(project: str, origin: Origin, ci: str | None) -> dict[str, str]:
    """Return the files of a collection that change with ucam_faas, and not with the tasks."""
    places = _KEPT_IN_STEP | ({f"{ci}.yml": WORKFLOWS[ci]} if ci else {})
    values = {
        "project": project,
        "accounts": account_name(project),
        "module": origin.module,
        "checkout": f"--editable '{origin.checkout}[local]' " if origin.checkout else "",
    }
    return {place: _filled(f"collection/{name}", values) for name, place in places.items()}


def of_task(kind: str, name: str) -> dict[str, str]:
    """Return the files of a task, by their path in the folder of the tasks' folders."""
    summary = f"{name.replace('_', ' ').capitalize()}."
    values = {"task": name, "path": _path(name), "summary": summary}
    return {
        f"{name}/__init__.py": "",
        f"{name}/main.py": _filled(f"{kind}/main.py", values),
        f"{name}/test_{name}.py": _filled(f"{kind}/test.py", values),
    }


def sample_of(kind: str, task: str) -> str:
    """Return the command that tries a task out, while `ucam-faas dev` serves it."""
    return KINDS[kind].sample.format(task=task, path=_path(task))


def _stage(project: str, kind: str) -> str:
    """Return the lines of a stage in the configuration; jobs need a store."""
    lines = [f'project = "{project}"']
    if kind == "job":
        lines += [f'environment = {{ UCAM_FAAS_JOB_STORE = "firestore:{project}/jobs" }}']
    return "\n".join(lines)


def _path(task: str) -> str:
    return task.replace("_", "-")


def _filled(template: str, values: Mapping[str, str]) -> str:
    text = (files("ucam_faas.scaffold") / f"templates/{template}.template").read_text("utf-8")
    return _PLACEHOLDER.sub(lambda match: values[match[1]], text)
