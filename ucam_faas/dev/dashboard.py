"""The process of the dashboard: it gets a listening socket, and ends when this process does."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
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


@asynccontextmanager
async def running(
    listener: socket.socket, folder: Path, on_end: Callable[[str], None]
) -> AsyncIterator[None]:
    """Run the process; pages wait until it answers.

    Args:
        listener: accepts its connections; it is closed in this process.
        folder: that `ucam-faas dev` runs in.
        on_end: is called with a sentence if the process ends by itself.
    """
    port, log = listener.getsockname()[1], folder / FOLDER / LOG
    process, lifeline = await _start(listener, folder, log)
    watch = asyncio.ensure_future(_tell(process, port, log, on_end))
    try:
        yield
    finally:
        watch.cancel()
        os.close(lifeline)
        await _end(process)


async def _start(
    listener: socket.socket, folder: Path, log: Path
) -> tuple[asyncio.subprocess.Process, int]:
    """Return the process, and the end of a pipe: it ends when no process holds that any more."""
    theirs, lifeline = os.pipe()
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        process = await asyncio.create_subprocess_exec(
            # -P: a user's file in this directory must not shadow Python's library.
            *(sys.executable, "-P", "-m", "ucam_faas.dashboard.process"),
            *(str(listener.fileno()), str(theirs), str(folder)),
            pass_fds=(listener.fileno(), theirs),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Control-C is for us: it ends with this process
        )
    except BaseException:
        os.close(lifeline)
        raise
    finally:
        os.close(theirs)
        os.close(output)
        listener.close()
    return process, lifeline


async def _tell(
    process: asyncio.subprocess.Process, port: int, log: Path, on_end: Callable[[str], None]
) -> None:
    code = await process.wait()
    see = f"; see {FOLDER}/{LOG}" if log.exists() and log.stat().st_size else ""
    on_end(
        f"the dashboard ended (exit code {code}{see}). To start it again, run "
        f"`ucam-faas dashboard --port {port}` here"
    )


async def _end(process: asyncio.subprocess.Process) -> None:
    try:
        await asyncio.wait_for(process.wait(), END_SECONDS)
    except TimeoutError:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
