"""One of Google's generated clients, connected in each of the ways that it has."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import grpc
from google.auth.credentials import AnonymousCredentials

from .endpoint import Endpoint

Call = Callable[..., Any]
"""Calls a method of a client by its name; a list comes whole."""


@contextmanager
def connected(kind: str, endpoint: Endpoint, client: Any, async_client: Any) -> Iterator[Call]:
    """Connect a client over `grpc` or `rest`, or its async twin by `asyncio`."""
    connect = {"grpc": _over_grpc, "rest": _over_rest, "asyncio": _over_asyncio}[kind]
    with connect(endpoint, async_client if kind == "asyncio" else client) as call:
        yield call


@contextmanager
def _over_grpc(endpoint: Endpoint, kind: Any) -> Iterator[Call]:
    with grpc.insecure_channel(endpoint.host) as channel:
        client = kind(transport=kind.get_transport_class("grpc")(channel=channel))
        yield lambda method, **arguments: _listed(getattr(client, method)(**arguments))


@contextmanager
def _over_rest(endpoint: Endpoint, kind: Any) -> Iterator[Call]:
    options = {"api_endpoint": endpoint.url}
    with kind(
        transport="rest", credentials=AnonymousCredentials(), client_options=options
    ) as client:
        yield lambda method, **arguments: _listed(getattr(client, method)(**arguments))


@contextmanager
def _over_asyncio(endpoint: Endpoint, kind: Any) -> Iterator[Call]:
    with asyncio.Runner() as runner, ExitStack() as stack:

        async def connect() -> Any:
            channel = grpc.aio.insecure_channel(endpoint.host)
            stack.callback(lambda: runner.run(channel.close()))
            return kind(transport=kind.get_transport_class("grpc_asyncio")(channel=channel))

        client = runner.run(connect())

        async def answer(method: str, arguments: dict[str, Any]) -> Any:
            response = await getattr(client, method)(**arguments)
            return [each async for each in response] if hasattr(response, "__aiter__") else response

        yield lambda method, **arguments: runner.run(answer(method, arguments))
    gc.collect()  # gRPC's polling thread ends with the last object of it


def _listed(response: Any) -> Any:
    return list(response) if hasattr(response, "pages") else response
