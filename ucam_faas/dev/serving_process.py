"""The process that serves the tasks. Run as a module; `session` starts a new one
after each change of the code.

It gets its sources and inherited file descriptors: the listening socket, a socket to its parent
process, and one for the lines of the history. To the parent it writes, in lines of JSON, the
folders of its modules and the needs of its tasks, and then that it is ready, with its number of
workers; or why it isn't. Each worker reports when it no longer accepts connections. The process
ends when that socket is closed or its parent has ended.
"""

from __future__ import annotations

import json
import os
import select
import signal
import site
import socket
import sys
import sysconfig
import threading
import traceback
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import ucam_faas
from ucam_faas.config import Settings
from ucam_faas.deploy import layers
from ucam_faas.deploy.topic_schemas import of_topics
from ucam_faas.dev import environment
from ucam_faas.dev.local_app import LocalApp
from ucam_faas.exceptions import (
    ConfigurationError,
    NoSuchTargetError,
    UCAMFAASException,
)
from ucam_faas.execution import runtime
from ucam_faas.history.lines import LineHandler
from ucam_faas.logs import setup
from ucam_faas.net.cross_site import is_this_machine
from ucam_faas.serving import server
from ucam_faas.serving.observer import Observer
from ucam_faas.tasks.cloud_names import check_distinct
from ucam_faas.tasks.needs import needs_of, with_dead_letter_topic
from ucam_faas.tasks.payload_schemas import form_schema
from ucam_faas.tasks.several_sources import tasks_of


def main(
    listener_fd: int, parent_fd: int, lines_fd: int | None, target: str, sources: list[str]
) -> None:
    """Load the sources, report their needs, and serve until a signal says to stop."""

    def tell(**message: Any) -> None:
        line = json.dumps(message).encode() + b"\n"
        while line:
            line = line[os.write(parent_fd, line) :]

    class Parent(Observer):
        """Tells the process that started this one."""

        def opened(self) -> None:
            tell(ready=settings.workers, down=app.down)

        def closed(self) -> None:
            with suppress(OSError):  # the parent may be gone
                tell(closed=True)

    os.set_inheritable(parent_fd, False)
    watch = _ParentWatch(parent_fd)
    settings = Settings.from_environ()
    setup.configure(settings)
    lines = None if lines_fd is None else LineHandler(lines_fd, _job_id)
    if lines_fd is not None:
        os.close(lines_fd)  # it has its own
    setup.handle_also(lines)
    try:
        tasks = [with_dead_letter_topic(t, settings) for t in tasks_of(sources, target or None)]
        setup.adopt_structlog()
        setup.handle_also(lines)  # again: user code may have set up logging
        config = layers.read(Path.cwd())
        environment.declare(tasks, os.environ, config)
        built = runtime.build(settings, tasks)
        needs = [needs_of(task, settings) for task in tasks]
        check_distinct(needs)
        topic_schemas = of_topics(tasks, needs, config)
        plans = [each.to_json() for each in needs]
        listener = socket.socket(fileno=listener_fd)
        any_host = not is_this_machine(listener.getsockname()[0])
        app = LocalApp(tasks, built, Parent(), any_host=any_host)
    except UCAMFAASException as error:
        fatal = isinstance(error, (NoSuchTargetError, ConfigurationError))
        files = folders(files_of(error))
        news = {"error": str(error), "code": error.error_code, "place": error.place}
        tell(folders=files, fatal=fatal, **news)
        sys.exit(error.exit_code)
    events = [settings.events_topic] if settings.events_topic else []
    existing = [*config.layer(()).get("existing_topics", []), *events]
    schemas = [form_schema(task) for task in tasks]
    tell(
        folders=folders(module_files()), plans=plans, schemas=schemas, existing_topics=existing,
        topic_schemas=topic_schemas,
    )  # fmt: skip

    try:
        server.run(app, listener, before_fork=watch.pass_on)
    except UCAMFAASException as error:
        tell(folders=folders(module_files()), error=str(error), code=error.error_code)
        sys.exit(error.exit_code)


def _job_id() -> str:
    """Return the id of the job that runs in this context; nothing if none does."""
    module = sys.modules.get("ucam_faas.job_runs.current_job")  # imported with the first job
    job = module and module.CURRENT_JOB.get()
    return job.id if job else ""


class _ParentWatch:
    """Ends this process and its workers when the other end of a socket is closed.

    A thread watches it while the tasks are loaded, and then a thread in each worker: a process
    that forks should have one thread.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._pid = os.getpid()
        self._stop, self._stopped = os.pipe()
        self._thread = threading.Thread(
            target=self._watch, args=(self._stop,), name="ucam-faas-parent-watch", daemon=True
        )
        self._thread.start()

    def pass_on(self) -> None:
        """Watch in the processes that are forked from now on, and not in this one."""
        os.close(self._stopped)
        self._thread.join()
        os.close(self._stop)
        os.register_at_fork(after_in_child=self._watch_in_child)

    def _watch_in_child(self) -> None:
        threading.Thread(target=self._watch, name="ucam-faas-parent-watch", daemon=True).start()

    def _watch(self, *others: int) -> None:
        poll = select.poll()  # select() takes no numbers over 1023
        for fd in (self._fd, *others):
            poll.register(fd, select.POLLIN)
        if self._fd in dict(poll.poll()):
            if os.getppid() == self._pid:  # a worker's parent would start another one
                with suppress(ProcessLookupError):
                    os.kill(self._pid, signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)


def module_files() -> set[str]:
    """Return the files of all modules."""
    return {getattr(module, "__file__", None) or "" for module in list(sys.modules.values())}


def files_of(error: BaseException | None) -> set[str]:
    """Return the files of all modules, and of those that could not be imported."""
    files = module_files()
    while error is not None:
        frames = traceback.extract_tb(error.__traceback__)
        files |= {frame.filename for frame in frames}
        if isinstance(error, SyntaxError):
            files.add(error.filename or "")
        error = error.__cause__
    return files


def folders(files: Iterable[str]) -> list[str]:
    """Return the folders of files of the user, not of Python or of libraries."""
    libraries = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib")}
    libraries |= {sysconfig.get_path("platlib"), *site.getsitepackages()}
    libraries |= {site.getusersitepackages(), str(Path(ucam_faas.__file__).parent)}
    theirs = tuple(f"{Path(library).resolve()}{os.sep}" for library in libraries)
    paths = (Path(file).resolve() for file in files if file.endswith(".py"))
    folders = {str(path.parent) for path in paths}
    return sorted(folder for folder in folders if not f"{folder}{os.sep}".startswith(theirs))


if __name__ == "__main__":
    listener, parent, *others = map(int, sys.argv[1].split(","))
    main(listener, parent, next(iter(others), None), sys.argv[2], sys.argv[3:])
