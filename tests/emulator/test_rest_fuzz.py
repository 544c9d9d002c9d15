"""No request, however broken, is answered 5xx, INTERNAL or UNKNOWN, or logs an error.

For a long run: `UCAM_FAAS_FUZZED=100000 pytest tests/emulator/test_rest_fuzz.py`.
"""

from __future__ import annotations

import asyncio
import json
import os

import grpc
import grpc.aio
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from tests.integration.processes import HANG_SECONDS
from ucam_faas.emulator.emulator import Emulator, Options
from ucam_faas.emulator.errors import RpcError
from ucam_faas.emulator.wire.methods import SUBSCRIBER

from .grpc_requests import Caller
from .rest_requests import TEMPLATES, BrokenError, Mutator, P, Request, Target, request

FUZZED = int(os.environ.get("UCAM_FAAS_FUZZED", "4000"))
BETWEEN_RESETS = 500
TOPIC = request("PUT", f"{P}/topics/top", {})


def ask(*requests: Request) -> list[int]:
    """Make requests to a new emulator, and return the statuses."""

    async def run() -> list[int]:
        async with Target() as target:
            return [await target.ask(made) for made in requests]

    return asyncio.run(run())


@pytest.mark.slow
def test_valid_requests_are_answered() -> None:
    """The fuzzing starts from requests that work."""
    statuses = ask(*[request(*template) for template in TEMPLATES])

    assert statuses.count(200) > len(TEMPLATES) * 0.7


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_mutated_rest_requests_are_answered(seed: int) -> None:
    async def run() -> list[str]:
        mutator, broken = Mutator(seed), []
        async with Target() as target:
            for number in range(FUZZED // 2):
                try:
                    await target.ask(mutator.make())
                except BrokenError as error:
                    broken.append(str(error)[:2000])
                if number % 97 == 0:
                    await target.let_time_pass(number % 13 * 10)
                if number % BETWEEN_RESETS == BETWEEN_RESETS - 1:
                    target.emulator.clear()
            assert target.counts[200] > FUZZED // 50, "it has to get through at times"
        return broken

    assert asyncio.run(run()) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_random_grpc_messages_are_answered(seed: int) -> None:
    async def run() -> list[str]:
        broken = []
        async with Target() as target:
            caller = Caller(target, seed)
            for number in range(FUZZED // 4):
                try:
                    await caller.step()
                except BrokenError as error:
                    broken.append(str(error)[:2000])
                if number % 97 == 0:
                    await target.let_time_pass(number % 13 * 10)
                if number % BETWEEN_RESETS == BETWEEN_RESETS - 1:
                    target.emulator.clear()
            assert caller.counts["OK"] > FUZZED // 100, "it has to get through at times"
        return broken

    assert asyncio.run(run()) == []


@pytest.mark.slow
@settings(
    max_examples=max(FUZZED // 200, 10), deadline=None, suppress_health_check=list(HealthCheck)
)
@given(
    requests=st.lists(
        st.builds(
            Request,
            st.sampled_from(["GET", "PUT", "POST", "PATCH", "DELETE"]) | st.text(max_size=8),
            st.one_of(
                st.text(max_size=80),
                st.text(max_size=40).map(lambda text: f"{P}/topics/{text}"),
                st.text(max_size=40).map(lambda text: f"{P}/subscriptions/{text}:pull"),
                st.sampled_from([path for _, path, _ in TEMPLATES]),
            ),
            st.binary(max_size=200)
            | st.recursive(
                st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
                lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=20), inner),
                max_leaves=10,
            ).map(lambda body: json.dumps(body).encode()),
        ),
        min_size=20,
        max_size=20,
    )
)
def test_anything_is_answered(requests: list[Request]) -> None:
    ask(TOPIC, *requests)


# The bugs that fuzzing and reading found.


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 100_000, b'{"\\ud800": 1}'])
def test_a_body_that_no_parser_survives_is_refused(body: bytes) -> None:
    assert ask(TOPIC, Request("POST", f"{P}/topics/top:publish", body))[1] == 400


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://localhost:99999/",
        "http://localhost:-1/",
        "http://127.0.0.1:\u0663/",
        "http://[::1",
        "http://[::1]x/",
        "http://localhost:80 80/",
        "http://\x00localhost/",
    ],
)
def test_an_endpoint_that_cannot_be_connected_to_is_refused(endpoint: str) -> None:
    body = {"topic": "projects/p/topics/top", "pushConfig": {"pushEndpoint": endpoint}}

    assert ask(TOPIC, request("PUT", f"{P}/subscriptions/sub", body))[1] == 400


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("message_retention_duration", {"seconds": 700, "nanos": 2_000_000_000}),
        ("expiration_policy", {"ttl": {"seconds": 10**12}}),
        ("retry_policy", {"minimum_backoff": {"nanos": 2_147_483_647}}),
        ("retry_policy", {"maximum_backoff": {"seconds": 601, "nanos": -1_000_000_001}}),
    ],
)
def test_a_duration_that_is_none_is_refused(field: str, value: dict[str, object]) -> None:
    """Over gRPC it comes as it is; REST could never show it."""

    async def run() -> None:
        async with Target() as target:
            await target.ask(TOPIC)
            method = target.emulator.services.find(SUBSCRIBER, "CreateSubscription")
            assert method is not None
            name, topic = "projects/p/subscriptions/sub", "projects/p/topics/top"
            with pytest.raises(RpcError) as caught:
                await method.call(method.request(name=name, topic=topic, **{field: value}))
            assert caught.value.code == "INVALID_ARGUMENT"

    asyncio.run(run())


