"""The stream of one subscription: opened again whenever it ends, until the worker stops.

Pub/Sub counts the messages of each stream by itself. A new stream therefore asks for fewer messages
if the worker still holds some of an earlier one, and is opened again when those have ended.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Sequence, Sized
from contextlib import suppress
from typing import Any

from ucam_faas.logs.problems import log_problem
from ucam_faas.net.worker_streams import CLIENT_PREFIX
from ucam_faas.worker import protos
from ucam_faas.worker.connection import END, Connection, InternalError, RpcError, code_of
from ucam_faas.worker.pace import BatchPace, Pace

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 10.0
"""Between two tries to open a stream."""
KEEP_ALIVE_SECONDS = 30.0
"""Between two empty requests, as Google's clients send them: an idle stream stays open."""


class Stream:
    """Pulls from one subscription.

    Args:
        connection: to Pub/Sub.
        subscription: its full name.
        lease_seconds: of its messages, 10 to 600.
        pace: says how many of its messages the worker may hold.
        held: the messages that it holds.
        max_bytes: of the messages that may be outstanding.
        receive: takes each response's messages, and True if they are in the order of their keys.
    """

    def __init__(
        self,
        connection: Connection,
        subscription: str,
        *,
        lease_seconds: int,
        pace: Pace | BatchPace,
        held: Sized,
        max_bytes: int,
        receive: Callable[[Sequence[Any], bool], object],
    ) -> None:
        self._connection = connection
        self._first = protos.StreamingPullRequest(
            subscription=subscription,
            stream_ack_deadline_seconds=lease_seconds,
            client_id=f"{CLIENT_PREFIX}{uuid.uuid4().hex}",
            max_outstanding_bytes=max_bytes,
        )
        self._pace, self._held = pace, held
        self._limit = 0
        """Messages that the open stream may have outstanding."""
        self._ended = asyncio.Event()
        self._receive = receive
        self._call: Any = None
        self._stopping = False
        self._closing: asyncio.Task[None] | None = None
        self.is_open = False

    async def run(self) -> None:
        """Pull until `stop` is called."""
        pause, is_failing = FIRST_PAUSE_SECONDS, False
        while await self._has_room():
            try:
                await self._pull()
            except RpcError as error:
                if not (self.is_open or is_failing or self._stopping):
                    self._log(error)
                    is_failing = True
            except asyncio.CancelledError:  # of the call, or of this task
                task = asyncio.current_task()
                if self._stopping or task is None or task.cancelling():
                    raise
            if self.is_open:  # Google ends streams from time to time
                self.is_open, pause, is_failing = False, FIRST_PAUSE_SECONDS, False
            if self._closing is not None:
                await self._closing
                self._closing = None
            elif not self._stopping:
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def resize(self) -> None:
        """Take as many messages as the pace says now: Pub/Sub wants another stream for that."""
        if not self._stopping:
            self._close_soon()

    def answered(self) -> None:
        """Note that the worker holds a message less."""
        self._ended.set()
        held, pace = len(self._held), self._pace
        if held < pace.at_once and pace.size - held > self._limit:
            self.resize()

    def stop(self) -> None:
        """Ask for no more messages. Those that were delivered stay leased."""
        self._stopping = True
        self._ended.set()
        self._close_soon()

    async def _has_room(self) -> bool:
        """Wait until the worker may hold more messages; return False if it stops."""
        while not self._stopping and len(self._held) >= self._pace.size:
            self._ended.clear()
            await self._ended.wait()
        self._limit = self._pace.size - len(self._held)
        return not self._stopping

    def _close_soon(self) -> None:
        if self._closing is None and self._call is not None:
            self._closing = asyncio.get_running_loop().create_task(self._half_close())

    async def _half_close(self) -> None:
        if self._call is not None:
            with suppress(RpcError, InternalError, asyncio.InvalidStateError):
                await self._call.done_writing()  # it waits for the connection, and may fail with it

    def cancel(self) -> None:
        """End the stream at once."""
        self._stopping = True
        if self._call is not None:
            self._call.cancel()

    async def _pull(self) -> None:
        self._first.max_outstanding_messages = self._limit
        self._call = call = self._connection.streaming_pull()
        alive = asyncio.get_running_loop().create_task(self._keep_alive(call))
        try:
            await call.write(self._first)
            if self._stopping:
                await self._half_close()
            while (response := await call.read()) is not END:
                self.is_open = True
                if response.received_messages:
                    ordered = response.subscription_properties.message_ordering_enabled
                    self._receive(response.received_messages, ordered)
            code = await call.code()
            if code.value[0]:
                raise await _error_of(call)
        finally:
            alive.cancel()
            self._call = None

    async def _keep_alive(self, call: Any) -> None:
        with suppress(RpcError, asyncio.InvalidStateError):
            while not self._stopping:
                await asyncio.sleep(KEEP_ALIVE_SECONDS)
                await call.write(protos.StreamingPullRequest())

    def _log(self, error: Any) -> None:
        log_problem(
            "ucam_faas_pull_failed",
            subscription=self._first.subscription,
            code=code_of(error),
            detail=error.details(),
        )


async def _error_of(call: Any) -> Any:
    return RpcError(
        await call.code(),
        await call.initial_metadata(),
        await call.trailing_metadata(),
        details=await call.details(),
    )
