"""Pushes: the requests, the answers that acknowledge, and the pace."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from functools import wraps
from types import SimpleNamespace
from typing import Any

import pytest
from google.oauth2 import id_token

from tests.integration.processes import HANG_SECONDS, free_port
from ucam_faas.clock import SystemClock
from ucam_faas.config import Settings
from ucam_faas.emulator.core.storage import Message
from ucam_faas.emulator.errors import RpcError
from ucam_faas.emulator.push import pusher, request
from ucam_faas.emulator.push.client import ConnectionClosed, Endpoint, refuse_remote
from ucam_faas.emulator.push.tokens import Tokens
from ucam_faas.emulator.wire.methods import SUBSCRIBER
from ucam_faas.serving.token_auth import push_verifier
from ucam_faas.testing import ManualClock

from .push_sink import (
    DEAD,
    SUBSCRIPTION,
    Answer,
    Cloud,
    Pushed,
    Sink,
    close,
    nothing,
    reset,
    response,
    settle,
    until,
)

Test = Callable[..., Awaitable[None]]


def on_a_loop(test: Test) -> Callable[..., None]:
    """Run a test that is a coroutine, without the debug output of slow loops."""

    @wraps(test)
    def run(**arguments: Any) -> None:
        asyncio.run(test(**arguments))

    return run


def in_order(*answers: Answer) -> Callable[[Pushed], Answer]:
    """Answer the first request with the first one, …; the last one goes on."""
    left = list(answers)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


# -- what is sent -----------------------------------------------------------------------------


@on_a_loop
async def test_a_wrapped_message_is_as_google_sends_it() -> None:
    async with Sink() as sink, Cloud() as cloud:
        await cloud.subscribe(sink.url, enable_message_ordering=True)
        await cloud.publish("hello", attributes={"a": "ü"}, ordering_key="k")
        await until(lambda: sink.pushed, "a push")

        (pushed,) = sink.pushed
        assert pushed.line == "POST /push?token=secret HTTP/1.1"
        assert pushed.header("host") == [f"127.0.0.1:{sink.port}"]
        assert pushed.header("content-type") == ["application/json"]
        assert pushed.header("user-agent") == [request.USER_AGENT]
        assert pushed.envelope == {
            "message": {
                "data": "aGVsbG8=",
                "attributes": {"a": "ü"},
                "messageId": "1",
                "message_id": "1",
                "orderingKey": "k",
                "publishTime": "2026-01-31T09:00:00.000Z",
                "publish_time": "2026-01-31T09:00:00.000Z",
            },
            "subscription": SUBSCRIPTION,
        }


@on_a_loop
async def test_an_unwrapped_message_is_its_data() -> None:
    async with Sink() as sink, Cloud() as cloud:
        await cloud.subscribe(sink.url, {"no_wrapper": {}})
        await cloud.publish("hello", attributes={"a": "b"}, ordering_key="k")
        await until(lambda: sink.pushed, "a push")

        (pushed,) = sink.pushed
        assert pushed.body == b"hello"
        assert pushed.header("a") == []
        assert [name for name, _ in pushed.headers if name.startswith("x-goog")] == []


@on_a_loop
async def test_an_unwrapped_message_may_bring_its_metadata() -> None:
    async with Sink() as sink, Cloud() as cloud:
        await cloud.subscribe(sink.url, {"no_wrapper": {"write_metadata": True}})
        await cloud.publish("hello", attributes={"a": "b", "é": "c", "Host": "x"}, ordering_key="k")
        await until(lambda: sink.pushed, "a push")

        (pushed,) = sink.pushed
        assert pushed.body == b"hello"
        assert pushed.header("a") == ["b"]
        assert pushed.header("host") == [f"127.0.0.1:{sink.port}"]
        assert pushed.header("x-goog-pubsub-message-id") == ["1"]
        assert pushed.header("x-goog-pubsub-publish-time") == ["2026-01-31T09:00:00.000Z"]
        assert pushed.header("x-goog-pubsub-subscription-name") == [SUBSCRIPTION]
        assert pushed.header("x-goog-pubsub-ordering-key") == ["k"]


@pytest.mark.parametrize("line_end", ["\r\n", "\n", "\r", "\0", "\x0b", "\u2028", "\x85"])
def test_nothing_of_a_message_becomes_a_header_of_its_own(line_end: str) -> None:
    evil = f"a{line_end}X-Evil: 1"
    message = Message(1, 0.0, evil, {evil: "a", "b": evil, "c: d": "e", " f": "g", "": "h"}, b"")

    headers, _ = request.unwrapped(message, f"projects/{evil}/subscriptions/s", metadata=True)

    assert headers.endswith(b"\r\n")
    lines = headers[:-2].split(b"\r\n")
    assert not any(line.lower().startswith(b"x-evil") for line in headers.splitlines())
    assert {line.partition(b":")[0] for line in lines} <= {
        b"User-Agent", b"Accept-Encoding", b"x-goog-pubsub-message-id",
        b"x-goog-pubsub-publish-time", b"x-goog-pubsub-subscription-name",
        b"x-goog-pubsub-ordering-key",
    }  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [
        "Host", "content-length", "Transfer-Encoding", "connection", "Authorization", "Expect",
        "upgrade", "TE", "Trailer", "X-Goog-PubSub-Message-Id", "user-agent", "accept-encoding",
    ],
)  # fmt: skip
def test_attributes_do_not_take_the_place_of_our_headers(name: str) -> None:
    message = Message(1, 0.0, "", {name: "evil"}, b"")

    headers, _ = request.unwrapped(message, "s", metadata=True)

    assert b"evil" not in headers


@on_a_loop
async def test_the_attempt_is_said_with_a_dead_letter_policy_only() -> None:
    async with Sink() as sink, Cloud() as cloud:
        sink.answer = in_order(response(500), response(204))
        policy = {"dead_letter_topic": DEAD, "max_delivery_attempts": 5}
        await cloud.subscribe(sink.url, dead_letter_policy=policy)
        await cloud.publish("a")
        await until(lambda: len(sink.pushed) == 1 and not cloud.pusher.in_flight, "a push")
        await cloud.advance(0.1)
        await until(lambda: len(sink.pushed) == 2, "another one")

        assert [pushed.envelope["deliveryAttempt"] for pushed in sink.pushed] == [1, 2]


# -- what is an acknowledgement ---------------------------------------------------------------


@pytest.mark.parametrize("status", [102, 200, 201, 202, 204])
@on_a_loop
async def test_these_acknowledge(status: int) -> None:
    async with Sink(response(status)) as sink, Cloud() as cloud:
        await cloud.subscribe(sink.url)
        await cloud.publish("a")
        await until(lambda: cloud.told("acknowledged"), "an acknowledgement")

        assert cloud.queue.entries == {}
        assert cloud.told("acknowledged")[0]["status"] == status


@pytest.mark.parametrize("status", [103, 203, 206, 301, 302, 307, 400, 404, 418, 429, 500, 503])
@on_a_loop
async def test_these_do_not(status: int) -> None:
    async with Sink(response(status, b"", "Location: /elsewhere")) as sink, Cloud() as cloud:
        await cloud.subscribe(sink.url)
        await cloud.publish("a")
        await until(lambda: cloud.told("failed"), "a failure")

        (entry,) = cloud.queue.entries.values()
        assert entry.failures == 1
        assert [pushed.line for pushed in sink.pushed] == ["POST /push?token=secret HTTP/1.1"]


async def until_closed(writer: asyncio.StreamWriter) -> None:
    """Answer as HTTP/1.0 does: the end of the connection is the end of the response."""
    writer.write(b"HTTP/1.0 200 OK\r\nServer: BaseHTTP/0.6\r\n\r\nsome text")
    await writer.drain()
    writer.close()


async def continued(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 100 Continue\r\n\r\n" + response(200, b"body"))
    await writer.drain()


async def chunked(writer: asyncio.StreamWriter) -> None:
    for part in (
        b"HTTP/1.1 200 OK\r\nTransfer-Enc",
        b"oding: chunked\r\n\r\n3\r\nabc\r\n0",
        b"\r\n\r\n",
    ):
        writer.write(part)
        await writer.drain()
        await asyncio.sleep(0.002)


async def truncated(writer: asyncio.StreamWriter) -> None:
    """Close politely, but before the whole response was sent."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
    await writer.drain()
    writer.close()


