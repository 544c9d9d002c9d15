"""Targets: one subscriber gets a replay, and no other reader of its topic."""

from __future__ import annotations

import json
import threading
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.support.dead_letters import MemoryPubsub, dead_message
from ucam_faas.dead_letters.letters import Content, Letter, letter_of
from ucam_faas.dead_letters.pushes import Pushes
from ucam_faas.dead_letters.targets import (
    CloudTargets,
    NoTargetError,
    Refused,
    Replay,
    Sent,
    Target,
    To,
    Unknown,
)
from ucam_faas.exceptions import PublishError
from ucam_faas.net.rest import CredentialsError
from ucam_faas.publishing.memory import MemoryPublisher
from ucam_faas.testing import ManualClock

INBOX = "projects/local/topics/charge-inbox"


class Endpoint:
    """A server that answers with a status, and remembers what it was sent."""

    def __init__(self) -> None:
        self.status = 200
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                endpoint.requests.append((self.path, dict(self.headers), body))
                if endpoint.status:
                    self.send_response(endpoint.status)
                    self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Be silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/charge"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    endpoint = Endpoint()
    yield endpoint
    endpoint.close()


@pytest.fixture
def pubsub(endpoint: Endpoint) -> MemoryPubsub:
    pubsub = MemoryPubsub()
    pubsub.subscribe("charge", "orders", endpoint=endpoint.url)
    pubsub.subscribe("charge-inbox", "charge-inbox", endpoint=f"{endpoint.url}/inbox")
    pubsub.subscribe("ship", "orders", endpoint=endpoint.url, ordered=True)
    pubsub.subscribe("ship-inbox", "ship-inbox", endpoint=f"{endpoint.url}/inbox")
    pubsub.subscribe("notify", "orders")
    return pubsub


@pytest.fixture
def publisher() -> MemoryPublisher:
    return MemoryPublisher({INBOX: []})


@pytest.fixture
def targets(pubsub: MemoryPubsub, publisher: MemoryPublisher) -> CloudTargets:
    targets = CloudTargets(pubsub, publisher, Pushes())
    targets.look()
    return targets


def of_task(task: str, key: str = "") -> Letter:
    message = dead_message(1)
    source = {"CloudPubSubDeadLetterSourceSubscription": task, "ucam_faas_task": task}
    attributes = {**message.attributes, **source}
    message = message.model_copy(update={"attributes": attributes, "ordering_key": key})
    return letter_of(message, "kept")


def replay_of(letter: Letter, attributes: dict[str, str] | None = None) -> Replay:
    return Replay(letter, Content(b"\xff", attributes or {"tenant": "x"}, letter.key), "p-1")


def test_a_letter_goes_to_the_inbox_of_its_task(
    targets: CloudTargets, publisher: MemoryPublisher
) -> None:
    target = targets.of(of_task("charge"), None)
    (result,) = targets.send(target, [replay_of(of_task("charge", "key"))])

    assert str(target) == f"inbox {INBOX}"
    (message,) = publisher.topics[INBOX]
    assert result == Sent(message.message_id or "")
    assert (message.data, message.attributes, message.ordering_key) == (
        b"\xff",
        {"tenant": "x"},
        "key",
    )


@pytest.mark.parametrize("source", ["test-charge", "test-charge-inbox-bulk"])
def test_a_letter_of_another_stage_stays_in_that_stage(
    pubsub: MemoryPubsub, targets: CloudTargets, source: str
) -> None:
    """The stages of one project have prefixes, which the names of tasks in letters lack."""
    letter = replace(of_task("charge"), subscription=source)
    pubsub.subscribe("test-charge", f"{INBOX}-of-test")
    targets.look()

    with pytest.raises(NoTargetError, match="neither an inbox nor"):
        targets.of(letter, None)

    pubsub.subscribe("test-charge-inbox", f"{INBOX}-of-test")
    targets.look()
    assert targets.of(letter, None).place == "projects/local/topics/test-charge-inbox"


