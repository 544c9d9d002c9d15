"""The process that serves the tasks. Run as a module; `session` starts it, and a new one for
each change of the code.

It is given its sources and two inherited file descriptors: the listening socket, and a pipe on
which it says one line of JSON: what its tasks need, and then that it is ready; or why it is not.
"""

from __future__ import annotations

import json
import os
import site
import socket
import sys
from pathlib import Path
from typing import Any

import ucam_faas
from ucam_faas import _logging, registry, runtime
from ucam_faas.config import Settings
from ucam_faas.exceptions import UCAMFAASCouldNotLoadTarget, UCAMFAASException
from ucam_faas.plans import plan_of
from ucam_faas.task import Task


def main(listener_fd: int, pipe_fd: int, target: str, sources: list[str]) -> None:
    """Load the sources, tell what they need, and serve until a signal says to stop."""

    def tell(**message: Any) -> None:
        os.write(pipe_fd, json.dumps(message).encode() + b"\n")

    os.set_inheritable(pipe_fd, False)
    settings = Settings.from_environ()
    _logging.configure(settings)
    try:
        tasks = load(sources, target or None)
        _logging.adopt_structlog()
        built = runtime.build(settings, tasks)
        plans = [plan_of(task, settings).to_dict() for task in tasks]
    except UCAMFAASException as error:
        tell(error=str(error))
        sys.exit(error.exit_code)
    tell(plans=plans, folders=sorted(_folders()))
    from ucam_faas.serving import server
    from ucam_faas.serving.app import App

    listener = socket.socket(fileno=listener_fd)
    server.run(App(tasks, built), listener, on_ready=lambda: tell(ready=True))


def _folders() -> set[str]:
    """Return the folders that hold the modules of the user, not of Python or of libraries."""
    libraries = {sys.prefix, sys.base_prefix, *site.getsitepackages(), site.getusersitepackages()}
    ours = str(Path(ucam_faas.__file__).parent)
    found = set()
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None)
        if path and path.endswith(".py"):
            folder = str(Path(path).resolve().parent)
            if not folder.startswith((ours, *(f"{library}{os.sep}" for library in libraries))):
                found.add(folder)
    return found


def load(sources: list[str], target: str | None) -> list[Task]:
    """Return the tasks of all sources.

    Raises:
        UCAMFAASException: a source cannot be loaded, or two of them hold tasks of one name.
    """
    found: dict[str, tuple[Task, str]] = {}
    for source in sources:
        for task in registry.load(source, target):
            if task.name in found and found[task.name][0] is not task:
                raise UCAMFAASCouldNotLoadTarget(
                    f"{source} and {found[task.name][1]} both hold a task named {task.name!r}. "
                    "Rename one: a task's name is its path and its topic."
                )
            found[task.name] = (task, source)
    return [task for task, _ in found.values()]


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:])
