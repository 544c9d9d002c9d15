"""Generations of the serving process: a new one takes over from the last one, when it is ready.

All of them accept from one listening socket, which stays open, so no delivery is refused. Each ends
by itself when its parent has ended, for whatever reason: the socket between them closes.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from ucam_faas.exceptions import UCAMFAASException
from ucam_faas.tasks.needs import TaskNeeds

CLOSE_SECONDS = 2.0
"""How long a process has to stop accepting connections: a task may block its event loop."""
KILL_SECONDS = 20.0
"""The shortest time that a process has to drain."""
_LONGEST_LINE = 64 * 1024 * 1024


class NotLoadedError(UCAMFAASException):
    """The tasks cannot be served as they are now.

    Args:
        folders: which hold the modules that were imported until it failed.
        fatal: no change of a file cures it: the command line or the environment is wrong.
        code: of the error that the process met.
    """

    error_code = "source-not-loaded"

    def __init__(
        self,
        message: str,
        folders: Sequence[str] = (),
        *,
        fatal: bool = False,
        code: str = error_code,
    ) -> None:
        super().__init__(message)
        self.error_code = code
        self.folders = list(folders)
        self.fatal = fatal


class Generation:
    """One serving process, the leader of its own process group."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        link: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        said: Mapping[str, Any],
        kill_seconds: float,
    ) -> None:
        self.process = process
        self.plans = [TaskNeeds.from_json(plan) for plan in said["plans"]]
        self.tasks = [
            {
                "needs": plan,
                "schema": schema,
                "topic_schema": said["topic_schemas"].get(plan["topic"]),
            }
            for plan, schema in zip(said["plans"], said["schemas"], strict=True)
        ]
        """For `local_state.write_tasks`."""
        self.existing_topics: list[str] = said["existing_topics"]
        self.topic_schemas: dict[str, dict[str, str]] = said["topic_schemas"]
        self.folders: list[str] = said["folders"]
        """The folders of its modules."""
        self.down: dict[str, str] = said["down"]
        """Tasks whose start-up code failed, and why."""
        self._workers: int = said["ready"]
        self._reader, self._link = link
        self._kill_seconds = kill_seconds
        self._terminated = False

    def kill(self) -> None:
        """End it and its workers now, if they still run."""
        _kill(self.process)

    async def close(self) -> None:
        """Make it stop accepting connections; return when it has."""
        self._terminate()
        with suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(CLOSE_SECONDS):
                for _ in range(self._workers):
                    if not await self._reader.readline():
                        return

    async def stop(self) -> None:
        """Let it drain, and end it."""
        self._terminate()
        try:
            await asyncio.wait_for(self.process.wait(), self._kill_seconds)
        except TimeoutError:
            pass
        finally:
            self.kill()
            await self.process.wait()
            self._link.close()

    def _terminate(self) -> None:
        if self.process.returncode is None and not self._terminated:
            self._terminated = True
            self.process.send_signal(signal.SIGTERM)


async def start(
    listener: socket.socket,
    sources: list[str],
    target: str | None,
    environ: Mapping[str, str],
    lines: int | None = None,
) -> Generation:
    """Start a process, and return when it serves; cancelled, it leaves no process behind.

    Args:
        listener: accepts its connections.
        sources: files, folders and modules of the tasks.
        target: names of the tasks to serve; None: all.
        environ: its environment.
        lines: a descriptor for the log lines of the history; None: there is no history.

    Raises:
        NotLoadedError: the sources cannot be loaded; the message says why.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        reader, link = await asyncio.open_connection(sock=ours, limit=_LONGEST_LINE)
        fds = [listener.fileno(), theirs.fileno()]
        if lines is not None:
            fds.append(lines)
        try:
            process = await asyncio.create_subprocess_exec(
                # -P: a user's file in this directory must not shadow Python's library.
                *(sys.executable, "-P", "-m", "ucam_faas.dev.serving_process"),
                *(",".join(map(str, fds)), target or "", *sources),
                pass_fds=fds,
                env=dict(environ),
                stdin=asyncio.subprocess.DEVNULL,
                start_new_session=True,  # Control-C is for us: we end it in order
            )
        except BaseException:
            link.close()
            raise
    try:
        said = await _hear(reader)
    except BaseException:
        _kill(process)
        await process.wait()
        link.close()
        raise
    return Generation(process, (reader, link), said, _kill_seconds(environ))


async def _hear(reader: asyncio.StreamReader) -> dict[str, Any]:
    """Return the report of a process, once it is ready."""
    said: dict[str, Any] = {}
    with suppress(ConnectionError):
        while line := await reader.readline():
            said |= json.loads(line)
            if "error" in said:
                fatal = said.get("fatal", False)
                error = NotLoadedError(
                    said["error"], said["folders"], fatal=fatal, code=said["code"]
                )
                error.place = said.get("place")
                raise error
            if "ready" in said:
                return said
    raise NotLoadedError(
        "The process that serves the tasks has ended; its output says why.", said.get("folders", ())
    )


def _kill(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _kill_seconds(environ: Mapping[str, str]) -> float:
    """Return how long a process may drain: a little longer than its own limit."""
    try:
        grace = float(environ.get("UCAM_FAAS_GRACE_SECONDS", ""))
    except ValueError:
        return KILL_SECONDS
    return max(KILL_SECONDS, grace + 5.0)
