"""StreamingPull: requests come in and responses go out, independently of each other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from ucam_faas.emulator.api import ack_ids, protos
from ucam_faas.emulator.api.received import received
from ucam_faas.emulator.api.subscriber import check_size, deadline
from ucam_faas.emulator.core.lease import AckId, Holder
from ucam_faas.emulator.core.queues import Queue
from ucam_faas.emulator.errors import RpcError, invalid
from ucam_faas.emulator.hub import Hub
from ucam_faas.net.worker_streams import CLIENT_PREFIX

MAX_IN_RESPONSE = 250
MAX_OUTSTANDING = 10_000
"""The limit of a stream that sets none, to protect its client and this process."""


class StreamingPull:
    """One call of StreamingPull."""

    def __init__(self, hub: Hub, find: Callable[[str], Queue]) -> None:
        self._hub = hub
        self._find = find
        self._outbox: asyncio.Queue[Any] = asyncio.Queue()
        self._queue: Queue | None = None
        self._holder = Holder()
        self._busy = False
        """A response with messages isn't sent yet."""
        self._offered: set[int] = set()
        """The numbers of its messages, or of those of the last one."""
        self._error: RpcError | None = None
        self._half_closed = False
        self._is_worker = False
        """Its client is ours."""
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
        release, lose = True, False
        try:
            while (response := await self._outbox.get()) is not None:
                if response.received_messages and not await self._may_write():
                    continue
                await write(response)
                if response.received_messages and self._queue is not None:
                    self._busy = False
                    self._hub.wake(self._queue)
            if self._error is not None:
                raise self._error
            await reading
            # gRPC ends the requests of a cancelled call, too, before it cancels the call.
            await write(protos.StreamingPullResponse())  # fails then
            release = False
        except asyncio.CancelledError:
            release, lose = False, True
            raise
        finally:
            reading.cancel()
            if self._queue is not None:
                self._hub.leave(self._queue, self)
                engine = self._hub.engine
                if self._busy or release:
                    numbers = None if release else self._offered
                    engine.release(self._queue, self._holder, numbers)
                if lose:
                    engine.lose(self._queue, self._holder, self._hub.now())
                self._hub.changed()

    def offer(self) -> None:
        """Take messages, if the last ones are on their way and the client has room for more."""
        queue = self._queue
        if queue is None or self._busy or not self._holder.has_room():
            return
        room = min(MAX_IN_RESPONSE, self._holder.max_messages - self._holder.messages)
        leases = self._hub.engine.take(queue, self._hub.now(), self._holder, int(room))
        if leases:
            self._busy = True
            self._offered = {lease.message.number for lease in leases}
            response = protos.StreamingPullResponse(received_messages=received(queue, leases))
            self._outbox.put_nowait(self._with_properties(response, queue))

    def end(self, error: RpcError) -> None:
        """End the stream with an error."""
        self._error = error
        self._outbox.put_nowait(None)

    async def _may_write(self) -> bool:
        """Wait until publishers have their ids; return True if the client still wants the messages.

        A client may look a message up by the id that its publisher got. Both are answered on
        connections of their own, and only time makes the one come before the other. A worker
        looks nothing up.
        """
        if not self._is_worker:
            await self._hub.read(max(self._offered))
        return not self._half_closed

    def _half_close(self) -> None:
        """Send no more messages to a client that sends no more requests, and end.

        The client may be at work on the messages that it has: they stay leased, as with Google's
        Pub/Sub. Those that weren't sent any more are released.
        """
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
        self._is_worker = request.client_id.startswith(CLIENT_PREFIX)
        self._hub.join(queue, self)

    async def _answer(self, request: Any) -> None:
        """Acknowledge and modify as a request asks; confirm it, with exactly-once delivery."""
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
        acked = ack_ids.read(request.ack_ids, queue)
        modified = ack_ids.read(request.modify_deadline_ack_ids, queue)
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
    """Return the limits of a stream; 0 or less: the client set none."""
    return (
        messages if messages > 0 else MAX_OUTSTANDING,
        size if size > 0 else float("inf"),
    )


def _sorted(ids: Sequence[AckId], bad: Sequence[AckId]) -> tuple[list[str], list[str]]:
    refused = set(bad)
    good = [ack_ids.write(ack_id) for ack_id in ids if ack_id not in refused]
    return good, list(map(ack_ids.write, refused))
