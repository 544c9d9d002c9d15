"""The process of the dashboard: it gets a listening socket, and ends when this process does."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from ucam_faas.local_state import DASHBOARD_PORTS, FOLDER
from ucam_faas.net import sockets

LOG = "dashboard.log"
"""In the folder of the state: an error's traceback, which would fill the terminal."""
END_SECONDS = 5.0
_ADVICE = "Choose another port with --dashboard-port; 0 takes any free one."


def listen(host: str, port: int | None) -> socket.socket:
    """Return a listening socket.

    Args:
        host: to listen on.
        port: None takes the first free one of the usual ones, else any.

    Raises:
        ConfigurationError: the address is taken or invalid.
    """
    if port is None:
        listener = sockets.bind_first(host, DASHBOARD_PORTS, _ADVICE)
    else:
        listener = sockets.bind(host, port, _ADVICE)
    listener.listen()
    return listener


class Dashboard:
    """A running process.

    Args:
        process: of the dashboard.
        lifeline: the end of a pipe; the process ends when no process holds it any more.
        port: that it listens on.
        log: the file of its output.
        on_end: is called with a sentence if the process ends by itself.
    """

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        lifeline: int,
        *,
        port: int,
        log: Path,
        on_end: Callable[[str], None],
    ) -> None:
        self._process = process
        self._lifeline = lifeline
        self._port = port
        self._log = log
        self._watch = asyncio.ensure_future(self._tell(on_end))

    async def _tell(self, on_end: Callable[[str], None]) -> None:
        code = await self._process.wait()
        see = f"; see {FOLDER}/{LOG}" if self._log.exists() and self._log.stat().st_size else ""
        on_end(
            f"the dashboard ended (exit code {code}{see}). To start it again, run "
            f"`ucam-faas dashboard --port {self._port}` here"
        )

    async def stop(self) -> None:
        """End the process."""
        self._watch.cancel()
        os.close(self._lifeline)
        try:
            await asyncio.wait_for(self._process.wait(), END_SECONDS)
        except TimeoutError:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            await self._process.wait()


async def start(listener: socket.socket, folder: Path, on_end: Callable[[str], None]) -> Dashboard:
    """Start the process; pages wait until it answers.

    Args:
        listener: accepts its connections; it is closed in this process.
        folder: that `ucam-faas dev` runs in.
        on_end: is called with a sentence if the process ends by itself.
    """
    theirs, lifeline = os.pipe()
    port, path = listener.getsockname()[1], folder / FOLDER / LOG
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        process = await asyncio.create_subprocess_exec(
            # -P: a user's file in this directory must not shadow Python's library.
            *(sys.executable, "-P", "-m", "ucam_faas.dashboard.process"),
            *(str(listener.fileno()), str(theirs), str(folder)),
            pass_fds=(listener.fileno(), theirs),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Control-C is for us: it ends with this process
        )
    except BaseException:
        os.close(lifeline)
        raise
    finally:
        os.close(theirs)
        os.close(log)
        listener.close()
    return Dashboard(process, lifeline, port=port, log=path, on_end=on_end)
