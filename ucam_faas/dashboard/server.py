"""The process of a dashboard: serves the application on a socket until a signal says to stop."""

from __future__ import annotations

import signal
import socket
from types import FrameType

from uvicorn.config import Config
from uvicorn.server import Server

from ucam_faas.dashboard.app import Site
from ucam_faas.net.http_protocol import HttpProtocol

GRACE_SECONDS = 2
"""For answers that are under way at the end."""
MOST_CONNECTIONS = 500


def run(app: Site, listener: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT; or SIGHUP, of a terminal that is closed, without `nohup`."""
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
    server = _Server(config, app)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, server.hang_up)  # uvicorn knows the others
    server.run(sockets=[listener])


class _Server(Server):
    """Ends streams when a signal comes: they don't end by themselves."""

    def __init__(self, config: Config, app: Site) -> None:
        super().__init__(config)
        self._app = app

    def hang_up(self, sig: int, frame: FrameType | None) -> None:
        """End in order; the shell may signal that again."""
        self._app.end_streams()
        self.should_exit = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End in order."""
        self._app.end_streams()
        super().handle_exit(sig, frame)
