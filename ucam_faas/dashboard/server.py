"""The process of a dashboard: serves the application on a socket until a signal says to stop."""

from __future__ import annotations

import socket

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
        log_level="warning",
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    Server(config).run(sockets=[listener])
