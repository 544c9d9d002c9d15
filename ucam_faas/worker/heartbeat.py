"""The worker's side of the process that extends leases.

The process is told of each message before it starts, so that a task may hold the interpreter lock
for any time. It is told of their ends in batches.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from ucam_faas.config import Settings
from ucam_faas.logs.problems import log_problem
from ucam_faas.worker.messages import Pulled
from ucam_faas.worker.sources import Source

TICK_SECONDS = 1.0
"""The process extends leases for a task's timeout beyond the last tick of the worker's loop."""


class Heartbeat:
    """A process that extends the leases of messages that this one holds.

    Args:
        settings: name the Pub/Sub.
        sources: where the messages come from.
        lease_seconds: of the messages.
    """

    def __init__(self, settings: Settings, sources: Sequence[Source], lease_seconds: int) -> None:
        self._numbers = {source: number for number, source in enumerate(sources)}
        self._hello = {
            "host": settings.pubsub_emulator,
            "lease": lease_seconds,
            "sources": [
                [source.subscription, source.task.policy.served_timeout_seconds]
                for source in sources
            ],
        }
        self._held: dict[int, Pulled] = {}
        self._done: list[int] = []
        """The numbers of answered messages that the process isn't told of yet."""
        self._process: asyncio.subprocess.Process | None = None
        self._watching: asyncio.Task[None] | None = None
        self._ticking: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Start the process; should it end, start another."""
        await self._spawn()
        self._tick()

    async def end(self) -> None:
        """End the process, when all messages are answered: it gives nothing back."""
        if self._ticking is not None:
            self._ticking.cancel()
        if self._process is None or self._watching is None:
            return
        self._watching.cancel()  # or it would start another
        await asyncio.wait((self._watching,))
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        with suppress(OSError, RuntimeError):
            self._stdin.close()
            await self._stdin.wait_closed()

    def hold(self, source: Source, messages: Sequence[Pulled]) -> None:
        """Extend the leases of messages from now on."""
        self._held.update((pulled.number, pulled) for pulled in messages)
        self._write_held(source, messages)

    def release(self, numbers: Iterable[int]) -> None:
        """Stop extending the leases of messages that are answered, from the next tick on."""
        self._done += [number for number in numbers if self._held.pop(number, None) is not None]

    @property
    def _stdin(self) -> asyncio.StreamWriter:
        assert self._process is not None, "it was started"
        assert self._process.stdin is not None, "it was started with a pipe"
        return self._process.stdin

    async def _spawn(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "ucam_faas.worker.heartbeat_process"),
            stdin=asyncio.subprocess.PIPE,
            start_new_session=True,  # a terminal's Control-C is for the worker alone
        )
        self._write("hello", self._hello)
        self._watching = asyncio.get_running_loop().create_task(self._watch(self._process))

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        code = await process.wait()
        while True:
            log_problem("ucam_faas_heartbeat_ended", exit_code=code, messages=len(self._held))
            await asyncio.sleep(TICK_SECONDS)
            try:
                await self._spawn()
            except OSError as error:
                log_problem("ucam_faas_heartbeat_failed", error=error)
                continue
            by_source: dict[Source, list[Pulled]] = {}
            for pulled in self._held.values():
                by_source.setdefault(pulled.source, []).append(pulled)
            for source, messages in by_source.items():
                self._write_held(source, messages)
            return

    def _write_held(self, source: Source, messages: Sequence[Pulled]) -> None:
        pairs = {pulled.number: pulled.ack_id for pulled in messages}
        self._write("hold", self._numbers[source], list(pairs), list(pairs.values()))

    def _write(self, *line: Any) -> None:
        with suppress(OSError, RuntimeError):  # it has ended; `_watch` starts another
            self._stdin.write(json.dumps(line).encode() + b"\n")

    def _tick(self) -> None:
        self._write("done", self._done)
        self._done.clear()
        self._ticking = asyncio.get_running_loop().call_later(TICK_SECONDS, self._tick)
