"""gunicorn as the process manager: one socket, workers with an event loop each, an orderly end.

The tasks are imported before the workers are forked, so that a bad source is an error at
start-up and a replaced worker starts at once. The socket is bound before that, too, and listens
when the first worker has run the tasks' start-up code; if that fails, all ends.
"""

from __future__ import annotations

import gc
import logging
import math
import os
import select
import signal
import socket
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger

from ucam_faas.exceptions import (
    UCAMFAASCouldNotLoadTarget,
    UCAMFAASException,
)
from ucam_faas.logs import setup
from ucam_faas.net import sockets
from ucam_faas.serving.app import App
from ucam_faas.serving.orphans import MainProcess
from ucam_faas.serving.worker import ADVICE, Worker

logger = logging.getLogger("ucam_faas")

KEEP_ALIVE_SECONDS = 620
"""Longer than the 600 s of Google's front ends, so that they close idle connections, not we."""
STUCK_LOOP_SECONDS = 60
"""Beyond the longest timeout: a worker whose event loop is silent for this long is killed."""
START_SECONDS = 300
"""Start-up code may take this long, at least: more than Cloud Run gives an instance to start."""
MAX_FAILURE_BYTES = 4000
"""A pipe takes this much at once, and from several processes without mixing it."""
MAX_PEERS = 10
STOP_SIGNALS = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)
CONNECTED = (
    "The processes that serve are forked, and would share the connections: make clients in "
    "start-up code (init=), or with Defer, which each process runs."
)
KILLED_AT_START = (
    "A process ended while it started, and did not say why: its memory may be too small, or its "
    "start-up code ended it."
)


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that has an address, and does not listen yet.

    Raises:
        ConfigurationError: the address is taken or invalid.
    """
    return sockets.bind(host, port, ADVICE)


def run(
    app: App,
    listener: socket.socket,
    *,
    before_fork: Callable[[], None] = lambda: None,
) -> None:
    """Serve until a signal says to stop; ends the process.

    Args:
        before_fork: called when the workers are about to be started.

    Raises:
        UCAMFAASCouldNotLoadTarget: a worker could not start, and all have ended.
    """
    gunicorn = _Gunicorn(app, listener, before_fork)
    try:
        gunicorn.run()
    except SystemExit as error:
        if gunicorn.failure is not None:
            raise UCAMFAASCouldNotLoadTarget(gunicorn.failure) from error
        raise


class _Gunicorn(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's configuration; the same object in the main process and in the workers."""

    def __init__(
        self,
        app: App,
        listener: socket.socket,
        before_fork: Callable[[], None],
    ) -> None:
        self.failure: str | None = None
        """Why a worker could not start."""
        self._asgi = app
        self._listener = listener
        self._before_fork = before_fork
        self._failures, self._failed = os.pipe()
        self._turns, turn = os.pipe()
        os.write(turn, b"1")  # whoever reads it is the first
        self._main_process = MainProcess()
        for end in (self._failures, self._turns):
            os.set_blocking(end, False)
        super().__init__()

    def load_config(self) -> None:
        settings = self._asgi.runtime.settings
        tasks = self._asgi.tasks
        longest = max(task.policy.served_timeout_seconds for task in tasks)
        silent = int(longest) + STUCK_LOOP_SECONDS
        if any(task.init for task in tasks):
            silent = max(silent, START_SECONDS)
        options = {
            "bind": f"fd://{self._listener.fileno()}",
            "workers": settings.workers,
            "worker_class": f"{Worker.__module__}.Worker",
            "keepalive": KEEP_ALIVE_SECONDS,
            "timeout": silent,
            "graceful_timeout": math.ceil(settings.grace_seconds) + 2,
            "preload_app": True,
            "logger_class": f"{__name__}._Logger",
            "loglevel": "debug" if settings.debug else "warning",
            "on_starting": self._give_listener,
            "when_ready": self._when_ready,
            "post_fork": lambda _arbiter, _worker: self._main_process.watch(settings.grace_seconds),
            "child_exit": self._look_for_failure,
            "control_socket_disable": True,
            # In memory, and writable where the root file system is not.
            "worker_tmp_dir": "/dev/shm" if os.access("/dev/shm", os.W_OK) else None,
        }
        for name, value in options.items():
            if name in self.cfg.settings:  # older versions have no control socket to disable
                self.cfg.set(name, value)

    def run(self) -> None:
        _Arbiter(self).run()

    def load(self) -> App:
        gc.collect()
        gc.freeze()  # loaded modules stay: workers need neither scan nor copy them
        return self._asgi

    def _give_listener(self, arbiter: Arbiter) -> None:
        """Give gunicorn its socket, so that it makes none: those that it makes listen at once."""
        arbiter.LISTENERS = [self._listener]

    def _when_ready(self, arbiter: Arbiter) -> None:
        """In the main process, before it forks the workers."""
        if peers := sockets.peers():
            fields = {"peers": peers[:MAX_PEERS], "detail": CONNECTED}
            logger.warning("ucam_faas_connected_at_import", extra={"fields": fields})
        self._before_fork()

    def opened(self) -> None:
        """In a worker: the port is open."""
        try:
            os.read(self._turns, 1)
        except BlockingIOError:
            return
        self._asgi.observer.opened()

    def fail(self, error: UCAMFAASException) -> NoReturn:
        """In a worker: say why it cannot start, and end."""
        os.write(self._failed, str(error).encode()[:MAX_FAILURE_BYTES] + b"\0")
        sys.stdout.flush()
        sys.stderr.flush()
        setup.flush()
        os._exit(0)  # at once: start-up code may have started threads that go on

    def _look_for_failure(self, arbiter: _Arbiter, worker: Any) -> None:
        """In the main process, when a worker has ended: if it could not start, end all."""
        try:
            first, _, _ = os.read(self._failures, 2 * MAX_FAILURE_BYTES).partition(b"\0")
        except BlockingIOError:
            is_stopping = arbiter.is_stopping or not arbiter.LISTENERS
            is_open = not select.select([self._turns], [], [], 0)[0]
            if is_stopping or is_open:
                return
            first = KILLED_AT_START.encode()  # it would be killed again, and again
        self.failure = self.failure or first.decode(errors="replace")
        arbiter.num_workers = 0
        os.kill(os.getpid(), signal.SIGTERM)


class _Arbiter(Arbiter):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's main process, to which exit codes say nothing: a task may end its process.

    gunicorn takes 3 and 4 for a start that failed, and ends all. Workers that cannot start tell
    `_Gunicorn.fail` instead; these two numbers aren't exit codes.

    Control-C is sent to the workers, too. gunicorn 23 learns of their end before it acts on the
    signal itself, and would replace them.
    """

    WORKER_BOOT_ERROR = 0x103
    APP_LOAD_ERROR = 0x104
    is_stopping = False

    def signal(self, sig: int, frame: FrameType | None) -> None:
        """Keep a signal for the main loop."""
        if sig in STOP_SIGNALS:
            self.is_stopping = True
        super().signal(sig, frame)

    def spawn_workers(self) -> None:
        """Start the workers that are missing."""
        if not self.is_stopping:
            super().spawn_workers()


class _Logger(Logger):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's messages, through our log."""

    def setup(self, cfg: Any) -> None:
        self.loglevel = logging.DEBUG if cfg.loglevel == "debug" else logging.WARNING
        self.error_log.setLevel(self.loglevel)
        self.error_log.propagate = True
