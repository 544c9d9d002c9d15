"""The streams of events: coalesced, capped, resumed, and one look for all readers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ucam_faas.backends.ports import Backends
from ucam_faas.dashboard import streams
from ucam_faas.dashboard.app import make_app
from ucam_faas.dashboard.batches import MOST_ROWS, batch_of
from ucam_faas.history.database import open_for_writing
from ucam_faas.history.events import Answered, Delivered, Published
from ucam_faas.history.ledger import Ledger
from ucam_faas.history.reader import History

from .asgi import call

Publish = Callable[..., None]


class CountingHistory(History):
    looks = 0

    def last_seq(self) -> int:
        self.looks += 1
        return super().last_seq()


@pytest.fixture
def history(tmp_path: Path) -> CountingHistory:
    return CountingHistory(tmp_path / "history.sqlite3")


@pytest.fixture
def publish(history: CountingHistory) -> Any:
    """Publish so many messages to a topic."""
    database = open_for_writing(history.path)
    ledger = Ledger(database)
    numbers = iter(range(1, 10_000))

    def publish(count: int = 1, topic: str = "orders", *, fails: bool = False) -> None:
        for number in [str(next(numbers)) for _ in range(count)]:
            events: list[Any] = [Published(1.0, number, topic, "", {}, b"x", [topic])]
            if fails:
                events.append(Delivered(1.0, topic, number, 1))
                events.append(Answered(2.0, topic, number, 1, False, "<script>"))
            ledger.apply(events)
        ledger.flush()

    yield publish
    database.close()
    history.close()


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "PAUSE_SECONDS", 0.001)


async def read(
    app: Any, url: str, count: int = 1, act: Callable[[], None] = lambda: None, **headers: str
) -> list[dict[str, str]]:
    """Return so many events of a stream; `act` is called when it is open."""
    path, _, query = url.partition("?")
    sent = {"host": "localhost", **{name.replace("_", "-"): v for name, v in headers.items()}}
    scope = {
        "type": "http", "method": "GET", "path": path, "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
    }  # fmt: skip
    text, enough = bytearray(), asyncio.Event()

    async def receive() -> Any:
        await enough.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            assert message["status"] == 200
            act()
        text.extend(message.get("body", b""))
        if text.count(b"event: ") >= count:
            enough.set()

    async with asyncio.timeout(60):
        await app(scope, receive, send)
    blocks = [block for block in text.decode().split("\n\n") if "event: " in block]
    return [dict(line.split(": ", 1) for line in b.splitlines() if ": " in line) for b in blocks]


def test_the_newest_events_come_as_rows_and_the_others_as_a_count(
    history: CountingHistory, publish: Publish
) -> None:
    app = make_app(lambda: Backends(history=history))
    publish(5)
    after = history.last_seq()

    (event,) = asyncio.run(
        read(app, f"/live/events?after={after}", act=lambda: publish(MOST_ROWS + 50))
    )

    data = json.loads(event["data"])
    assert event["event"] == "rows"
    assert int(event["id"]) == history.last_seq()
    assert data["rows"].count("<tr>") == MOST_ROWS
    assert data["count"] == MOST_ROWS + 50
    assert "50 earlier events" in data["rows"]
    assert data["rows"].index(">155<") < data["rows"].index(">154<")


def test_a_text_of_a_payload_or_an_error_is_escaped(
    history: CountingHistory, publish: Publish
) -> None:
    app = make_app(lambda: Backends(history=history))
    publish(fails=True)

    (event,) = asyncio.run(read(app, "/live/events?after=0"))

    assert "&lt;script&gt;" in event["data"]
    assert "<script>" not in event["data"]
    assert "<script>" not in call(app, "GET", "/live").text.partition("<main")[2]


def test_a_reader_that_comes_back_goes_on_after_its_last_event(
    history: CountingHistory, publish: Publish
) -> None:
    app = make_app(lambda: Backends(history=history))
    publish(3)

    (event,) = asyncio.run(read(app, "/live/events?after=0", last_event_id="2"))

    assert json.loads(event["data"])["count"] == 1


def test_a_filter_is_the_streams_too(history: CountingHistory, publish: Publish) -> None:
    app = make_app(lambda: Backends(history=history))
    publish(3)
    publish(2, topic="invoices", fails=True)

    (event,) = asyncio.run(read(app, "/live/events?after=0&task=invoices&kind=failed"))

    assert json.loads(event["data"])["rows"].count("<tr>") == 2


def test_pages_hear_that_something_changed(history: CountingHistory, publish: Publish) -> None:
    app = make_app(lambda: Backends(history=history))
    publish()

    (event,) = asyncio.run(read(app, f"/changes?after={history.last_seq()}", act=publish))

    assert event == {"id": "2", "event": "change"}


def test_however_many_look_the_history_is_asked_once(
    history: CountingHistory, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(lambda: Backends(history=history))
    publish()

    async def all_of_them() -> None:
        are_open = asyncio.Semaphore(0)

        async def pause() -> None:
            for _ in range(20):
                await are_open.acquire()

        monkeypatch.setattr(streams, "pause", pause)
        async with asyncio.TaskGroup() as group:
            for _ in range(20):
                group.create_task(read(app, "/live/events?after=0", act=are_open.release))

    asyncio.run(all_of_them())

    opened, looks, batches = 20, 1, 1
    assert history.looks == opened + looks + batches


def test_too_many_streams_are_refused_however_fast_they_come(
    history: CountingHistory, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "MOST_STREAMS", 2)
    app = make_app(lambda: Backends(history=history))

    async def statuses() -> list[int]:
        opened = [asyncio.create_task(first_status(app, "/changes")) for _ in range(5)]
        return sorted(await asyncio.gather(*opened))

    assert asyncio.run(statuses()) == [200, 200, 503, 503, 503]
    assert asyncio.run(first_status(app, "/changes")) == 200, "those that ended don't count"


async def first_status(app: Any, path: str) -> int:
    """Open a stream, look a little, leave, and return the status."""
    begun: list[int] = []
    gone = asyncio.Event()

    async def receive() -> Any:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            begun.append(message["status"])
        elif b"\n\n" in message.get("body", b""):
            gone.set()

    scope = {
        "type": "http", "http_version": "1.1", "scheme": "http", "method": "GET", "path": path,
        "raw_path": path.encode(), "query_string": b"", "root_path": "",
        "headers": [(b"host", b"127.0.0.1")], "client": None, "server": None,
    }  # fmt: skip
    await app(scope, receive, send)
    return begun[0]


def test_a_history_that_began_again_is_followed(history: CountingHistory, publish: Publish) -> None:
    """A number from before is higher than any now."""
    app = make_app(lambda: Backends(history=history))
    publish()

    (event,) = asyncio.run(read(app, "/live/events", act=publish, last_event_id="9000"))

    assert json.loads(event["data"])["count"] == 1


def test_of_a_long_absence_only_the_newest_events_are_read(
    history: CountingHistory, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ucam_faas.dashboard.batches.MOST_READ", 10)
    publish(300)

    batch = batch_of(history, 100)

    assert (len(batch.events), batch.left_out, batch.last) == (10, 190, 300)