async def cut_head(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-")
    await writer.drain()
    writer.close()


@pytest.mark.parametrize("answer", [until_closed, continued, chunked])
@on_a_loop
async def test_responses_of_every_form_are_read(answer: Answer) -> None:
    async with Sink(answer) as sink, Cloud() as cloud:
        await cloud.subscribe(sink.url)
        await cloud.publish("a")
        await until(lambda: cloud.told("acknowledged") or cloud.told("failed"), "an answer")

        assert [fields["status"] for fields in cloud.told("acknowledged")] == [200]


@pytest.mark.parametrize(
    "answer",
    [close, reset, truncated, cut_head, b"not HTTP\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"a" * 10**7],
    ids=["close", "reset", "truncated", "cut head", "not HTTP", "endless"],
)  # fmt: skip
@on_a_loop
async def test_a_broken_response_is_one_failure(answer: Answer) -> None:
    async with Sink(answer) as sink, Cloud() as cloud:
        await cloud.subscribe(sink.url)
        await cloud.publish("a")
        await until(lambda: cloud.told("failed") or cloud.told("acknowledged"), "a failure")

        (entry,) = cloud.queue.entries.values()
        assert entry.failures == 1
        assert len(sink.pushed) == 1
        assert isinstance(cloud.told("failed")[0]["status"], str)


@on_a_loop
async def test_a_refused_connection_is_one_failure() -> None:
    async with Cloud() as cloud:
        await cloud.subscribe(f"http://127.0.0.1:{free_port()}/")
        await cloud.publish("a")
        await until(lambda: cloud.told("failed"), "a failure")

        (entry,) = cloud.queue.entries.values()
        assert entry.failures == 1
        assert "111" in cloud.told("failed")[0]["status"]


@pytest.mark.parametrize("host", [".localhost", "a" * 64 + ".localhost"])
@on_a_loop
async def test_a_host_that_is_none_is_a_failure(host: str) -> None:
    endpoint = Endpoint(f"http://{host}/")

    with pytest.raises(OSError, match=r"\S"):
        await endpoint.post(b"", b"")


@on_a_loop
async def test_no_response_in_the_ack_deadline_is_one_failure() -> None:
    async with Sink(nothing) as sink, Cloud() as cloud:
        await cloud.subscribe(sink.url, ack_deadline_seconds=30)
        await cloud.publish("a")
        await until(lambda: sink.pushed, "a push")
        await cloud.advance(29.9)
        assert cloud.told("failed") == []
        sink.answer = lambda _: response(204)

        await cloud.advance(0.1)
        await until(lambda: cloud.told("failed"), "a failure")

        (entry,) = cloud.queue.entries.values()
        assert entry.failures == 1
        await cloud.advance(10.0)
        await until(lambda: cloud.told("acknowledged"), "an acknowledgement")
        assert cloud.told("acknowledged")[0]["attempt"] == 2
        assert cloud.told("failed")[0]["status"] == "no response in 30 s"


@on_a_loop
async def test_a_request_that_cannot_be_made_is_one_failure(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its message is delivered again after a backoff, not when its lease ends."""
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.asymmetric.padding", None)
    async with Sink() as sink, Cloud() as cloud:
        await cloud.subscribe(sink.url, {"oidc_token": {"service_account_email": EMAIL}})
        await cloud.publish("a")
        await settle()

        (failure,) = cloud.told("failed")
        assert failure["status"].startswith("the request could not be made: cryptography.")
        assert cloud.pusher.in_flight == 0
        await cloud.advance(1.0)
        assert [fields["attempt"] for fields in cloud.told("delivered")] == [1, 2]
        assert "ucam_faas_emulator_error" in caplog.text


@on_a_loop
async def test_dead_letters_come_after_as_many_pushes_as_were_asked_for() -> None:
    async with Sink(response(500)) as sink, Cloud() as cloud:
        policy = {"dead_letter_topic": DEAD, "max_delivery_attempts": 6}
        await cloud.subscribe(sink.url, dead_letter_policy=policy)
        await cloud.publish("a")
        for count in range(1, 7):
            await until(lambda count=count: len(cloud.told("failed")) == count, "a failure")
            await cloud.advance(60.0)

        assert len(cloud.told("dead_lettered")) == 1
        assert len(sink.pushed) == 6
        assert cloud.queue.entries == {}


# -- how fast they come -----------------------------------------------------------------------


@on_a_loop
async def test_the_window_opens_with_every_success() -> None:
    async with Sink() as sink, Cloud() as cloud:
        await cloud.subscribe(sink.url)
        assert cloud.pusher._window == pusher.FIRST_WINDOW
        await cloud.publish(*map(str, range(20)))
        await until(lambda: len(cloud.told("acknowledged")) == 20, "all")

        assert cloud.pusher._window == pusher.FIRST_WINDOW + 20


@on_a_loop
async def test_no_more_are_sent_at_a_time_than_the_window_allows() -> None:
    async with Sink(nothing) as sink, Cloud() as cloud:
        await cloud.subscribe(sink.url)
        await cloud.publish(*map(str, range(50)))
        await until(lambda: len(sink.pushed) >= pusher.FIRST_WINDOW, "the first ones")
        await cloud.advance(1.0)

        assert len(sink.pushed) == cloud.pusher.in_flight == pusher.FIRST_WINDOW


@pytest.mark.slow
@on_a_loop
async def test_the_window_has_an_end() -> None:
    async with Sink() as sink, Cloud() as cloud:
        await cloud.subscribe(sink.url)
        await cloud.publish(*map(str, range(300)))
        await until(lambda: len(cloud.told("acknowledged")) == 300, "all")

        assert cloud.pusher._window == pusher.LAST_WINDOW


@on_a_loop
async def test_a_burst_of_failures_halves_the_window_once() -> None:
    async with Sink() as sink, Cloud() as cloud:
        await cloud.subscribe(sink.url)
        await cloud.publish(*map(str, range(12)))
        await until(lambda: len(cloud.told("acknowledged")) == 12, "all")
        sink.answer = lambda _: response(500)

        await cloud.publish(*map(str, range(16)))
        await until(lambda: len(cloud.told("failed")) == 16, "all fail")

        assert cloud.pusher._window == 8
        assert cloud.pusher._backoff == pusher.MIN_BACKOFF_SECONDS
        await cloud.advance(0.05)
        assert cloud.pusher.in_flight == 0


@on_a_loop
async def test_push_backoff_doubles_from_a_tenth_of_a_second_to_a_minute() -> None:
    async with Sink(response(500)) as sink, Cloud() as cloud:
        await cloud.subscribe(sink.url)
        await cloud.publish("a")
        seconds = 0.1
        for count in range(1, 14):
            await until(lambda count=count: len(cloud.told("failed")) == count, "a failure")
            assert cloud.told("failed")[-1]["retry_seconds"] == pytest.approx(min(seconds, 60.0))
            await cloud.advance(min(seconds, 60.0) - 0.01)
            assert cloud.pusher.in_flight == 0
            await cloud.advance(0.010001)
            seconds *= 2

        assert cloud.pusher._window == 1


@pytest.mark.parametrize("offset", [0.1233, 0.274, 0.3])
@on_a_loop
async def test_push_backoff_goes_on_however_the_time_is_rounded(offset: float) -> None:
    """A push at the very moment when the backoff ends is after it."""
    async with Sink(response(500)) as sink, Cloud() as cloud:
        await cloud.advance(offset)
        await cloud.subscribe(sink.url)
        await cloud.publish("a")
        for count, seconds in enumerate((0.1, 0.2, 0.4, 0.8, 1.6, 3.2), 1):
            await until(lambda count=count: len(cloud.told("failed")) >= count, "a failure")
            assert cloud.pusher._backoff == seconds
            assert cloud.pusher.resumes_at is not None, "it would push at once, and on and on"
            await cloud.advance(seconds)


@on_a_loop
async def test_success_ends_the_push_backoff() -> None:
    async with Sink() as sink, Cloud() as cloud:
        sink.answer = in_order(response(500), response(500), response(204), response(500))
        await cloud.subscribe(sink.url)
        await cloud.publish("a")
        for count, seconds in ((1, 0.1), (2, 0.2)):
            await until(lambda count=count: len(cloud.told("failed")) == count, "a failure")
            await cloud.advance(seconds)
        await until(lambda: cloud.told("acknowledged"), "success")

        await cloud.publish("b")
        await until(lambda: len(cloud.told("failed")) == 3, "a failure")

        assert cloud.pusher._backoff == pusher.MIN_BACKOFF_SECONDS


@on_a_loop
async def test_what_waits_for_a_retry_is_pushed_at_once_when_asked_for() -> None:
    async with Sink() as sink, Cloud() as cloud:
        sink.answer = in_order(response(500), response(500), response(204))
        policy = {"minimum_backoff": {"seconds": 60}, "maximum_backoff": {"seconds": 600}}
        await cloud.subscribe(sink.url, retry_policy=policy)
        await cloud.publish("a")
        for count in (1, 2):
            await until(lambda count=count: len(cloud.told("failed")) == count, "a failure")

            assert cloud.emulator.pushes.hurry() == 1
            await cloud.advance(0.0)

        await until(lambda: cloud.told("acknowledged"), "success")
        assert [pushed.envelope["message"]["messageId"] for pushed in sink.pushed] == ["1"] * 3
        assert cloud.emulator.pushes.hurry() == 0


@on_a_loop
async def test_a_retry_policy_that_is_longer_than_the_push_backoff_counts() -> None:
    async with Sink(response(500)) as sink, Cloud() as cloud:
        policy = {"minimum_backoff": {"seconds": 20}, "maximum_backoff": {"seconds": 20}}
        await cloud.subscribe(sink.url, retry_policy=policy)
        await cloud.publish("a")
        await until(lambda: cloud.told("failed"), "a failure")
        assert cloud.told("failed")[0]["retry_seconds"] == 20.0

        await cloud.advance(19.9)
        assert len(sink.pushed) == 1
        await cloud.advance(0.1)

        await until(lambda: len(sink.pushed) == 2, "another one")


@on_a_loop
async def test_one_key_is_pushed_one_message_at_a_time() -> None:
    async with Sink() as sink, Cloud() as cloud:
        await cloud.subscribe(sink.url, enable_message_ordering=True)
        await cloud.publish("a1", "a2", "a3", ordering_key="a")
        await cloud.publish("b1", "b2", ordering_key="b")
        await until(lambda: len(cloud.told("acknowledged")) == 5, "all")

        data = [pushed.data for pushed in sink.pushed]
        assert [text for text in data if text[0] == "a"] == ["a1", "a2", "a3"]
        assert [text for text in data if text[0] == "b"] == ["b1", "b2"]


# -- connections ------------------------------------------------------------------------------


@on_a_loop
async def test_connections_are_used_again() -> None:
    async with Sink(response(200, b"thanks")) as sink, Cloud() as cloud:
        await cloud.subscribe(sink.url)
        for count in range(1, 6):
            await cloud.publish("a")
            await until(lambda count=count: len(cloud.told("acknowledged")) == count, "success")

        assert sink.connections == 1


@pytest.mark.parametrize("lines", [("Connection: close",), ()])
@on_a_loop
async def test_connections_that_end_are_replaced(lines: tuple[str, ...]) -> None:
    async def answer_and_close(writer: asyncio.StreamWriter) -> None:
        writer.write(response(200, b"", *lines))
        await writer.drain()
        writer.close()

    async with Sink(answer_and_close) as sink, Cloud() as cloud:
        await cloud.subscribe(sink.url)
        for count in range(1, 4):
            await cloud.publish("a")
            await until(lambda count=count: len(cloud.told("acknowledged")) == count, "success")

        assert sink.connections == 3
        assert cloud.told("failed") == []


@on_a_loop
async def test_an_idle_connection_that_was_closed_meanwhile_is_no_failure() -> None:
    """The server closes it just when the request is on its way."""
    async with Sink() as sink:
        sink.answer = in_order(response(204), close, response(201))
        endpoint = Endpoint(sink.url)
        assert await endpoint.post(b"", b"first") == 204

        assert await endpoint.post(b"", b"second") == 201

        assert [pushed.connection for pushed in sink.pushed] == [1, 1, 2]
        endpoint.close()


@pytest.mark.parametrize("answer", [reset, truncated, b"not HTTP\r\n\r\n"])
@on_a_loop
async def test_what_was_answered_in_part_is_not_sent_twice(answer: Answer) -> None:
    async with Sink() as sink:
        sink.answer = in_order(response(204), answer, response(201))
        endpoint = Endpoint(sink.url)
        await endpoint.post(b"", b"first")

        with pytest.raises((ConnectionClosed, OSError)):
            await endpoint.post(b"", b"second")

        assert len(sink.pushed) == 2
        endpoint.close()


@on_a_loop
async def test_a_response_without_a_request_ends_a_connection() -> None:
    async with Sink() as sink:
        sink.answer = in_order(response(204) + response(500), response(201))
        endpoint = Endpoint(sink.url)
        assert await endpoint.post(b"", b"first") == 204

        assert await endpoint.post(b"", b"second") == 201

        assert sink.connections == 2
        endpoint.close()


@on_a_loop
async def test_a_response_to_head_has_no_body() -> None:
    """Cloud Scheduler's jobs may ask for it."""
    async with Sink() as sink:
        sink.answer = lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
        endpoint = Endpoint(sink.url, "HEAD")

        assert await asyncio.wait_for(endpoint.post(b"", b""), HANG_SECONDS) == 200
        assert await asyncio.wait_for(endpoint.post(b"", b""), HANG_SECONDS) == 200


@on_a_loop
async def test_a_password_in_the_endpoint_is_no_part_of_the_host() -> None:
    async with Sink() as sink:
        endpoint = Endpoint(f"http://user:secret@127.0.0.1:{sink.port}/a?b#c")

        await endpoint.post(b"", b"")

        assert sink.pushed[0].line == "POST /a?b HTTP/1.1"
        assert sink.pushed[0].header("host") == [f"127.0.0.1:{sink.port}"]
        endpoint.close()


# -- changes in flight ------------------------------------------------------------------------


@on_a_loop
async def test_a_new_endpoint_gets_what_comes_next() -> None:
    async with Sink(nothing) as old, Sink() as new, Cloud() as cloud:
        await cloud.subscribe(old.url)
        await cloud.publish("a")
        await until(lambda: old.pushed, "a push")

        await cloud.push_to(new.url)
        await cloud.publish("b")
        await until(lambda: new.pushed, "a push to the new one")

        assert [pushed.data for pushed in new.pushed] == ["b"]
        assert cloud.pusher.in_flight == 1
        await cloud.advance(10.0)
        await cloud.advance(1.0)
        await until(lambda: len(cloud.told("acknowledged")) == 2, "the other one")
        assert [pushed.envelope["message"]["messageId"] for pushed in new.pushed] == ["2", "1"]


@on_a_loop
async def test_a_subscription_that_pulls_from_now_on_gets_what_was_in_flight() -> None:
    async with Sink(nothing) as sink, Cloud() as cloud:
        await cloud.subscribe(sink.url)
        await cloud.publish("a")
        await until(lambda: sink.pushed, "a push")

        await cloud.push_to("")

        response = await cloud.call(
            SUBSCRIBER, "Pull", subscription=SUBSCRIPTION, max_messages=5, return_immediately=True
        )
        assert [received.message.data for received in response.received_messages] == [b"a"]
        assert [entry.failures for entry in cloud.queue.entries.values()] == [0]


@on_a_loop
async def test_deleting_a_subscription_ends_its_pushes() -> None:
    async with Sink(nothing) as sink, Cloud() as cloud:
        await cloud.subscribe(sink.url)
        await cloud.publish(*map(str, range(8)))
        await until(lambda: len(sink.pushed) == 4, "pushes")

        await cloud.call(SUBSCRIBER, "DeleteSubscription", subscription=SUBSCRIPTION)
        await cloud.advance(100.0)

        assert len(sink.pushed) == 4
        assert cloud.told("failed") == []
        assert cloud.emulator.pushes.pushers == {}


@on_a_loop
async def test_a_reset_ends_pushes() -> None:
    async with Sink(nothing) as sink, Cloud() as cloud:
        await cloud.subscribe(sink.url)
        await cloud.publish("a")
        await until(lambda: sink.pushed, "a push")

        cloud.emulator.clear()
        await cloud.advance(100.0)

        assert len(sink.pushed) == 1
        assert cloud.emulator.pushes.pushers == {}


@on_a_loop
async def test_a_new_endpoint_does_not_wait_for_the_backoff_of_the_old_one() -> None:
    async with Sink(response(500)) as old, Sink() as new, Cloud() as cloud:
        await cloud.subscribe(old.url)
        await cloud.publish("a")
        for count, seconds in ((1, 0.1), (2, 0.2), (3, 0.4), (4, 0.0)):
            await until(lambda count=count: len(cloud.told("failed")) == count, "a failure")
            await cloud.advance(seconds)

        await cloud.push_to(new.url)

        await until(lambda: new.pushed, "a push to the new one")


# -- who may be pushed to ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://example.com/", "https://10.0.0.1/", "http://localhost.example.com/",
        "http://127.0.0.1@example.com/", "http://example.com#@127.0.0.1/",
        "http://example.com?@127.0.0.1/", "http://[::ffff:8.8.8.8]/", "http://0x7f000001/",
        "http://2130706433/", "http://169.254.169.254/", "http://xlocalhost/",
    ],
)  # fmt: skip
@on_a_loop
async def test_other_machines_are_not_pushed_to(
    endpoint: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A subscription may say so all the same: it is the cloud's, tried on a laptop."""
    async with Cloud() as cloud:
        await cloud.subscribe(endpoint)
        assert not cloud.emulator.pushes.pushers
        assert "--allow-remote-push" in caplog.text
        await cloud.push_to("http://127.0.0.1:9/")
        assert cloud.pusher is not None

        caplog.clear()
        await cloud.push_to(endpoint)

        assert not cloud.emulator.pushes.pushers
        assert endpoint in caplog.text


@on_a_loop
async def test_other_machines_are_pushed_to_if_that_is_allowed() -> None:
    async with Cloud(allow_remote_push=True) as cloud:
        await cloud.subscribe("https://example.com/")

        assert cloud.pusher is not None


@pytest.mark.parametrize(
    "endpoint",
    ["http://localhost:9/", "https://127.0.0.1/", "http://[::1]:9/", "http://app.localhost/"],
)
def test_this_machine_is_pushed_to(endpoint: str) -> None:
    assert refuse_remote(endpoint) is None


# -- tokens -----------------------------------------------------------------------------------

AUDIENCE, EMAIL = "https://tasks.example.com", "pusher@p.iam.gserviceaccount.com"


def certificates(cloud: Cloud) -> Callable[..., Any]:
    """Answer google-auth's request for certificates, as `GET /oauth2/v1/certs` does."""
    data = json.dumps(cloud.emulator.tokens.certificates()).encode()
    return lambda url, method="GET", **options: SimpleNamespace(status=200, data=data, headers={})


async def pushed_token(cloud: Cloud, sink: Sink, token: dict[str, str]) -> str:
    await cloud.subscribe(sink.url, {"oidc_token": token})
    await cloud.publish("a")
    await until(lambda: sink.pushed, "a push")
    (authorization,) = sink.pushed[0].header("authorization")
    return authorization


@pytest.mark.slow
@on_a_loop
async def test_google_auth_verifies_the_token_of_a_push() -> None:
    async with Sink() as sink, Cloud() as cloud:
        token = {"service_account_email": EMAIL, "audience": AUDIENCE}
        scheme, _, text = (await pushed_token(cloud, sink, token)).partition(" ")

        # The test's clock shows another time than google-auth's.
        claims = id_token.verify_token(
            text, certificates(cloud), audience=AUDIENCE, clock_skew_in_seconds=10**9
        )

        assert scheme == "Bearer"
        assert claims["iss"] == "https://accounts.google.com"
        assert claims["email"] == EMAIL
        assert claims["email_verified"] is True
        assert claims["exp"] - claims["iat"] == 3600


@pytest.mark.slow
@on_a_loop
async def test_the_audience_is_the_endpoint_if_none_is_given() -> None:
    async with Sink() as sink, Cloud() as cloud:
        text = await pushed_token(cloud, sink, {"service_account_email": EMAIL})

        claims = id_token.verify_token(
            text.split()[1], certificates(cloud), audience=sink.url, clock_skew_in_seconds=10**9
        )

        assert claims["aud"] == sink.url


@pytest.mark.slow
@on_a_loop
async def test_our_own_verifier_takes_a_fresh_token_and_no_other() -> None:
    async with Cloud() as cloud:
        settings = Settings(push_audience=AUDIENCE, push_email=EMAIL)
        tokens = cloud.emulator.tokens
        verifier = push_verifier(settings, ManualClock(), certificates(cloud))
        tokens._now = lambda: SystemClock().now().timestamp()
        await verifier.verify({"authorization": f"Bearer {tokens.make(EMAIL, AUDIENCE)}"})

        for email, audience in ((EMAIL, "other"), ("other@example.com", AUDIENCE)):
            with pytest.raises(Exception, match=r"aud|email"):
                await verifier.verify({"authorization": f"Bearer {tokens.make(email, audience)}"})


@pytest.mark.slow
def test_tokens_are_renewed_before_they_end() -> None:
    now = 1_000_000.0
    tokens = Tokens(lambda: now)
    first = tokens.make(EMAIL, AUDIENCE)
    now += 1799.0
    assert tokens.make(EMAIL, AUDIENCE) == first
    now += 1.0

    assert tokens.make(EMAIL, AUDIENCE) != first


@pytest.mark.slow
def test_a_key_is_kept_and_used_again() -> None:
    kept: list[bytes] = []
    first = Tokens(lambda: 0.0, keep=kept.append)
    keys = first.jwks()

    again = Tokens(lambda: 0.0, kept=kept[0], keep=kept.append)

    assert again.jwks() == keys
    assert len(kept) == 1


@pytest.mark.parametrize(
    "endpoint", ["http://[:::]/", "http://[@localhost/", "http://ex\u2100mple/"]
)
def test_an_endpoint_that_is_no_url_is_refused(endpoint: str) -> None:
    """Kept, it would keep the emulator from starting again."""

    async def run() -> None:
        async with Cloud(allow_remote_push=True) as cloud:
            with pytest.raises(RpcError, match="Invalid push endpoint"):
                await cloud.subscribe(endpoint)
            assert not cloud.emulator.engine.storage.resources("subscriptions")

    asyncio.run(run())


def test_what_was_allowed_to_an_earlier_emulator_is_not_allowed_to_this_one() -> None:
    """A subscription that pushes to another machine, kept from a run with --allow-remote-push."""

    async def run() -> None:
        async with Cloud(allow_remote_push=True) as cloud:
            await cloud.subscribe("http://192.0.2.1/")
            storage = cloud.emulator.engine.storage
        later = Cloud()
        later.emulator._assemble(storage)
        try:
            assert SUBSCRIPTION in later.emulator.resources.subscriptions
            assert not later.emulator.pushes.pushers
        finally:
            await later.__aexit__()

    asyncio.run(run())
