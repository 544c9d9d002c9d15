"""Import a collection as its container will, and say what is wrong with it."""

from __future__ import annotations

import os
import shlex
import subprocess

import packages

USER = 65532
_SHOW = """
import sys, traceback
from ucam_faas.tasks.registry import load
try:
    load("/srv/tasks")
except BaseException as error:
    cause = error.__cause__ or error
    traceback.print_exception(cause)
    hints = {
        "KeyError": 11, "ValidationError": 11,
        "ModuleNotFoundError": 12, "MissingExtraError": 12,
        "ImportError": 13, "OSError": 13,
        "DefaultCredentialsError": 14,
    }
    sys.exit(hints.get(type(cause).__name__, 10))
"""
_LATER = """--build-arg CHECK=no leaves this check out. Then end your Dockerfile with the line
  RUN ["ucam-faas", "tasks"]"""
_HINTS = {
    11: """Does the code need an environment variable at its import? Give the build a made-up one:
  docker build --build-arg CHECK_ENV='DATABASE_URL=postgresql://none' ...""",
    12: "Write the missing package into requirements.txt, or the dependencies in pyproject.toml.",
    13: f"Does your Dockerfile install a library with apt-get? It isn't there yet. {_LATER}",
    14: """A build has no credentials. Make clients when a task first needs them: ucam_faas.Defer,
see "Start-up code" in docs/tasks.md. Or leave this check out: --build-arg CHECK=no""",
}


def check(variables: str) -> None:
    """List the tasks, as the user of the container.

    Args:
        variables: assignments to environment variables, as a shell takes them.
    """
    own = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    environ = {
        **own,
        **dict(assignment.partition("=")[::2] for assignment in shlex.split(variables)),
        "PATH": f"{packages.VENV}/bin:{os.environ['PATH']}",
        "FUNCTION_SOURCE": "/srv/tasks",
        "HOME": "/nonexistent",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    if _run(environ, f"{packages.VENV}/bin/ucam-faas", "tasks") == 0:
        return
    print("\nThe tasks can't be imported:\n", flush=True)
    hint = _HINTS.get(_run(environ, str(packages.PYTHON), "-c", _SHOW), "")
    raise SystemExit(f"\n{hint}" if hint else 1)


def _run(environ: dict[str, str], *command: str) -> int:
    rights = {"user": USER, "group": USER, "extra_groups": []}
    return subprocess.run(command, env=environ, cwd="/srv/app", **rights).returncode
