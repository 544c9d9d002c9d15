"""Schemas in a running emulator: after a restart, on schedule, and without fastavro."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from ucam_faas.emulator.api import protos
from ucam_faas.emulator.emulator import Emulator, Options
from ucam_faas.emulator.errors import RpcError
from ucam_faas.emulator.wire.methods import PUBLISHER, SCHEDULER, SCHEMAS, SUBSCRIBER

SCHEMA, TOPIC = "projects/p/schemas/orders", "projects/p/topics/orders"
SUBSCRIPTION = "projects/p/subscriptions/orders"
JOB = "projects/p/locations/l/jobs/orders"
PROTO = 'syntax = "proto3"; message Order { string id = 1; }'


async def call(emulator: Emulator, service: str, method: str, **fields: Any) -> Any:
    rpc = emulator.services.find(service, method)
    assert rpc is not None
    return await rpc.call(protos.ParseDict(fields, rpc.request()))


async def create(emulator: Emulator, kind: str = "PROTOCOL_BUFFER", text: str = PROTO) -> Any:
    schema = {"type": kind, "definition": text}
    return await call(
        emulator, SCHEMAS, "CreateSchema", parent="projects/p", schemaId="orders", schema=schema
    )


async def create_topic(emulator: Emulator) -> None:
    settings = {"schema": SCHEMA, "encoding": "JSON"}
    await call(emulator, PUBLISHER, "CreateTopic", name=TOPIC, schemaSettings=settings)
    await call(emulator, SUBSCRIBER, "CreateSubscription", name=SUBSCRIPTION, topic=TOPIC)


async def publish(emulator: Emulator, data: str) -> None:
    await call(emulator, PUBLISHER, "Publish", topic=TOPIC, messages=[{"data": data}])


async def pull(emulator: Emulator) -> list[Any]:
    response = await call(
        emulator, SUBSCRIBER, "Pull", subscription=SUBSCRIPTION, maxMessages=10,
        returnImmediately=True,
    )  # fmt: skip
    return list(response.received_messages)


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 30))  # type: ignore[arg-type]  # each is a coroutine


def test_schemas_outlive_the_process(tmp_path: Path) -> None:
    async def test() -> None:
        async with Emulator(Options(state=tmp_path)) as emulator:
            first = await create(emulator)
            second = await call(
                emulator, SCHEMAS, "CommitSchema", name=SCHEMA,
                schema={"type": "PROTOCOL_BUFFER", "definition": PROTO},
            )  # fmt: skip
            await create_topic(emulator)
        async with Emulator(Options(state=tmp_path)) as emulator:
            listed = await call(emulator, SCHEMAS, "ListSchemaRevisions", name=SCHEMA)
            assert [each.revision_id for each in listed.schemas] == [
                first.revision_id,
                second.revision_id,
            ]
            with pytest.raises(RpcError, match="failed schema validation"):
                await publish(emulator, "bm8gSlNPTg==")
            await publish(emulator, "e30=")
            (received,) = await pull(emulator)
            revision = received.message.attributes["googclient_schemarevisionid"]
            assert revision == second.revision_id

    run(test)


def test_a_reset_forgets_schemas() -> None:
    async def test() -> None:
        async with Emulator(Options()) as emulator:
            await create(emulator)
            emulator.clear()
            await create(emulator)

    run(test)


def test_a_schedules_message_follows_the_schema_too() -> None:
    async def test() -> None:
        async with Emulator(Options()) as emulator:
            await create(emulator)
            await create_topic(emulator)
            for name, data in (("good", "e30="), ("bad", "bm8gSlNPTg==")):
                target = {"topicName": TOPIC, "data": data}
                job = {"name": f"{JOB}-{name}", "schedule": "0 3 * * *", "pubsubTarget": target}
                parent = "projects/p/locations/l"
                await call(emulator, SCHEDULER, "CreateJob", parent=parent, job=job)
                await call(emulator, SCHEDULER, "RunJob", name=f"{JOB}-{name}")

            bad = await call(emulator, SCHEDULER, "GetJob", name=f"{JOB}-bad")
            (received,) = await pull(emulator)
            assert bad.status.code == 3
            assert "failed schema validation" in bad.status.message
            assert received.message.data == b"{}"
            assert received.message.attributes["googclient_schemaencoding"] == "JSON"

    run(test)


def test_avro_without_fastavro_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fastavro", None)

    async def test() -> None:
        async with Emulator(Options()) as emulator:
            await create(emulator)
            with pytest.raises(RpcError, match=r"fastavro .* pip install") as raised:
                await create(emulator, "AVRO", '"string"')
            assert raised.value.code == "FAILED_PRECONDITION"

    run(test)


def test_a_topic_whose_range_lost_its_end_takes_no_messages() -> None:
    async def test() -> None:
        async with Emulator(Options()) as emulator:
            first = await create(emulator)
            await call(
                emulator, SCHEMAS, "CommitSchema", name=SCHEMA,
                schema={"type": "PROTOCOL_BUFFER", "definition": PROTO},
            )  # fmt: skip
            settings = {"schema": SCHEMA, "encoding": "JSON", "lastRevisionId": first.revision_id}
            await call(emulator, PUBLISHER, "CreateTopic", name=TOPIC, schemaSettings=settings)
            await call(
                emulator, SCHEMAS, "DeleteSchemaRevision", name=f"{SCHEMA}@{first.revision_id}"
            )

            with pytest.raises(RpcError, match="Last revision could not be found") as raised:
                await publish(emulator, "e30=")
            assert raised.value.code == "INVALID_ARGUMENT"

    run(test)


@pytest.mark.slow
def test_the_start_loads_no_language_of_schemas() -> None:
    code = (
        "import asyncio, sys\n"
        "from ucam_faas.emulator.emulator import Emulator, Options\n"
        "async def main():\n"
        "    async with Emulator(Options()):\n"
        "        names = [n for n in sys.modules if 'avro' in n or 'emulator.schemas.proto' in n]\n"
        "        assert not names, names\n"
        "asyncio.run(main())\n"
    )

    async def test() -> None:
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
        assert await process.wait() == 0

    run(test)
