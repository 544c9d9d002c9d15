"""The source of dead letters: the fake, the embedded Pub/Sub and Google's emulator do the same."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.contract.pubsub.backends import PATIENCE, Backend, PubSub, running_google, running_ours
from tests.integration.processes import wait_until
from tests.support.dead_letters import MemoryPubsub, dead_message
from ucam_faas.dead_letters.book import Book
from ucam_faas.dead_letters.filters import Filter
from ucam_faas.dead_letters.leases import Leases
from ucam_faas.dead_letters.letters import Letter
from ucam_faas.dead_letters.source import RestSource, Source, SourceError
from ucam_faas.dead_letters.targets import CloudTargets
from ucam_faas.dead_letters.workbench import Workbench
from ucam_faas.events.messages import PubsubMessage
from ucam_faas.net.rest import Rest
from ucam_faas.publishing.rest import RestPublisher
from ucam_faas.testing import ManualClock


class World(Protocol):
    """A Pub/Sub with a source of its dead letters."""

    source: Source

    def subscribe(self, name: str, topic: str, **fields: Any) -> None: ...

    def publish(self, topic: str, *messages: PubsubMessage) -> None: ...


class Memory:
    def __init__(self) -> None:
        self.source = pubsub = MemoryPubsub()
        self.subscribe, self.publish = pubsub.subscribe, pubsub.publish


class Real:
    """A project of its own in a Pub/Sub that runs."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.project = f"p-{uuid.uuid4().hex[:12]}"
        self.source = RestSource(Rest(f"127.0.0.1:{backend.port}"), self.project)

    def subscribe(self, name: str, topic: str, **fields: Any) -> None:
        self._backend.publisher.create_topic(name=self._topic(topic))
        request: dict[str, Any] = {
            "name": f"projects/{self.project}/subscriptions/{name}",
            "topic": self._topic(topic),
        }
        if fields.get("ordered"):
            request["enable_message_ordering"] = True
        if endpoint := fields.get("endpoint"):
            request["push_config"] = {"push_endpoint": endpoint}
        if dead := fields.get("dead_letter_topic"):
            self._backend.publisher.create_topic(name=dead)
            request["dead_letter_policy"] = {"dead_letter_topic": dead}
        self._backend.subscriber.create_subscription(request=request)

    def publish(self, topic: str, *messages: PubsubMessage) -> None:
        for start in range(0, len(messages), 500):
            some = [
                {
                    "data": message.data,
                    "attributes": message.attributes,
                    "ordering_key": message.ordering_key or "",
                }
                for message in messages[start : start + 500]
            ]
            self._backend.publisher.publish(topic=self._topic(topic), messages=some)

    def _topic(self, name: str) -> str:
        return f"projects/{self.project}/topics/{name}"


@pytest.fixture(scope="session")
def backend_of_source(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Backend | None]:
    running = {"ours": running_ours, "google": running_google}.get(request.param)
    if running is None:
        yield None
        return
    with running(tmp_path_factory.mktemp(request.param)) as backend:
        yield backend


@pytest.fixture
def world(backend_of_source: Backend | None) -> World:
    return Memory() if backend_of_source is None else Real(backend_of_source)


pytestmark = pytest.mark.parametrize(
    "backend_of_source",
    ["memory", *(pytest.param(side, marks=pytest.mark.slow) for side in ("ours", "google"))],
    indirect=True,
    scope="session",
)


def test_all_letters_are_pulled_as_they_are_and_released(world: World) -> None:
    world.subscribe("charge-dead-letter", "charge-dead-letter")
    odd = PubsubMessage(data=b"\xff\x00", attributes={"ü": "\n"}, ordering_key="order-17")
    world.publish("charge-dead-letter", *(_unnumbered(number) for number in range(1_200)), odd)

    with _held(world.source) as leases:
        letters = _pulled(leases, "charge-dead-letter")
        assert len(letters) == len({letter.id for letter in letters}) == 1_201
        assert world.source.pull("charge-dead-letter") == []

    (last,) = [letter for letter in letters if letter.key]
    assert (last.data, last.attributes, last.key) == (b"\xff\x00", {"ü": "\n"}, "order-17")
    assert {letter.task for letter in letters if not letter.key} == {"charge", "ship", "notify"}
    with _held(world.source) as leases:
        again = _pulled(leases, "charge-dead-letter")
        assert {letter.id: letter.hash for letter in again} == {
            letter.id: letter.hash for letter in letters
        }


