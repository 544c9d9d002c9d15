"""A replay reaches one task, and an idempotent task runs it once."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

import ucam_faas
from tests.jobs.runs import FaultyStore, causes, row_of, wake
from tests.serving.harness import Exchange, exchange, make_app, on_a_loop
from ucam_faas.events.envelopes import decode
from ucam_faas.execution.execution import Execution
from ucam_faas.execution.pipeline import stopped
from ucam_faas.execution.replays import REPLAY_ID_ATTRIBUTE, REPLAYS_ATTRIBUTE
from ucam_faas.jobs.rows import Key
from ucam_faas.jobs.states import State
from ucam_faas.local_testing import Deliveries, LocalCloudFactory
from ucam_faas.outcomes import TimedOut
from ucam_faas.serving.app import App
from ucam_faas.tasks.topics import inbox_of
from ucam_faas.testing import ManualClock, MemoryPublisher, make_message, make_push
from ucam_faas.testing.tasks import task_of

DEAD = "projects/p/topics/dead"


class Order(BaseModel):
    """A payload."""

    id: int
    address: str = ""


class Shop:
    """A task that counts its runs, and fails while it is told to."""

    def __init__(self, store: FaultyStore, clock: ManualClock, **options: Any) -> None:
        self.ran: list[Order] = []
        self.fails = False
        self.publisher = MemoryPublisher({DEAD: [], "projects/p/topics/charge.inbox.bulk": []})

        @ucam_faas.message_handler(**{"dead_letter_topic": DEAD, **options})
        def charge(order: Order) -> int:
            self.ran.append(order)
            if self.fails:
                raise ucam_faas.DeadLetter("no such address")
            return len(self.ran)

        self.charge = charge
        self.app: App = make_app(charge, clock=clock, store=store, publisher=self.publisher)

    async def publish(self, payload: Any, message_id: str, **attributes: str) -> Exchange:
        return await self._push("/charge", payload, message_id, attributes)

    async def replay(
        self, payload: Any, replay: str, message_id: str = "", path: str = "/charge/inbox"
    ) -> Exchange:
        """Push a message of a replay: Pub/Sub gives each another id."""
        attributes = {REPLAY_ID_ATTRIBUTE: replay, REPLAYS_ATTRIBUTE: "1"}
        return await self._push(path, payload, message_id or f"of-{replay}", attributes)

    async def _push(
        self, path: str, payload: Any, message_id: str, attributes: dict[str, str]
    ) -> Exchange:
        push = make_push(make_message(payload, message_id=message_id, attributes=attributes))
        return await exchange(self.app, path, [push.body], headers=push.headers)


BY_MESSAGE: dict[str, Any] = {"idempotent": True}
BY_PAYLOAD: dict[str, Any] = {"id": lambda order: f"order-{order.id}"}


def job(id: str) -> Key:
    return Key("default", "charge", id)


@pytest.mark.parametrize("options", [BY_MESSAGE, BY_PAYLOAD], ids=["message", "payload"])
@pytest.mark.parametrize("path", ["/charge/inbox", "/charge"], ids=["inbox", "direct"])
@on_a_loop
async def test_a_replay_that_comes_twice_is_one_job(
    options: dict[str, Any], path: str, store: FaultyStore, clock: ManualClock
) -> None:
    shop = Shop(store, clock, **options)

    answers = [
        await shop.replay({"id": 17}, "r1", message_id, path=path) for message_id in ("m8", "m9")
    ]

    assert ([answer.status for answer in answers], len(shop.ran)) == ([200, 200], 1)


@pytest.mark.parametrize("options", [BY_MESSAGE, BY_PAYLOAD], ids=["message", "payload"])
@on_a_loop
async def test_a_new_replay_of_a_failed_message_runs_and_its_repeats_do_not(
    options: dict[str, Any], store: FaultyStore, clock: ManualClock
) -> None:
    shop = Shop(store, clock, **options)
    shop.fails = True
    await shop.publish({"id": 17}, "order-17")
    shop.fails = False

    for message_id in ("m8", "m9"):
        await shop.replay({"id": 17, "address": "corrected"}, "r1", message_id)

    assert [order.address for order in shop.ran] == ["", "corrected"]
    assert row_of(store, job("order-17")).state is State.FAILURE
    assert row_of(store, job("r1")).state is State.SUCCESS
    assert row_of(store, job("r1")).attributes[REPLAY_ID_ATTRIBUTE] == "r1"


@on_a_loop
async def test_each_replay_of_a_message_that_fails_again_runs_once(
    store: FaultyStore, clock: ManualClock
) -> None:
    shop = Shop(store, clock, **BY_PAYLOAD)
    shop.fails = True

    for replay in ("r1", "r1", "r2", "r2", "r1", "r3"):
        await shop.replay({"id": 17}, replay)

    assert len(shop.ran) == 3
    assert causes(store, job("order-17")) == ["sent", "claimed", "failed"]
    assert causes(store, job("r2")) == ["sent", "claimed", "failed"]


@on_a_loop
async def test_a_replay_of_a_payload_that_has_succeeded_does_not_run(
    store: FaultyStore, clock: ManualClock
) -> None:
    shop = Shop(store, clock, **BY_PAYLOAD)
    await shop.publish({"id": 17}, "m1")

    answer = await shop.replay({"id": 17}, "r1")

    assert (answer.status, len(shop.ran)) == (200, 1)
    assert store.get(job("r1")) is None


@on_a_loop
async def test_a_repeat_does_not_run_when_the_failed_job_was_deleted(
    store: FaultyStore, clock: ManualClock
) -> None:
    shop = Shop(store, clock, **BY_PAYLOAD)
    shop.fails = True
    await shop.publish({"id": 17}, "m1")
    await shop.replay({"id": 17}, "r1")
    store.delete(job("order-17"), states=frozenset({State.FAILURE}))

    await shop.replay({"id": 17}, "r1")

    assert len(shop.ran) == 2


@on_a_loop
async def test_the_job_of_a_replay_is_retried_in_the_lane_of_its_inbox(
    store: FaultyStore, clock: ManualClock
) -> None:
    shop = Shop(store, clock, lanes=["default", "bulk"], **BY_MESSAGE)

    await shop.replay({"id": 17}, "r1", path="/charge/inbox/bulk")

    assert row_of(store, job("r1")).lane == "bulk"


@pytest.mark.parametrize("replay", ["", "a\nb", "x" * 1025], ids=["empty", "odd", "long"])
@on_a_loop
async def test_a_replay_without_a_usable_id_is_a_dead_letter(
    replay: str, store: FaultyStore, clock: ManualClock
) -> None:
    shop = Shop(store, clock, **BY_MESSAGE)

    answer = await shop.replay({"id": 17}, replay)

    assert (answer.status, len(shop.ran)) == (200, 0)
    (letter,) = shop.publisher.topics[DEAD]
    assert letter.attributes["ucam_faas_reason"].startswith("ucam_faas_replay_id: ")


@on_a_loop
async def test_a_replay_waits_for_a_store_that_is_down(
    store: FaultyStore, clock: ManualClock
) -> None:
    shop = Shop(store, clock, **BY_PAYLOAD)
    store.claims_fail = True

    answer = await shop.replay({"id": 17}, "r1")

    assert (answer.status, len(shop.ran)) == (503, 0)


@on_a_loop
async def test_a_task_without_jobs_runs_each_delivery_of_a_replay(
    store: FaultyStore, clock: ManualClock
) -> None:
    shop = Shop(store, clock)

    for _ in range(2):
        await shop.replay({"id": 17}, "r1")

    assert len(shop.ran) == 2


@on_a_loop
async def test_a_wake_is_no_message(store: FaultyStore, clock: ManualClock) -> None:
    shop = Shop(store, clock, **BY_MESSAGE)

    answer = await wake(shop.app, "charge", "m1", **{REPLAY_ID_ATTRIBUTE: "r1"})

    assert (answer.status, shop.ran) == (200, [])
    assert store.find("default") == []


broken: list[int] = []


@ucam_faas.message_handler(id=lambda order: order.id, dead_letter_topic="dead")
def ship(order: Order) -> str:
    """Ship an order, unless its address is missing."""
    broken.append(order.id)
    if not order.address:
        raise ucam_faas.DeadLetter("no address")
    return order.address


@pytest.mark.parametrize("deliveries", ["normal", "parallel", "hostile"])
def test_over_pubsub_replays_run_once_each(
    ucam_faas_local: LocalCloudFactory, deliveries: Deliveries
) -> None:
    """The embedded Pub/Sub delivers some of them several times, and at once."""
    broken.clear()
    local = ucam_faas_local(ship, deliveries=deliveries)
    for number in range(5):
        local.publish(ship, {"id": number})
    local.wait_idle()

    for _ in range(2):
        for number in range(5):
            local.publish(
                inbox_of("ship"),
                {"id": number, "address": "Cambridge"},
                attributes={REPLAY_ID_ATTRIBUTE: f"r{number}"},
            )
    local.wait_idle()

    assert sorted(broken) == sorted([*range(5)] * 2)


@ucam_faas.message_handler(
    topic="parcels", retry=ucam_faas.RetryPolicy(max_attempts=5), dead_letter_topic="dead"
)
def weigh(order: Order) -> None:
    """Fail each time, as before the replay."""
    broken.append(order.id)
    raise LookupError("no scales")


@pytest.mark.parametrize("deliveries", ["normal", "parallel"])
def test_over_pubsub_a_replay_that_keeps_failing_is_a_dead_letter_again(
    ucam_faas_local: LocalCloudFactory, deliveries: Deliveries
) -> None:
    """An inbox has no dead-letter policy: Pub/Sub would deliver it for days."""
    broken.clear()
    local = ucam_faas_local(weigh, deliveries=deliveries)
    local.publish(weigh, {"id": 17})
    local.wait_idle()

    attributes = {REPLAY_ID_ATTRIBUTE: "r1", REPLAYS_ATTRIBUTE: "1"}
    local.publish(inbox_of("weigh"), {"id": 17}, attributes=attributes)
    local.wait_idle()

    first, second = local.dead_letters
    assert len(broken) == 10
    assert second.attributes["ucam_faas_reason"] == "LookupError (attempt 5, the last)"
    assert second.attributes["CloudPubSubDeadLetterSourceDeliveryCount"] == "5"
    assert second.attributes[REPLAYS_ATTRIBUTE] == "1"
    assert second.attributes["ucam_faas_first_attempt"]
    for name in ("ucam_faas_fingerprint", "ucam_faas_error"):
        assert first.attributes[name] == second.attributes[name]


@on_a_loop
async def test_a_replay_whose_attempts_all_time_out_is_a_dead_letter_before_the_next(
    store: FaultyStore, clock: ManualClock
) -> None:
    shop = Shop(store, clock, retry=ucam_faas.RetryPolicy(max_attempts=2))
    message = make_message({"id": 17}, message_id="m8", attributes={REPLAY_ID_ATTRIBUTE: "r1"})
    push = make_push(message)
    for _ in range(2):
        runtime = shop.app.service.runtime
        timed_out = Execution(task_of(shop.charge), decode(push.body, {}), runtime)
        assert timed_out.claim()
        stopped(timed_out, TimedOut())

    answer = await exchange(shop.app, "/charge/inbox", [push.body], headers=push.headers)

    (letter,) = shop.publisher.topics[DEAD]
    assert (answer.status, shop.ran) == (200, [])
    assert letter.attributes["ucam_faas_reason"].startswith("2 attempts failed, without time")


@on_a_loop
async def test_a_replay_is_not_given_up_without_a_topic_for_it(
    store: FaultyStore, clock: ManualClock
) -> None:
    shop = Shop(store, clock, dead_letter_topic=None)
    shop.fails = True

    answers = [await shop.replay({"id": 17}, "r1", "m8") for _ in range(20)]

    assert ({answer.status for answer in answers}, len(shop.ran)) == ({500}, 20)
