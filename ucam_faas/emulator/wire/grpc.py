"""gRPC: the methods of `Services` on a socket of their own."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio

from ucam_faas.emulator.api import protos
from ucam_faas.emulator.errors import RpcError
from ucam_faas.emulator.wire.methods import SUBSCRIBER, Method, Services, unknown

logger = logging.getLogger("ucam_faas.emulator")

DOMAIN = "pubsub.googleapis.com"
_OPTIONS = (
    ("grpc.max_receive_message_length", 32 * 1024 * 1024),
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),
    # Clients ping more often than the default allows, and would be cut off.
    ("grpc.http2.min_ping_interval_without_data_ms", 1000),
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.server_max_unrequested_time_in_server", 300),
    ("grpc.max_unrequested_pending_requests", 100_000),
)


async def start(services: Services, address: str) -> Any:
    """Serve on an address, which may be a unix socket; return gRPC's server."""
    server = grpc.aio.server(options=_OPTIONS)
    server.add_generic_rpc_handlers((_Handlers(services),))
    server.add_insecure_port(address)
    await server.start()
    return server


class _Handlers(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
    """Finds the handler of a method."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._known: dict[str, Any] = {}

    def service(self, handler_call_details: Any) -> Any:
        path: str = handler_call_details.method
        handler = self._known.get(path)
        if handler is None:
            handler = self._make(path)
            if handler is None:  # not kept: there is no limit to unknown paths
                return _failing(path)
            self._known[path] = handler
        return handler

    def _make(self, path: str) -> Any:
        service, method = _split(path)
        if (service, method) == (SUBSCRIBER, "StreamingPull"):
            return grpc.stream_stream_rpc_method_handler(
                self._streaming_pull,
                request_deserializer=protos.StreamingPullRequest.FromString,
                response_serializer=protos.StreamingPullResponse.SerializeToString,
            )
        unary = self._services.find(service, method)
        if unary is None:
            return None
        return grpc.unary_unary_rpc_method_handler(
            _unary(unary),
            request_deserializer=unary.request.FromString,
            response_serializer=unary.response.SerializeToString,
        )

    async def _streaming_pull(self, requests: AsyncIterator[Any], context: Any) -> None:
        try:
            await self._services.pulling.stream(requests, context.write)
        except RpcError as error:
            await _abort(context, error)


def _split(path: str) -> tuple[str, str]:
    service, _, method = path.strip("/").partition("/")
    return service, method


def _unary(method: Method) -> Any:
    async def handle(request: Any, context: Any) -> Any:
        try:
            return await method.call(request)
        except RpcError as error:
            await _abort(context, error)
        except Exception:
            logger.exception("ucam_faas_emulator_error")
            await context.abort(grpc.StatusCode.INTERNAL, "The emulator failed; see its log.")

    return handle


def _failing(path: str) -> Any:
    error = unknown(*_split(path))

    async def handle(request: bytes, context: Any) -> None:
        await _abort(context, error)

    return grpc.unary_unary_rpc_method_handler(handle)


async def _abort(context: Any, error: RpcError) -> None:
    code = grpc.StatusCode[error.code]
    if error.reason is not None:
        info = protos.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata)
        status = protos.Status(code=code.value[0], message=error.message)
        status.details.add().Pack(info)
        details = (("grpc-status-details-bin", status.SerializeToString()),)
        context.set_trailing_metadata(details)
    await context.abort(code, error.message)
