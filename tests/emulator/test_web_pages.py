"""A web page of elsewhere, open in a browser on this machine, cannot do anything here."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from ucam_faas.emulator.wire.rest import RestApp

from .push_sink import TOPIC, Cloud


async def post(
    app: RestApp, path: str, *headers: tuple[bytes, bytes], host: bytes = b"127.0.0.1:8085"
) -> int:
    """Send a request, and return the status."""
    sent: list[Any] = []
    body = json.dumps({"messages": [{"data": "YQ=="}]}).encode()

    async def receive() -> Any:
        return {"type": "http.request", "body": body}

    async def send(event: Any) -> None:
        sent.append(event)

    scope = {
        "type": "http", "method": "POST", "path": path, "query_string": b"",
        "headers": [(b"host", host), *headers],
    }  # fmt: skip
    await app(scope, receive, send)
    status: int = sent[0]["status"]
    return status


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (None, 200),
        (b"http://localhost:3000", 200),
        (b"http://127.0.0.1:8085", 200),
        (b"https://example.org", 403),
        (b"http://localhost.example.org", 403),
        (b"null", 403),
    ],
)
@pytest.mark.parametrize("path", [f"/v1/{TOPIC}:publish", "/reset"])
def test_only_web_pages_of_this_machine_may_call(
    path: str, origin: bytes | None, status: int
) -> None:
    async def run() -> None:
        async with Cloud() as cloud:
            app = RestApp(cloud.emulator.services, cloud.emulator._pages())
            headers = [] if origin is None else [(b"origin", origin)]

            assert await post(app, path, *headers) == status

    asyncio.run(run())


@pytest.mark.parametrize(("any_host", "status"), [(False, 403), (True, 200)])
def test_a_name_of_elsewhere_is_refused_unless_the_port_is_open_to_other_machines(
    any_host: bool, status: int
) -> None:
    """DNS rebinding: a page's own name points here, so that it may read the answers."""

    async def run() -> None:
        async with Cloud() as cloud:
            emulator = cloud.emulator
            app = RestApp(emulator.services, emulator._pages(), any_host=any_host)

            assert await post(app, "/reset", host=b"evil.example:8085") == status

    asyncio.run(run())