def test_where_the_order_of_a_key_counts_the_endpoint_says_when_the_next_may_go(
    targets: CloudTargets, endpoint: Endpoint
) -> None:
    assert targets.of(of_task("ship"), None).to is To.INBOX
    target = targets.of(of_task("ship", "key"), None)
    assert (target.to, target.place) == (To.PUSH, endpoint.url)
    assert targets.of(of_task("ship", "key"), To.INBOX).to is To.INBOX
    assert targets.of(of_task("charge", "key"), None).to is To.INBOX  # it isn't ordered


@pytest.mark.parametrize(
    ("task", "to", "reason"),
    [
        ("notify", None, "the task notify has neither an inbox nor an endpoint here"),
        ("notify", To.INBOX, "the task notify has no inbox here"),
        ("notify", To.PUSH, "the task notify has no endpoint that can be reached here"),
        ("charge", To.JOB, "it isn't a failed job"),
        ("", None, "its task isn't known: it has no attribute ucam_faas_task"),
    ],
)
def test_a_letter_without_a_target_says_why(
    targets: CloudTargets, task: str, to: To | None, reason: str
) -> None:
    letter = of_task(task)
    if not task:
        letter = letter_of(dead_message(1).model_copy(update={"attributes": {}}), "kept")

    with pytest.raises(NoTargetError) as caught:
        targets.of(letter, to)
    assert str(caught.value) == reason


def test_a_push_is_what_pubsub_would_send(targets: CloudTargets, endpoint: Endpoint) -> None:
    letter = of_task("charge", "key")

    (result,) = targets.send(targets.of(letter, To.PUSH), [replay_of(letter)])

    assert result == Sent("p-1")
    (path, headers, body) = endpoint.requests[0]
    assert (path, headers["Content-Type"]) == ("/charge", "application/json")
    document = json.loads(body)
    assert document["subscription"] == "projects/local/subscriptions/charge"
    message = document["message"]
    assert b64decode(message["data"]) == b"\xff"
    assert message["attributes"] == {"tenant": "x"}
    assert message["messageId"] == message["message_id"] == "p-1"
    assert (message["publishTime"], message["orderingKey"]) == ("2026-03-01T12:01:00Z", "key")


def test_a_push_of_the_data_alone_has_the_rest_in_headers(
    pubsub: MemoryPubsub, targets: CloudTargets, endpoint: Endpoint
) -> None:
    pubsub.subscribe("raw", "orders", endpoint=endpoint.url, wrapped=False)
    targets.look()
    letter = of_task("raw", "key")
    attributes = {"tenant": "ü", "Host": "evil", "two words": "x", "line": "a\nb"}

    targets.send(targets.of(letter, To.PUSH), [replay_of(letter, attributes)])

    (_, headers, body) = endpoint.requests[0]
    assert body == b"\xff"
    assert headers["tenant"].encode("latin-1").decode() == "ü"
    assert headers["Host"].startswith("127.0.0.1:")
    assert headers["x-goog-pubsub-ordering-key"] == "key"
    assert headers["x-goog-pubsub-subscription-name"] == "projects/local/subscriptions/raw"
    assert "two words" not in headers
    assert "line" not in headers


@pytest.mark.parametrize("status", [400, 404, 429, 500, 503, 302])
def test_an_endpoint_that_does_not_take_a_letter_refuses_it(
    targets: CloudTargets, endpoint: Endpoint, status: int
) -> None:
    endpoint.status = status
    target = targets.of(of_task("charge"), To.PUSH)

    assert targets.send(target, [replay_of(of_task("charge"))]) == [
        Refused(f"{endpoint.url} answered with HTTP status {status}")
    ]


def test_an_endpoint_that_wants_a_token_is_named(targets: CloudTargets, endpoint: Endpoint) -> None:
    endpoint.status = 403
    target = targets.of(of_task("charge"), To.PUSH)

    (result,) = targets.send(target, [replay_of(of_task("charge"))])

    assert isinstance(result, Refused)
    assert "the task's inbox needs none" in result.reason


def test_an_endpoint_gets_the_token_of_its_origin(
    pubsub: MemoryPubsub, publisher: MemoryPublisher, endpoint: Endpoint
) -> None:
    targets = CloudTargets(pubsub, publisher, Pushes(lambda origin: f"for {origin}"))
    targets.look()

    targets.send(targets.of(of_task("charge"), To.PUSH), [replay_of(of_task("charge"))])

    origin = endpoint.url.removesuffix("/charge")
    assert endpoint.requests[0][1]["Authorization"] == f"Bearer for {origin}"


