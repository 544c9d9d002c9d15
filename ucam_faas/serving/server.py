"""gunicorn as the process manager: one socket, workers with an event loop each, an orderly end.

The tasks are imported before the workers are forked, so that a bad source is an error at
start-up and a replaced worker starts at once.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import math
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger
from uvicorn.config import Config
from uvicorn.server import Server
from uvicorn_worker import UvicornWorker

from ucam_faas import reports
from ucam_faas.exceptions import ConfigurationError
from ucam_faas.serving.app import App

KEEP_ALIVE_SECONDS = 620
"""Longer than the 600 s of Google's front ends, so that they close idle connections, not we."""
STUCK_LOOP_SECONDS = 60
"""Beyond the longest timeout: a worker whose event loop is silent for this long is killed."""

LAST_REQUEST_SECONDS = 0.1
"""For the requests of the connections that were accepted last: a closed one would lose them."""


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    Raises:
        ConfigurationError: the address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        listener.close()
        why = getattr(error, "strerror", None) or str(error)
        raise ConfigurationError(
            f"Cannot listen on {host}:{port}: {why}. Choose another with --host and --port, or "
            "HOST and PORT."
        ) from error
    listener.listen(2048)
    return listener


def run(app: App, listener: socket.socket, on_ready: Callable[[], None]) -> None:
    """Serve until a signal says to stop; ends the process.

    Args:
        on_ready: called when the port is open and the workers are about to start.
    """
    _Gunicorn(app, listener, on_ready).run()


class _Gunicorn(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    def __init__(self, app: App, listener: socket.socket, on_ready: Callable[[], None]) -> None:
        self._asgi = app
        self._listener = listener
        self._on_ready = on_ready
        super().__init__()

    def load_config(self) -> None:
        settings = self._asgi.runtime.settings
        longest = max(task.policy.served_timeout_seconds for task in self._asgi.tasks)
        options = {
            "bind": f"fd://{self._listener.fileno()}",
            "workers": settings.workers,
            "worker_class": f"{__name__}.Worker",
            "keepalive": KEEP_ALIVE_SECONDS,
            "timeout": int(longest) + STUCK_LOOP_SECONDS,
            "graceful_timeout": math.ceil(settings.grace_seconds) + 2,
            "preload_app": True,
            "logger_class": f"{__name__}._Logger",
            "loglevel": "debug" if settings.debug else "warning",
            "when_ready": lambda _: self._on_ready(),
            "control_socket_disable": True,
        }
        for name, value in options.items():
            if name in self.cfg.settings:  # older versions have no control socket to disable
                self.cfg.set(name, value)

    def load(self) -> App:
        gc.collect()
        gc.freeze()  # what is loaded now stays: workers need neither scan nor copy it
        return self._asgi


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
        "http": "auto",
        "access_log": False,
        "server_header": False,
        "ws": "none",
        "lifespan": "off",
        "proxy_headers": False,  # it trusts loopback only; HTTP tasks read the scheme themselves
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        errors = logging.getLogger("uvicorn.error")  # through our log, like all else
        errors.handlers, errors.propagate = [], True

    async def _serve(self) -> None:
        app: App = self.wsgi
        self.config.app = app
        # Beyond the grace there are only clients that have not sent their whole request.
        grace = app.runtime.settings.grace_seconds
        self.config.timeout_graceful_shutdown = math.ceil(grace) + 1
        server = _Server(self.config, app)
        app.on_exhausted = server.leave
        # gunicorn's own signal for a quick stop, which it sends on Control-C.
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(reports.log_loop_problem)
        loop.add_signal_handler(signal.SIGQUIT, server.handle_exit, signal.SIGQUIT, None)
        await server.serve(sockets=self.sockets)
        if not server.started:
            sys.exit(Arbiter.WORKER_BOOT_ERROR)


class _Server(Server):
    def __init__(self, config: Config, app: App) -> None:
        super().__init__(config)
        self._app = app

    def leave(self) -> None:
        """End this process in order, but end it; gunicorn starts another."""
        if self.should_exit:
            return
        # Python waits for threads that tasks have started, and these may be what is stuck.
        seconds = self._app.runtime.settings.grace_seconds + 2
        watchdog = threading.Timer(seconds, os._exit, [0])
        watchdog.daemon = True
        watchdog.start()
        logging.getLogger("ucam_faas").error("ucam_faas_process_replaced")
        self.should_exit = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Drain. A worker that drained ends with 0: no signal is raised again after it."""
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        self._app.on_closed()
        await asyncio.sleep(LAST_REQUEST_SECONDS)
        self._app.service.runner.drain()
        await super().shutdown(sockets)
