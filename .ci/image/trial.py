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
    traceback.print_exception(error.__cause__ or error)
    hint = {"KeyError": 1, "ModuleNotFoundError": 2, "MissingExtraError": 2, "ImportError": 3}
    sys.exit(10 + hint.get(type(error.__cause__ or error).__name__, 0))
"""
_LATER = (
    "--build-arg CHECK=no leaves this out. Then end your Dockerfile with the line\n"
    '  RUN ["ucam-faas", "tasks"]'
)
_HINTS = {
    11: "Does the code need an environment variable at its import? Give the build a made-up one:\n"
    "  docker build --build-arg CHECK_ENV='DATABASE_URL=postgresql://none' ...",
    12: "Write the missing package into requirements.txt, or the dependencies in pyproject.toml.",
    13: f"Does your Dockerfile install a library with apt-get? It isn't there yet. {_LATER}",
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