def test_acknowledged_letters_are_gone_and_the_others_stay(world: World) -> None:
    world.subscribe("charge-dead-letter", "charge-dead-letter")
    world.publish("charge-dead-letter", *map(_unnumbered, range(30)))

    with _held(world.source) as leases:
        letters = _pulled(leases, "charge-dead-letter")
        leases.acknowledge([letter.id for letter in letters[:10]])

    with _held(world.source) as leases:
        left = _pulled(leases, "charge-dead-letter")
    assert {letter.id for letter in left} == {letter.id for letter in letters[10:]}


def test_some_letters_are_kept_when_the_others_are_released(world: World) -> None:
    world.subscribe("charge-dead-letter", "charge-dead-letter")
    world.publish("charge-dead-letter", *map(_unnumbered, range(30)))

    with _held(world.source) as leases:
        letters = _pulled(leases, "charge-dead-letter")
        leases.release(but=[letter.id for letter in letters[:10]])
        with _held(world.source) as others:
            free = _pulled(others, "charge-dead-letter")
        assert {letter.id for letter in free} == {letter.id for letter in letters[10:]}


def test_an_acknowledgement_says_which_letters_are_gone(world: World) -> None:
    world.subscribe("charge-dead-letter", "charge-dead-letter")
    world.publish("charge-dead-letter", *map(_unnumbered, range(5)))

    with _held(world.source) as leases:
        ids = [letter.id for letter in _pulled(leases, "charge-dead-letter")]
        leases.take(ids[:3], lambda: None)

        assert leases.acknowledge([*ids[:2], ids[4]]) == set(ids[:2])
        assert leases.hashes.keys() == {ids[2]}
        assert leases.acknowledge(ids[:2]) == set()


def test_an_empty_subscription_has_no_letters(world: World) -> None:
    world.subscribe("charge-dead-letter", "charge-dead-letter")

    with _held(world.source) as leases:
        assert _pulled(leases, "charge-dead-letter") == []


def test_subscriptions_say_where_their_messages_go(world: World) -> None:
    dead = f"projects/{world.source.project}/topics/charge-dead-letter"
    world.subscribe(
        "charge", "orders", endpoint="http://localhost:1/charge", dead_letter_topic=dead
    )
    world.subscribe("audit", "audits", ordered=True)

    by_name = {each.name: each for each in world.source.subscriptions()}

    assert by_name.keys() == {"charge", "audit"}
    assert by_name["charge"].endpoint == "http://localhost:1/charge"
    assert by_name["charge"].dead_letter_topic == dead
    assert by_name["charge"].topic == f"projects/{world.source.project}/topics/orders"
    assert (by_name["charge"].ordered, by_name["audit"].ordered) == (False, True)
    assert by_name["charge"].wrapped


def test_a_subscription_that_is_not_there_is_named(world: World) -> None:
    with pytest.raises(SourceError, match="nothing") as caught:
        world.source.pull("nothing")
    assert caught.value.status == 404


def _pulled(leases: Leases, keeper: str) -> Sequence[Letter]:
    return [letter for page in leases.all_pages(keeper) for letter in page]


class _Holder:
    def __init__(self) -> None:
        self.clock = ManualClock()

    def hold(self, until: float) -> None:
        """Keep no note."""

    def held_until(self) -> float:
        return 0.0


@contextmanager
def _held(source: Source) -> Iterator[Leases]:
    with Leases(source, _Holder()) as leases:
        yield leases


def _unnumbered(number: int) -> PubsubMessage:
    """Return a message without an id: Pub/Sub makes one."""
    message = dead_message(number)
    return message.model_copy(update={"message_id": "", "publish_time": None})


def test_letters_are_mirrored_edited_and_replayed_to_their_inbox(
    world: World, tmp_path: Path
) -> None:
    """The whole way, on each Pub/Sub: its own ids, keys, bytes and acknowledgements."""
    if isinstance(world, Memory):
        return  # test_runs.py has the runs on the fake
    source = world.source
    dead = f"projects/{source.project}/topics/charge-dead-letter"
    world.subscribe("charge-dead-letter", "charge-dead-letter")
    world.subscribe("charge-inbox", "charge-inbox")
    letters = [
        _unnumbered(number).model_copy(
            update={
                "data": b"\xff%d" % number,
                "attributes": {"ucam_faas_task": "charge", "number": str(number)},
                "ordering_key": f"key-{number % 3}",
            }
        )
        for number in range(150)
    ]
    world.publish("charge-dead-letter", *letters)
    publisher = RestPublisher(source.name)
    targets = CloudTargets(source, publisher)
    bench = Workbench(Book(tmp_path / "book.sqlite3"), source, targets=targets, by="ada")

    assert bench.mirror().new == 150
    edited = bench.letters(limit=1)[0]
    bench.edit(edited.id, data=b"edited")
    plan = bench.plan(Filter())
    inbox = dead.rpartition("/")[2].replace("dead-letter", "inbox")
    assert plan.targets == {"charge": (f"{plan.total} messages go to {inbox}",)}
    report = bench.run(plan.id)

    assert (report.acked, report.problem) == (150, "")
    assert bench.mirror().pulled == 0
    with _held(source) as leases:
        replays = _pulled(leases, "charge-inbox")
    by_number = {each.attributes["number"]: each for each in replays}
    assert len(by_number) == len(replays) == 150
    assert by_number[edited.attributes["number"]].data == b"edited"
    others = {number: each for number, each in by_number.items() if each.data != b"edited"}
    assert {each.data for each in others.values()} == {
        letter.data for letter in letters if letter.attributes["number"] in others
    }
    assert all(each.key == f"key-{int(number) % 3}" for number, each in by_number.items())
    assert {each.attributes["ucam_faas_replays"] for each in replays} == {"1"}
    bench.close()


