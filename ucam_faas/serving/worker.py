"""One worker process: an event loop with uvicorn's server on it, and an orderly end.

It runs the tasks' start-up code, opens the port, serves, and drains.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import signal
import socket
from collections.abc import Callable
from types import FrameType
from typing import Any

from uvicorn.config import Config
from uvicorn.server import Server
from uvicorn_worker import UvicornWorker

from ucam_faas.exceptions import UCAMFAASException
from ucam_faas.logs import problems, setup
from ucam_faas.net.http_protocol import HttpProtocol
from ucam_faas.net.sockets import address_error
from ucam_faas.serving import shortage
from ucam_faas.serving.app import App
from ucam_faas.serving.orphans import SECONDS_BEYOND_GRACE, exit_within

ADVICE = "Choose another with --host and --port, or HOST and PORT."
TICKS_IN_A_SECOND = 10
"""uvicorn's main loop ticks that often."""
LAST_REQUEST_SECONDS = 0.1
"""For the requests of the connections that were accepted last: a closed one would lose them."""


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
                raise address_error(host, port, error, ADVICE) from error
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
        self._app.service.runner.close()
        if self._app.runtime.telemetry is not None:
            self._app.runtime.telemetry.close()
