"""Generations of the serving process: a new one takes over from the last one, when it is ready.

All of them accept from one listening socket, which stays open: no delivery meets a closed door.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Mapping
from typing import Any

from ucam_faas.exceptions import UCAMFAASException
from ucam_faas.plans import TaskPlan

KILL_SECONDS = 20.0


class NotLoadedError(UCAMFAASException):
    """The tasks cannot be served as they are now."""


class Generation:
    """One serving process."""

    def __init__(
        self, process: asyncio.subprocess.Process, plans: list[TaskPlan], folders: list[str]
    ) -> None:
        self.process = process
        self.plans = plans
        self.folders = folders
        """Which hold its modules."""

    async def stop(self) -> None:
        """Let it drain, and end it."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self.process.wait(), KILL_SECONDS)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()


async def start(
    listener: socket.socket, sources: list[str], target: str | None, environ: Mapping[str, str]
) -> Generation:
    """Start a process, and return when it serves.

    Args:
        listener: what it accepts from.
        sources: what holds the tasks.
        target: names of the tasks to serve; None: all.
        environ: its environment.

    Raises:
        NotLoadedError: the sources cannot be loaded; the message says why.
    """
    read_fd, write_fd = os.pipe()
    module = "ucam_faas.dev.serving_process"
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module, str(listener.fileno()), str(write_fd)),
            *(target or "", *sources),
            pass_fds=(listener.fileno(), write_fd),
            env=dict(environ),
            stdin=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # Control-C is for us: we end it in order
        )
    finally:
        os.close(write_fd)
    try:
        said = await _hear(read_fd)
    except BaseException:
        if process.returncode is None:
            process.kill()
        await process.wait()
        raise
    plans = [TaskPlan.from_dict(plan) for plan in said["plans"]]
    return Generation(process, plans, said["folders"])


async def _hear(read_fd: int) -> dict[str, Any]:
    """Return what a process says of itself, when it says that it is ready."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=64 * 1024 * 1024)
    pipe = os.fdopen(read_fd, "rb")
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    said: dict[str, Any] = {}
    try:
        while line := await reader.readline():
            said |= json.loads(line)
            if "error" in said:
                raise NotLoadedError(said["error"])
            if "ready" in said:
                return said
    finally:
        transport.close()
    raise NotLoadedError("The process that serves the tasks has ended; its output says why.")
