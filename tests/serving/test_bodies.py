"""Bodies: whole ones only, and none over the limit."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import ucam_faas
from ucam_faas.outcomes import ShuttingDown
from ucam_faas.serving.app import App
from ucam_faas.serving.bodies import Body, UnreadError
from ucam_faas.testing import make_push

from .harness import WAIT_SECONDS, exchange, fields_of, make_app, on_a_loop, settle

LIMIT = 1000
_ran: list[bytes] = []


@ucam_faas.raw_event
def raw(body: bytes) -> None:
    _ran.append(body)


@ucam_faas.http(path="/page", methods=["POST"])
async def page(request: Any) -> str:
    _ran.append(request.get_data())
    return "x"


@pytest.fixture(autouse=True)
def _nothing_ran() -> None:
    _ran.clear()


def app_of() -> Any:
    return make_app(raw, page, max_body_bytes=LIMIT)


paths = pytest.mark.parametrize("path", ["/raw", "/page"])


@paths
@on_a_loop
async def test_a_body_of_the_limit_is_taken(path: str) -> None:
    response = await exchange(
        app_of(), path, [b"x" * LIMIT], headers={"content-length": str(LIMIT)}
    )

    assert response.status == 200
    assert _ran == [b"x" * LIMIT]


@paths
@on_a_loop
async def test_a_body_announced_over_the_limit_is_413_unread(
    path: str, caplog: pytest.LogCaptureFixture
) -> None:
    headers = {"content-length": str(LIMIT + 1)}

    response = await exchange(app_of(), path, [b"x"], headers=headers)

    assert (response.status, response.text) == (413, "The body is too large")
    assert response.received == 0
    assert response.header("connection") == "close"
    assert _ran == []
    fields = fields_of(caplog.records, "ucam_faas_request_rejected")
    assert fields["detail"] == f"body: over {LIMIT} bytes"


@paths
@pytest.mark.parametrize(
    "headers", [{}, {"content-length": "5"}, {"content-length": "x"}], ids=repr
)
@on_a_loop
async def test_a_body_that_grows_over_the_limit_is_413_and_not_read_on(
    path: str, headers: dict[str, str]
) -> None:
    chunks = [b"x" * 400] * 100

    response = await exchange(app_of(), path, chunks, headers=headers)

    assert response.status == 413
    assert response.header("connection") == "close"
    assert response.received == 3
    assert _ran == []


@paths
@on_a_loop
async def test_a_body_in_chunks_arrives_whole(path: str) -> None:
    response = await exchange(app_of(), path, [b"a", b"", b"bc", b"d" * 100])

    assert response.status == 200
    assert _ran == [b"abc" + b"d" * 100]


@paths
@pytest.mark.parametrize("chunks", [[None], [b"part", None], [b"", b"", None]], ids=repr)
@on_a_loop
async def test_a_client_that_goes_away_in_mid_body_runs_no_task(
    path: str, chunks: list[bytes | None]
) -> None:
    response = await exchange(app_of(), path, [*chunks, b"never"])

    assert response.sent == []
    assert _ran == []


class Upload:
    """A request whose body arrives when the test says so."""

    def __init__(self, app: App, path: str = "/raw") -> None:
        self.sent: list[Any] = []
        self._events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": []}
        self._request = asyncio.ensure_future(app(scope, self._events.get, self._send))

    async def _send(self, event: Any) -> None:
        self.sent.append(event)

    async def arrive(self, body: bytes, *, more: bool = True) -> None:
        """Let a part of the body arrive."""
        self._events.put_nowait({"type": "http.request", "body": body, "more_body": more})
        await settle()

    async def disconnect(self) -> None:
        """Let the client go away."""
        self._events.put_nowait({"type": "http.disconnect"})
        await self._request

    async def status(self) -> int:
        """Return the status of the answer."""
        await asyncio.wait_for(self._request, WAIT_SECONDS)
        return int(self.sent[0]["status"])

    @property
    def closes(self) -> bool:
        """Whether the answer ends the connection."""
        return (b"connection", b"close") in self.sent[0]["headers"]


@paths
@on_a_loop
async def test_all_bodies_together_have_a_limit(
    path: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(raw, page, max_body_bytes=LIMIT, max_bodies_bytes=2 * LIMIT)
    uploads = [Upload(app, path) for _ in range(3)]
    for upload in uploads[:2]:
        await upload.arrive(b"x" * LIMIT)

    await uploads[2].arrive(b"x")

    assert await uploads[2].status() == 429
    assert uploads[2].closes
    fields = fields_of(caplog.records, "ucam_faas_request_rejected")
    assert fields["detail"] == "bodies: over 2000 bytes in this process"
    for upload in uploads[:2]:
        await upload.arrive(b"", more=False)
        assert await upload.status() == 200


@on_a_loop
async def test_a_bodys_share_of_the_limit_is_free_when_its_request_has_ended() -> None:
    """Answered, refused, or left by the client."""
    app = make_app(raw, max_body_bytes=LIMIT, max_bodies_bytes=LIMIT)
    answered, refused, left = Upload(app), Upload(app), Upload(app)

    await answered.arrive(b"x" * 100, more=False)
    await refused.arrive(b"x" * (LIMIT + 1))
    await left.arrive(b"x" * 100)
    await left.disconnect()

    assert [await answered.status(), await refused.status()] == [200, 413]
    assert app.service.bodies.held == 0


@on_a_loop
async def test_a_body_counts_while_its_task_runs() -> None:
    release = asyncio.Event()

    @ucam_faas.raw_event
    async def held(body: bytes) -> None:
        await release.wait()

    app = make_app(held, max_body_bytes=LIMIT, max_bodies_bytes=LIMIT)
    running, other = Upload(app, "/held"), Upload(app, "/held")
    await running.arrive(b"x" * LIMIT, more=False)

    await other.arrive(b"x", more=False)

    assert await other.status() == 429
    release.set()
    assert await running.status() == 200


@on_a_loop
async def test_one_body_is_always_taken() -> None:
    app = make_app(raw, max_body_bytes=LIMIT, max_bodies_bytes=1)

    response = await exchange(app, "/raw", [b"x" * LIMIT])

    assert response.status == 200


@on_a_loop
async def test_a_body_that_still_arrives_at_sigterm_is_503_at_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = app_of()
    upload = Upload(app)
    await upload.arrive(b"x")

    app.service.drain()

    assert await upload.status() == 503
    assert upload.closes
    assert app.service.bodies.held == 0
    assert [record.levelname for record in caplog.records if record.levelno > 20] == ["WARNING"]


@on_a_loop
async def test_a_body_is_not_read_once_sigterm_has_come() -> None:
    """Its request may have been let in before, and have waited for a token's certificates."""
    app = app_of()
    body, read = Body(app.service.bodies), []

    async def receive() -> dict[str, Any]:
        read.append(True)
        return {"type": "http.request", "body": b""}

    app.service.drain()

    with pytest.raises(UnreadError) as raised:
        await body.read(receive, 10)
    assert isinstance(raised.value.outcome, ShuttingDown)
    assert read == []


@on_a_loop
async def test_the_default_limit_takes_a_message_of_ten_megabytes() -> None:
    sizes: list[int] = []

    @ucam_faas.message_handler(message_type=None)
    async def task(data: bytes) -> None:
        sizes.append(len(data))

    made = make_push(b"\0" * (10 * 1024 * 1024))
    headers = {**made.headers, "content-length": str(len(made.body))}

    response = await exchange(make_app(task), "/task", [made.body], headers=headers)

    assert response.status == 200
    assert sizes == [10 * 1024 * 1024]


@pytest.mark.parametrize(
    "length", ["", "-1", "1e9", " 5", "²", "0x7fffffff", "9" * 5000], ids=lambda text: text[:10]
)
@on_a_loop
async def test_an_odd_content_length_breaks_nothing(length: str) -> None:
    response = await exchange(app_of(), "/raw", [b"hello"], headers={"content-length": length})

    assert response.status in (200, 400, 413)
