"""Pull and StreamingPull: the methods that wait for messages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from ucam_faas.emulator.api import protos
from ucam_faas.emulator.api.subscriber import SubscriberApi, check_size, deadline, parse_ids
from ucam_faas.emulator.core.lease import AckId, Delivery, Holder
from ucam_faas.emulator.core.queues import Queue
from ucam_faas.emulator.errors import RpcError, invalid
from ucam_faas.emulator.hub import Hub

PULL_SECONDS = 50.0
"""How long an empty pull waits. Google's REST client gives up after 60 s."""
MAX_PULLED = 1000
MAX_IN_RESPONSE = 250
MAX_OUTSTANDING = 10_000
"""Of a stream that sets no limit: its client cannot be drowned, and neither can this process."""


class Puller:
    """One waiting Pull."""

    def __init__(self, hub: Hub, queue: Queue, limit: int) -> None:
        self._hub = hub
        self._queue = queue
        self._limit = limit
        self.holder = Holder()
        self.found: list[Delivery] = []
        self.error: RpcError | None = None
        self.ready = asyncio.Event()

    def offer(self) -> None:
        """Take what there is, once."""
        if not self.found:
            engine = self._hub.engine
            self.found = engine.take(self._queue, self._hub.now(), self.holder, self._limit)
            if self.found:
                self.ready.set()

    def end(self, error: RpcError) -> None:
        """Wait no more; what was found already is returned."""
        if not self.found:
            self.error = error
            self.ready.set()


class Pulling:
    """Pull and StreamingPull.

    Args:
        hub: which has the messages.
        subscriptions: which finds the queues.
    """

    def __init__(self, hub: Hub, subscriptions: SubscriberApi) -> None:
        self._hub = hub
        self._subscriptions = subscriptions
        self._streams: dict[Stream, None] = {}
        self._pullers: dict[Puller, str] = {}
        """And their subscriptions."""
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
            if request.return_immediately or self._closed:
                await hub.saved()
            else:
                async with asyncio.timeout(PULL_SECONDS):
                    await puller.ready.wait()
        except TimeoutError:
            pass
        except asyncio.CancelledError:  # the client is gone
            hub.engine.release(queue, puller.holder)
            hub.changed()
            raise
        finally:
            hub.leave(queue, puller)
            del self._pullers[puller]
        if puller.error is not None:
            raise puller.error
        return protos.PullResponse(received_messages=received(queue, puller.found))

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
        stream = Stream(self._hub, self.queue)
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
        """End the calls for a subscription that is gone, is detached or pushes."""
        try:
            self.queue(subscription)
        except RpcError as error:
            for puller, name in self._pullers.items():
                if name == subscription:
                    puller.end(error)
            for stream in self._streams:
                if stream.subscription == subscription:
                    stream.end(error)


def received(queue: Queue, deliveries: Sequence[Delivery]) -> list[Any]:
    """Return deliveries as the API has them; with the attempt if there are dead letters."""
    counted = bool(queue.rules.dead_letter_topic)
    found = []
    make, message_class = protos.ReceivedMessage, protos.PubsubMessage
    last_time, stamp = None, None
    for message, ack_id, attempt in deliveries:
        if message.time != last_time:
            last_time, stamp = message.time, protos.timestamp(message.time)
        wire = message_class(
            data=message.data,
            attributes=message.attributes or None,
            message_id=str(message.number),
            publish_time=stamp,
            ordering_key=message.key,
        )
        found.append(make(ack_id=ack_id, message=wire, delivery_attempt=attempt if counted else 0))
    return found


