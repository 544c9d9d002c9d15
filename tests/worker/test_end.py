"""A worker that ends gives its messages back."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest

import ucam_faas
from tests.serving.harness import Held, on_a_loop
from ucam_faas.clock import SystemClock
from ucam_faas.config import Settings
from ucam_faas.execution.runtime import Runtime
from ucam_faas.worker import protos
from ucam_faas.worker.connection import Connection
from ucam_faas.worker.pace import Pace
from ucam_faas.worker.streams import Stream
from ucam_faas.worker.worker import Worker

from .harness import cloud, until, working
from .test_worker import task


@on_a_loop
async def test_a_run_that_is_cancelled_gives_its_messages_back() -> None:
    held = Held()
    async with cloud() as pubsub:
        worker = pubsub.worker(task(held, concurrency=1))
        before = asyncio.all_tasks()
        running = asyncio.get_running_loop().create_task(worker.run())
        await until(lambda: worker.is_pulling, "it pulls")
        pubsub.publish("task", b"1", b"2")
        await until(held.begun.is_set, "it runs")
        session = worker._session
        assert session is not None

        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

        assert session._returned == 2
        assert not any(map(session._held.of, session._sources))
        own = {each.get_coro().__qualname__ for each in asyncio.all_tasks() - before}
        assert not {name for name in own if not name.startswith("AioServer")}
        assert pubsub.waiting("task") == 2
        held.release.set()


@on_a_loop
async def test_a_message_that_was_under_way_when_the_worker_stopped_is_given_back() -> None:
    @ucam_faas.message_handler(message_type=None)
    def function(data: bytes) -> None: ...

    async with _late_pubsub() as pubsub:
        settings = Settings(pubsub_emulator=pubsub.host, project="local")
        runtime = Runtime(settings, SystemClock())
        worker = Worker(function, runtime=runtime, handle_signals=False, auto_declare=False)
        async with working(worker) as running:
            await until(lambda: pubsub.streams == 2, "both streams are open")
            worker.stop()
            result = await running

    assert (result.processed, result.returned) == (0, 2)
    assert sorted(pubsub.returned) == ["function", "function-inbox"]


@pytest.mark.parametrize("ends_by", ["stop", "resize"])
@on_a_loop
async def test_a_stream_that_does_not_connect_ends_without_an_error(ends_by: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = Settings(pubsub_emulator=f"127.0.0.1:{silent.getsockname()[1]}")
        connection = Connection(settings)
        stream = Stream(
            connection,
            "projects/p/subscriptions/s",
            lease_seconds=60,
            pace=Pace(1),
            held={},
            max_bytes=1000,
            receive=lambda *_: None,
        )
        running = asyncio.get_running_loop().create_task(stream.run())
        await until(lambda: stream._call is not None, "it connects")

        getattr(stream, ends_by)()
        closing = stream._closing
        assert closing is not None
        silent.close()  # the connection is reset
        await asyncio.wait((closing,))

        assert closing.exception() is None
        stream.cancel()
        running.cancel()
        await asyncio.wait((running,))
        await connection.close()


class _LatePubSub:
    """A Pub/Sub that sends a message on each stream when the client wants no more."""

    def __init__(self) -> None:
        self.host = ""
        self.streams = 0
        self.returned: list[str] = []

    def service(self, details: Any) -> Any:
        match details.method.rpartition("/")[2]:
            case "StreamingPull":
                return grpc.stream_stream_rpc_method_handler(
                    self._stream,
                    request_deserializer=protos.StreamingPullRequest.FromString,
                    response_serializer=lambda response: response.SerializeToString(),
                )
            case "GetSubscription":
                return grpc.unary_unary_rpc_method_handler(_get_subscription)
            case "ModifyAckDeadline":
                return grpc.unary_unary_rpc_method_handler(
                    self._modify, request_deserializer=protos.ModifyAckDeadlineRequest.FromString
                )

    async def _stream(self, requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        self.streams += 1
        name = ""
        async for request in requests:
            name = name or request.subscription.rpartition("/")[2]
        message = {"ackId": name, "message": {"messageId": "1"}}
        yield protos.ParseDict({"receivedMessages": [message]}, protos.StreamingPullResponse())

    async def _modify(self, request: Any, context: Any) -> bytes:
        assert request.ack_deadline_seconds == 0
        self.returned += request.ack_ids
        return b""


async def _get_subscription(request: bytes, context: Any) -> bytes:
    return b""


@asynccontextmanager
async def _late_pubsub() -> AsyncIterator[_LatePubSub]:
    pubsub = _LatePubSub()
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((pubsub,))
    pubsub.host = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield pubsub
    finally:
        await server.stop(None)
