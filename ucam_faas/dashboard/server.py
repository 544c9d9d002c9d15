"""The process of a dashboard: serves the application on a socket until a signal says to stop."""

from __future__ import annotations

import os
import select
import signal
import socket
import threading

from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.server import Server

from ucam_faas.net.http_protocol import HttpProtocol

GRACE_SECONDS = 1
"""For answers that are under way at the end; streams don't end by themselves."""
MOST_CONNECTIONS = 500


def run(app: ASGIApp, listener: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT."""
    config = Config(
        app,
        http=HttpProtocol,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    Server(config).run(sockets=[listener])


def end_with(descriptor: int) -> None:
    """End this process when the other end of a pipe is closed, even by `kill -9` of its holder."""
    os.set_inheritable(descriptor, False)

    def watch() -> None:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        poll.poll()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="ucam-faas-parent-watch", daemon=True).start()
