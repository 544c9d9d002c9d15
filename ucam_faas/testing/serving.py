"""Tasks on a port of their own, in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from uvicorn.config import Config
from uvicorn.server import ServerState

from ucam_faas.net.http_protocol import HttpProtocol
from ucam_faas.serving.app import App
from ucam_faas.serving.background import BackgroundLoop
from ucam_faas.tasks import startup


@contextmanager
def served(app: App) -> Iterator[str]:
    """Serve an application over HTTP on a loop of its own, and return its address.

    Raises:
        UCAMFAASCouldNotLoadTarget: start-up code of its tasks fails.
    """
    loop = BackgroundLoop()
    state = ServerState()
    config = Config(app, log_config=None, access_log=False, lifespan="off", ws="none")
    config.load()

    async def start() -> asyncio.Server:
        await startup.run(app.tasks, app.runtime.clock)
        return await asyncio.get_running_loop().create_server(
            lambda: HttpProtocol(config=config, server_state=state, app_state={}),
            host="127.0.0.1",
            port=0,
        )

    async def stop() -> None:
        server.close()
        for connection in list(state.connections):
            connection.shutdown()

    try:
        server = loop.run(start)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            loop.run(stop)
    finally:
        app.service.runner.close()
        loop.close()