def test_what_only_the_server_says_is_not_taken_from_a_client() -> None:
    body = {"topic": "projects/p/topics/top", "topicMessageRetentionDuration": "600s"}

    async def run() -> None:
        async with Target() as target:
            await target.ask(TOPIC)
            await target.ask(request("PUT", f"{P}/subscriptions/sub", body))
            resource = target.emulator.resources.subscription("projects/p/subscriptions/sub")
            assert not resource.proto.HasField("topic_message_retention_duration")

    asyncio.run(run())


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/foo", "//", "/google.pubsub.v1.Publisher/", "/a/b/c"])
def test_a_grpc_method_that_is_none_is_unimplemented(path: str) -> None:
    async def run() -> None:
        async with Emulator(Options()) as emulator:
            address = f"127.0.0.1:{emulator.port}"
            async with grpc.aio.insecure_channel(address) as channel:
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await channel.unary_unary(path)(b"", timeout=HANG_SECONDS)
                assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED

    asyncio.run(run())


def test_a_client_that_is_gone_takes_no_messages() -> None:
    """It gave up waiting: messages published then are for others, and no attempt is lost."""

    async def run() -> None:
        async with Target() as target:
            for path, body in (
                (f"{P}/topics/top", {}),
                (f"{P}/subscriptions/sub", {"topic": "projects/p/topics/top"}),
            ):
                await target.ask(request("PUT", path, body))
            gone = asyncio.Event()
            events = [{"type": "http.request", "body": b'{"maxMessages": 1}'}]

            async def receive() -> dict[str, object]:
                if events:
                    return events.pop()
                await gone.wait()
                return {"type": "http.disconnect"}

            async def send(event: object) -> None:
                """The client has gone."""

            scope = {
                "type": "http", "method": "POST", "path": f"{P}/subscriptions/sub:pull",
                "query_string": b"", "headers": [],
            }  # fmt: skip
            pull = asyncio.ensure_future(target.app(scope, receive, send))
            await target.let_time_pass(0.1)
            gone.set()
            await target.let_time_pass(0.1)
            message = {"messages": [{"data": "aGVsbG8="}]}
            await target.ask(request("POST", f"{P}/topics/top:publish", message))

            queue = target.emulator.resources.subscription("projects/p/subscriptions/sub").queue
            assert queue is not None
            assert queue.entries == {}, "it is still leased"
            pull.cancel()
            await asyncio.wait([pull])

    asyncio.run(run())