class Stream:
    """One StreamingPull: requests come in, responses go out, independently of each other."""

    def __init__(self, hub: Hub, find: Callable[[str], Queue]) -> None:
        self._hub = hub
        self._find = find
        self._outbox: asyncio.Queue[Any] = asyncio.Queue()
        self._queue: Queue | None = None
        self._holder = Holder()
        self._busy = False
        self._error: RpcError | None = None
        self._half_closed = False
        self._newest = 0
        """The number of the newest message in the outbox."""
        self.subscription = ""

    async def run(
        self, requests: AsyncIterator[Any], write: Callable[[Any], Awaitable[None]]
    ) -> None:
        """Serve the stream until the client closes its side.

        Raises:
            RpcError: a request is wrong, or the subscription is gone.
        """
        reading = asyncio.ensure_future(self._read(requests))
        reading.add_done_callback(lambda _: self._half_close())
        try:
            while (response := await self._outbox.get()) is not None:
                if response.received_messages and not await self._may_write():
                    continue
                await write(response)
                self._busy = False
                if self._queue is not None:
                    self._hub.wake(self._queue)
            if self._error is not None:
                raise self._error
            await reading
        finally:
            reading.cancel()
            if self._queue is not None:
                self._hub.leave(self._queue, self)
                self._hub.engine.release(self._queue, self._holder)
                self._hub.changed()

    def offer(self) -> None:
        """Take messages, if the last ones are on their way and the client has room for more."""
        queue = self._queue
        if queue is None or self._busy or not self._holder.has_room():
            return
        room = min(MAX_IN_RESPONSE, self._holder.max_messages - self._holder.messages)
        found = self._hub.engine.take(queue, self._hub.now(), self._holder, int(room))
        if found:
            self._busy = True
            self._newest = max(delivery.message.number for delivery in found)
            response = protos.StreamingPullResponse(received_messages=received(queue, found))
            self._outbox.put_nowait(self._with_properties(response, queue))

    def end(self, error: RpcError) -> None:
        """End the stream with an error."""
        self._error = error
        self._outbox.put_nowait(None)

    async def _may_write(self) -> bool:
        """Wait until publishers know what they published; return True if the client still wants it.

        A client may look a message up by the id that its publisher got. Both are answered on
        connections of their own, and only time makes the one come before the other.
        """
        await self._hub.read(self._newest)
        return not self._half_closed

    def _half_close(self) -> None:
        """Send no more messages to a client that sends no more requests, and end."""
        self._half_closed = True
        if self._queue is not None:
            self._hub.leave(self._queue, self)
        self._outbox.put_nowait(None)

    def _with_properties(self, response: Any, queue: Queue) -> Any:
        properties = response.subscription_properties
        properties.exactly_once_delivery_enabled = queue.rules.exactly_once
        properties.message_ordering_enabled = queue.rules.ordered
        return response

    async def _read(self, requests: AsyncIterator[Any]) -> None:
        async for request in requests:
            if self._queue is None:
                self._open(request)
            elif request.subscription:
                raise invalid("subscription is for the first request of a stream only.")
            elif request.max_outstanding_messages or request.max_outstanding_bytes:
                raise invalid("max_outstanding_* are for the first request of a stream only.")
            elif request.client_id:
                raise invalid("client_id is for the first request of a stream only.")
            if request.stream_ack_deadline_seconds:
                seconds = deadline(request.stream_ack_deadline_seconds, 10)
                self._holder.ack_deadline = float(seconds)
            await self._answer(request)

    def _open(self, request: Any) -> None:
        if not request.subscription:
            raise invalid("The first request of a stream needs a subscription.")
        if not request.stream_ack_deadline_seconds:
            raise invalid("The first request of a stream needs stream_ack_deadline_seconds.")
        deadline(request.stream_ack_deadline_seconds, 10)
        queue = self._find(request.subscription)
        self._holder = Holder(
            float(request.stream_ack_deadline_seconds),
            *_flow_control(request.max_outstanding_messages, request.max_outstanding_bytes),
        )
        self._queue, self.subscription = queue, request.subscription
        self._hub.join(queue, self)

    async def _answer(self, request: Any) -> None:
        """Do what a request says of earlier deliveries; confirm it, with exactly-once delivery."""
        if not (
            request.ack_ids or request.modify_deadline_ack_ids or request.modify_deadline_seconds
        ):
            return
        check_size(request)
        queue = self._find(self.subscription)
        if len(request.modify_deadline_seconds) != len(request.modify_deadline_ack_ids):
            raise invalid(
                f"{len(request.modify_deadline_ack_ids)} modify_deadline_ack_ids need as many "
                f"modify_deadline_seconds; found {len(request.modify_deadline_seconds)}."
            )
        engine, now = self._hub.engine, self._hub.now()
        acked = parse_ids(request.ack_ids, queue)
        modified = parse_ids(request.modify_deadline_ack_ids, queue)
        by_seconds: dict[int, list[AckId]] = {}
        for ack_id, seconds in zip(modified, request.modify_deadline_seconds, strict=True):
            by_seconds.setdefault(deadline(seconds, 0), []).append(ack_id)
        bad_acks = engine.ack(queue, acked, now)
        bad_modified = [
            ack_id
            for seconds, ids in by_seconds.items()
            for ack_id in engine.modify(queue, ids, seconds, now)
        ]
        if not queue.rules.exactly_once:
            self._hub.changed()
            return
        await self._hub.saved()
        response = protos.StreamingPullResponse()
        if acked:
            good, bad = _sorted(acked, bad_acks)
            response.acknowledge_confirmation.ack_ids.extend(good)
            response.acknowledge_confirmation.invalid_ack_ids.extend(bad)
        if modified:
            good, bad = _sorted(modified, bad_modified)
            response.modify_ack_deadline_confirmation.ack_ids.extend(good)
            response.modify_ack_deadline_confirmation.invalid_ack_ids.extend(bad)
        self._outbox.put_nowait(self._with_properties(response, queue))


def _flow_control(messages: int, size: int) -> tuple[float, float]:
    """Return the limits of a stream; 0 or less: none of the client's."""
    return (
        messages if messages > 0 else MAX_OUTSTANDING,
        size if size > 0 else float("inf"),
    )


def _sorted(ids: Sequence[AckId], bad: Sequence[AckId]) -> tuple[list[str], list[str]]:
    refused = set(bad)
    return [str(i) for i in ids if i not in refused], [str(i) for i in refused]