def test_a_token_is_asked_for_once_in_two_minutes(
    pubsub: MemoryPubsub, publisher: MemoryPublisher, endpoint: Endpoint
) -> None:
    """Each is a request to Google, and a run may push thousands of letters."""
    clock, tokens = ManualClock(), iter("abc")
    targets = CloudTargets(pubsub, publisher, Pushes(lambda origin: next(tokens), clock=clock))
    targets.look()
    target = targets.of(of_task("charge"), To.PUSH)

    for seconds in (119, 1, 0):
        targets.send(target, [replay_of(of_task("charge"))])
        clock.advance(seconds)

    sent = [headers["Authorization"] for _, headers, *_ in endpoint.requests]
    assert sent == ["Bearer a", "Bearer a", "Bearer b"]


def test_without_a_token_the_endpoint_is_not_asked(
    pubsub: MemoryPubsub, publisher: MemoryPublisher, endpoint: Endpoint
) -> None:
    def no_token(origin: str) -> str:
        raise CredentialsError("there are no credentials")

    targets = CloudTargets(pubsub, publisher, Pushes(no_token))
    targets.look()

    (result,) = targets.send(targets.of(of_task("charge"), To.PUSH), [replay_of(of_task("ship"))])

    assert result == Refused(f"{endpoint.url} wants a token, and there are no credentials")
    assert endpoint.requests == []


def test_an_endpoint_that_falls_silent_may_have_the_letter(
    targets: CloudTargets, endpoint: Endpoint
) -> None:
    endpoint.status = 0
    target = targets.of(of_task("charge"), To.PUSH)

    (result,) = targets.send(target, [replay_of(of_task("charge"))])

    assert isinstance(result, Unknown)
    assert "did not answer" in result.reason


def test_an_endpoint_that_is_not_there_has_not_got_the_letter(targets: CloudTargets) -> None:
    target = Target(To.PUSH, "http://127.0.0.1:1/charge")

    assert targets.send(target, [replay_of(of_task("charge"))]) == [
        Refused("nothing listens at http://127.0.0.1:1/charge")
    ]


class _Failing(MemoryPublisher):
    error: PublishError

    def publish_many(self, *arguments: Any, **options: Any) -> list[str]:
        raise self.error


def test_pubsub_that_refuses_differs_from_pubsub_that_does_not_answer(
    pubsub: MemoryPubsub,
) -> None:
    publisher = _Failing()
    targets = CloudTargets(pubsub, publisher)
    kinds = {}
    for status in (403, 404, 429, 500, 503, 0):
        publisher.error = PublishError("no")
        publisher.error.status = status
        results = targets.send(Target(To.INBOX, INBOX), 2 * [replay_of(of_task("charge"))])
        assert len(results) == 2
        kinds[status] = {type(result) for result in results}

    assert kinds[403] == kinds[404] == {Refused}
    assert kinds[429] == kinds[500] == kinds[503] == kinds[0] == {Unknown}


class _Limited(MemoryPublisher):
    """Takes no call with a large message."""

    def publish_many(self, topic: str, drafts: Any, **options: Any) -> list[str]:
        if any(len(draft.data) > 10 for draft in drafts):
            error = PublishError("INVALID_ARGUMENT: too large")
            error.status = 400
            raise error
        return super().publish_many(topic, drafts, **options)


def test_a_letter_that_pubsub_refuses_does_not_keep_the_others_back(pubsub: MemoryPubsub) -> None:
    """Pub/Sub takes all messages of a call, or none."""
    publisher = _Limited({INBOX: []})
    targets = CloudTargets(pubsub, publisher)
    small = replay_of(of_task("charge"))
    large = small._replace(content=Content(b"x" * 11, {}))

    results = targets.send(Target(To.INBOX, INBOX), [small, large, small])

    assert [type(result) for result in results] == [Sent, Refused, Sent]
    assert len(publisher.topics[INBOX]) == 2
