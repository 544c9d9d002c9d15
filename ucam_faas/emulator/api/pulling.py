"""Pull and StreamingPull: the methods that wait for messages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

from ucam_faas.clock import timeout
from ucam_faas.emulator.api import protos
from ucam_faas.emulator.api.received import received
from ucam_faas.emulator.api.streaming_pull import StreamingPull
from ucam_faas.emulator.api.subscriber import SubscriberApi
from ucam_faas.emulator.core.lease import Holder, Lease
from ucam_faas.emulator.core.queues import Queue
from ucam_faas.emulator.errors import RpcError, invalid
from ucam_faas.emulator.hub import Hub

PULL_SECONDS = 50.0
"""How long an empty pull waits. Google's REST client gives up after 60 s."""
MAX_PULLED = 1000


class Puller:
    """One waiting Pull."""

    def __init__(self, hub: Hub, queue: Queue, limit: int) -> None:
        self._hub = hub
        self._queue = queue
        self._limit = limit
        self.holder = Holder()
        self.leases: list[Lease] = []
        self.error: RpcError | None = None
        self.ready = asyncio.Event()

    def offer(self) -> None:
        """Take messages, once."""
        if not self.leases:
            engine = self._hub.engine
            self.leases = engine.take(self._queue, self._hub.now(), self.holder, self._limit)
            if self.leases:
                self.ready.set()

    def end(self, error: RpcError) -> None:
        """Wait no longer; messages taken already are returned."""
        if not self.leases:
            self.error = error
            self.ready.set()


class Pulling:
    """Pull and StreamingPull.

    Args:
        hub: offers the messages.
        subscriptions: finds the queues.
    """

    def __init__(self, hub: Hub, subscriptions: SubscriberApi) -> None:
        self._hub = hub
        self._subscriptions = subscriptions
        self._streams: dict[StreamingPull, None] = {}
        self._pullers: dict[Puller, str] = {}
        """With their subscriptions."""
        self._closed = False

    async def pull(self, request: Any) -> Any:
        """Return some messages: as soon as there are any, or none after a while."""
        hub, queue = self._hub, self.queue(request.subscription)
        if request.max_messages <= 0:
            raise invalid(f"Invalid max_messages: {request.max_messages}. Expected at least 1.")
        puller = Puller(hub, queue, min(request.max_messages, MAX_PULLED))
        hub.join(queue, puller)
        self._pullers[puller] = request.subscription
        try:
            await self._wait(puller, at_once=request.return_immediately or self._closed)
        except asyncio.CancelledError:  # the client is gone
            hub.engine.release(queue, puller.holder)
            hub.changed()
            raise
        finally:
            hub.leave(queue, puller)
            del self._pullers[puller]
        if puller.error is not None:
            raise puller.error
        return protos.PullResponse(received_messages=received(queue, puller.leases))

    async def _wait(self, puller: Puller, *, at_once: bool) -> None:
        """Wait for messages, and until their publishers have had time to read their ids."""
        hub = self._hub
        if at_once:
            await hub.saved()
        else:
            with suppress(TimeoutError):
                async with timeout(hub.readers_clock, PULL_SECONDS):
                    await puller.ready.wait()
        await hub.read(max((lease.message.number for lease in puller.leases), default=0))

    def queue(self, subscription: str) -> Queue:
        """Return the queue of a subscription that can be pulled.

        Raises:
            RpcError: NOT_FOUND, or FAILED_PRECONDITION.
        """
        queue = self._subscriptions.queue(subscription)
        if queue.rules.pushes:
            raise RpcError("FAILED_PRECONDITION", "The subscription pushes: it cannot be pulled.")
        return queue

    async def stream(
        self, requests: AsyncIterator[Any], write: Callable[[Any], Awaitable[None]]
    ) -> None:
        """Serve one StreamingPull until the client closes its side.

        Raises:
            RpcError: a request is wrong, or the subscription is gone.
        """
        stream = StreamingPull(self._hub, self.queue)
        self._streams[stream] = None
        try:
            await stream.run(requests, write)
        finally:
            del self._streams[stream]

    def close(self) -> None:
        """Release waiting calls and refuse new ones."""
        self._closed = True
        for puller in self._pullers:
            puller.ready.set()
        for stream in self._streams:
            stream.end(RpcError("UNAVAILABLE", "The emulator is ending."))

    def check(self, subscription: str) -> None:
        """End the calls for a subscription that was deleted or detached, or pushes."""
        try:
            self.queue(subscription)
        except RpcError as error:
            for puller, name in self._pullers.items():
                if name == subscription:
                    puller.end(error)
            for stream in self._streams:
                if stream.subscription == subscription:
                    stream.end(error)
