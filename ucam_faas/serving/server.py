"""gunicorn as the process manager: one socket, workers with an event loop each, an orderly end.

The tasks are imported before the workers are forked, so that a bad source is an error at
start-up and a replaced worker starts at once. The socket is bound before that, too, and listens
when the first worker has run the tasks' start-up code; if that fails, all ends.
"""

from __future__ import annotations

import asyncio
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
from uvicorn.config import Config
from uvicorn.server import Server
from uvicorn_worker import UvicornWorker

from ucam_faas.exceptions import (
    UCAMFAASCouldNotLoadTarget,
    UCAMFAASException,
)
from ucam_faas.logs import problems, setup
from ucam_faas.net import sockets as listening
from ucam_faas.net.http_protocol import HttpProtocol
from ucam_faas.serving import shortage
from ucam_faas.serving.app import App
from ucam_faas.serving.orphans import SECONDS_BEYOND_GRACE, MainProcess, exit_within

KEEP_ALIVE_SECONDS = 620
"""Longer than the 600 s of Google's front ends, so that they close idle connections, not we."""
STUCK_LOOP_SECONDS = 60
"""Beyond the longest timeout: a worker whose event loop is silent for this long is killed."""
START_SECONDS = 300
"""Start-up code may take this long, at least: more than Cloud Run gives an instance to start."""
MAX_FAILURE_BYTES = 4000
"""A pipe takes this much at once, and from several processes without mixing it."""
KILLED_AT_START = (
    "A process ended while it started, and did not say why: its memory may be too small, or its "
    "start-up code ended it."
)
ADVICE = "Choose another with --host and --port, or HOST and PORT."
TICKS_IN_A_SECOND = 10
"""uvicorn's main loop ticks that often."""
LAST_REQUEST_SECONDS = 0.1
"""For the requests of the connections that were accepted last: a closed one would lose them."""


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that has an address, and does not listen yet.

    Raises:
        ConfigurationError: the address is taken or invalid.
    """
    return listening.bind(host, port, ADVICE)


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
            "worker_class": f"{__name__}.Worker",
            "keepalive": KEEP_ALIVE_SECONDS,
            "timeout": silent,
            "graceful_timeout": math.ceil(settings.grace_seconds) + 2,
            "preload_app": True,
            "logger_class": f"{__name__}._Logger",
            "loglevel": "debug" if settings.debug else "warning",
            "on_starting": self._give_listener,
            "when_ready": lambda _: self._before_fork(),
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

    def _look_for_failure(self, arbiter: Arbiter, worker: Any) -> None:
        """In the main process, when a worker has ended: if it could not start, end all."""
        try:
            first, _, _ = os.read(self._failures, 2 * MAX_FAILURE_BYTES).partition(b"\0")
        except BlockingIOError:
            is_stopping = not arbiter.LISTENERS
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
    `_Gunicorn.fail` instead; these two numbers are no exit codes.
    """

    WORKER_BOOT_ERROR = 0x103
    APP_LOAD_ERROR = 0x104


class _Logger(Logger):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's messages, through our log."""

    def setup(self, cfg: Any) -> None:
        self.loglevel = logging.DEBUG if cfg.loglevel == "debug" else logging.WARNING
        self.error_log.setLevel(self.loglevel)
        self.error_log.propagate = True


class Worker(UvicornWorker):  # type: ignore[misc]  # uvicorn-worker derives from gunicorn
    """One process: an event loop, our application, and a drain at its end."""

    CONFIG_KWARGS = {  # noqa: RUF012  # the base class's own spelling
        "loop": "auto",
        "http": HttpProtocol,
        "access_log": False,
        "server_header": False,
        "ws": "none",
        "lifespan": "off",
        "callback_notify": None,  # by the wall clock, which may be set back: see `on_tick`
        "proxy_headers": False,  # it trusts loopback only; HTTP tasks read the scheme themselves
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        errors = logging.getLogger("uvicorn.error")  # through our log, like all else
        errors.handlers, errors.propagate = [], True

    def init_process(self) -> None:
        """Serve; or, when that cannot begin, end all."""
        try:
            super().init_process()
        except Exception as error:
            if not self.booted:
                self.app.fail(UCAMFAASException(f"A process could not start: {error!r}"))
            raise

    async def _serve(self) -> None:
        app: App = self.wsgi
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(problems.log_loop_problem)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, _leave)  # until the server has handlers of its own
        try:
            await app.start()
            await self._serve_app(app)
        except UCAMFAASException as error:
            self.app.fail(error)

    async def _serve_app(self, app: App) -> None:
        self.config.app = app
        # Beyond the grace there are only clients that have not sent their whole request.
        grace = app.runtime.settings.grace_seconds
        self.config.timeout_graceful_shutdown = math.ceil(grace) + 1
        server = _Server(self.config, app, on_open=self.app.opened, heartbeat=self.notify)
        # gunicorn's own signal for a quick stop, which it sends on Control-C.
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(server.handle_loop_problem)
        loop.add_signal_handler(signal.SIGQUIT, server.handle_exit, signal.SIGQUIT, None)
        await server.serve(sockets=self.sockets)


def _leave(number: int, frame: FrameType | None) -> None:
    """End at once: nothing is served yet, and nothing has to be finished."""
    setup.flush()
    os._exit(0)


class _Server(Server):
    def __init__(
        self,
        config: Config,
        app: App,
        on_open: Callable[[], None],
        heartbeat: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._app = app
        self._on_open = on_open
        self._heartbeat = heartbeat
        self._is_short = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        for listener in sockets or []:
            host, port = listener.getsockname()[:2]
            try:
                listener.listen(self.config.backlog)  # it may do so already
            except OSError as error:  # another process took the address while start-up code ran
                raise listening.address_error(host, port, error, ADVICE) from error
        await super().startup(sockets)
        self._on_open()

    async def on_tick(self, counter: int) -> bool:
        """Once a second, tell the main process that the loop runs, and see whether it can go on."""
        if counter % TICKS_IN_A_SECOND == 0:
            self._heartbeat()
            if (reason := shortage.reason()) is not None:
                self.leave(reason)
        if self._app.service.runner.is_exhausted:
            self.leave("too many threads are abandoned")
        return await super().on_tick(counter)

    def handle_loop_problem(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Log the event loop's reports; when descriptors have run out, once."""
        reason = shortage.reason_of(context.get("exception"))
        if reason is not None and not self._is_short:
            self._is_short = True
            self.leave(reason)
            for server in self.servers:
                server.close()  # asyncio would fail to accept, thousands of times a second
        elif not self._is_short:
            problems.log_loop_problem(loop, context)

    def leave(self, reason: str) -> None:
        """End this process in order, but end it; gunicorn starts another."""
        if self.should_exit:
            return
        exit_within(self._app.runtime.settings.grace_seconds + SECONDS_BEYOND_GRACE)
        problems.log_problem("ucam_faas_process_replaced", reason=reason)
        self.should_exit = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Drain. A worker that drained ends with 0: no signal is raised again after it."""
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        self._app.observer.closed()
        await asyncio.sleep(LAST_REQUEST_SECONDS)
        self._app.service.drain()
        await super().shutdown(sockets)
