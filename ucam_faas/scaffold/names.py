"""Names of collections and tasks that work everywhere: Python, Pub/Sub, Terraform and Docker."""

from __future__ import annotations

import keyword
import re
from importlib.util import find_spec

from ucam_faas.exceptions import ConfigurationError
from ucam_faas.tasks.policies import is_topic_name

LONGEST_ACCOUNT = 20
"""Of the beginning of an account's id, as the Terraform module takes it."""
_LONGEST_PROJECT = 30
"""Of a project's id on Google Cloud."""


def project_name(folder: str) -> str:
    """Return the name of the project in a folder.

    >>> project_name("My_Tasks")
    'my-tasks'

    Raises:
        ConfigurationError: the folder's name begins with a digit, or has no letters.
    """
    name = re.sub(r"[^a-z0-9]+", "-", folder.lower()).strip("-")
    if not re.fullmatch(r"[a-z][a-z0-9-]{1,39}", name):
        raise ConfigurationError(
            f"A collection can't be named {folder!r}: expected 2 to 40 letters, digits or "
            "hyphens, a letter first."
        )
    return name


def account_name(project: str) -> str:
    """Return the beginning of the ids of a collection's accounts."""
    return project[:LONGEST_ACCOUNT].rstrip("-")


def cloud_project(project: str, stage: str) -> str:
    """Return a made-up id of a stage's project on Google Cloud, of at most 30 characters.

    >>> cloud_project("payroll", "test"), cloud_project("our-departments-mailing-tasks", "test")
    ('payroll-test', 'our-departments-mailing-t-test')
    """
    return f"{project[: _LONGEST_PROJECT - 1 - len(stage)].rstrip('-')}-{stage}"


def check_task_name(name: str) -> None:
    """Refuse a name that a task's function or folder can't have.

    Raises:
        ConfigurationError: it can't.
    """
    if keyword.iskeyword(name):
        raise ConfigurationError(
            f"A task can't be named {name!r}: it is a Python keyword. Try {name}_task, or a verb."
        )
    is_name = re.fullmatch(r"[a-z][a-z0-9_]*", name)
    if not is_name or not is_topic_name(name):
        raise ConfigurationError(
            f"A task can't be named {name!r}: expected a Python name such as send_invoice, of "
            "three or more lower-case letters, digits and underscores."
        )
    if find_spec(name) is not None:
        raise ConfigurationError(
            f"A task can't be named {name!r}: its folder would hide the Python module of that "
            f"name, or be hidden by it. Try {name}_task, or a verb."
        )