def test_a_letter_that_was_forwarded_from_a_topic_with_a_schema_is_edited_and_sent_again(
    backend_of_source: Backend | None, tmp_path: Path
) -> None:
    """It carries attributes that only Pub/Sub may set, and that name a schema its inbox lacks."""
    if backend_of_source is None:
        return  # the fake forwards nothing
    pubsub = PubSub(backend_of_source, patience=PATIENCE)
    project = pubsub.project.rpartition("/")[2]
    record = {"type": "record", "name": "R", "fields": [{"name": "id", "type": "string"}]}
    schema = {"type_": "AVRO", "definition": json.dumps(record)}
    name = pubsub.call("create_schema", parent=pubsub.project, schema=schema, schema_id="r-1").name
    topic = pubsub.topic(schema_settings={"schema": name, "encoding": "JSON"})
    dead = pubsub.topic(name=pubsub.name("topics", "charge-dead-letter"))
    pubsub.subscription(dead, name=pubsub.name("subscriptions", "charge-dead-letter"))
    policy = {"dead_letter_topic": dead, "max_delivery_attempts": 5}
    charge = pubsub.name("subscriptions", "charge")
    pubsub.subscription(topic, name=charge, dead_letter_policy=policy)
    inbox = pubsub.topic(name=pubsub.name("topics", "charge-inbox"))
    pubsub.subscription(inbox, name=pubsub.name("subscriptions", "charge-inbox"))
    trace = {"googclient_traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
    message = {"data": b'{"id": "1"}', "attributes": {"tenant": "north", **trace}}
    pubsub.publish(topic, message)
    for _ in range(5):
        pubsub.modify(charge, 0, *pubsub.pull(charge))
    source = RestSource(Rest(f"127.0.0.1:{pubsub.port}"), project)
    targets = CloudTargets(source, RestPublisher(source.name))
    bench = Workbench(Book(tmp_path / "book.sqlite3"), source, targets=targets, by="ada")

    def mirrored() -> bool:
        pubsub.pull_now(charge)  # Google's emulator forwards when it is asked for messages
        return bool(bench.mirror().new)

    wait_until(mirrored, "the dead letter", PATIENCE)
    (letter,) = bench.letters()
    content = bench.content(letter.id)
    bench.edit(letter.id, data=b'{"id": "2"}', attributes={**content.attributes, "tenant": "south"})
    report = bench.run(bench.plan(Filter()).id)

    assert letter.attributes["googclient_schemaencoding"] == "JSON"
    assert (report.acked, report.problem) == (1, "")
    (replay,) = pubsub.pull(pubsub.name("subscriptions", "charge-inbox"))
    attributes = dict(replay.message.attributes)
    assert attributes.pop("ucam_faas_replay_id")
    assert attributes == {"tenant": "south", **trace, "ucam_faas_replays": "1"}
    assert replay.message.data == b'{"id": "2"}'
    bench.close()
    pubsub.close()


def test_the_source_of_a_stage_has_its_dead_letters_alone(world: World) -> None:
    """Two stages in one project: the names of one have a prefix, and its tasks' names don't."""
    if isinstance(world, Memory):
        return  # the prefix is an option of the adapter
    world.subscribe("test-charge-dead-letter", "test-charge-dead-letter")
    world.subscribe("charge-dead-letter", "charge-dead-letter")
    forwarded = {"CloudPubSubDeadLetterSourceSubscription": "test-charge"}
    world.publish(
        "test-charge-dead-letter", _unnumbered(1).model_copy(update={"attributes": forwarded})
    )
    source = RestSource(Rest(world.source.name), world.source.project, prefix="test-")

    names = [subscription.name for subscription in source.subscriptions()]
    with _held(source) as leases:
        letters = _pulled(leases, "test-charge-dead-letter")

    assert names == ["test-charge-dead-letter"]
    assert [letter.task for letter in letters] == ["charge"]
