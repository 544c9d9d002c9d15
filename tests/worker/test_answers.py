"""The answers of messages, and a Pub/Sub that refuses them."""

from __future__ import annotations

from typing import Any

import grpc
import grpc.aio
import pytest

from tests.serving.harness import on_a_loop
from ucam_faas.config import Settings
from ucam_faas.worker.acknowledgements import Acknowledgements
from ucam_faas.worker.connection import Connection


class _Refusing(grpc.GenericRpcHandler):
    """Names each id that it refuses, as for a subscription with exactly-once delivery."""

    def service(self, details: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(self._refuse)

    async def _refuse(self, request: bytes, context: Any) -> bytes:
        details = b"PERMANENT_FAILURE_INVALID_ACK_ID" * 1_000
        await context.abort(
            grpc.StatusCode.FAILED_PRECONDITION,
            "some ids are invalid",
            (("grpc-status-details-bin", details),),
        )
        raise AssertionError("aborted")


@on_a_loop
async def test_a_refusal_that_names_many_ids_is_read(caplog: pytest.LogCaptureFixture) -> None:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((_Refusing(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    connection = Connection(Settings(pubsub_emulator=f"127.0.0.1:{port}"))
    numbers: list[int] = []
    answers = Acknowledgements(connection, "projects/p/subscriptions/s", numbers.extend)

    answers.acknowledge(7, "ack-id")
    assert answers.sending is not None
    await answers.sending

    await connection.close()
    await server.stop(None)
    assert numbers == [7]
    assert caplog.messages == ["ucam_faas_acknowledgement_failed"]
