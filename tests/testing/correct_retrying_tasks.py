"""More tasks like `correct_tasks`: these fail now and then, or publish messages themselves."""

from __future__ import annotations

import threading
import time
from collections import Counter
from datetime import timedelta

from ucam_faas import (
    MESSAGE_CONTEXT,
    Retry,
    RetryPolicy,
    Schedule,
    message_handler,
)
from ucam_faas.outcomes import DeadLettered
from ucam_faas.testing import ManualClock

from .cases import Case, Serve
from .events import Change, Order, Reading


def claims_and_confirms(serve: Serve, clock: ManualClock) -> None:
    """A claim in a store is taken before the work and confirmed after it; others come again."""
    claims: dict[str, str] = {}
    sent: list[str] = []
    lock = threading.Lock()

    def claim(key: str) -> str:
        with lock:
            state = claims.get(key, "free")
            if state == "free":
                claims[key] = "claimed"
            return state

    @message_handler(message_type=Order)
    def confirm(order: Order) -> None:
        state = claim(order.id)
        if state == "claimed":
            raise Retry(timedelta(seconds=10))
        if state == "done":
            return
        time.sleep(0.001)
        sent.append(order.id)
        claims[order.id] = "done"

    cloud = serve(confirm)
    for number in range(4):
        cloud.publish(confirm, Order(id=f"o{number}", amount=5))
    cloud.wait_idle()

    assert sorted(sent) == ["o0", "o1", "o2", "o3"]
    assert cloud.dead_letters == []


def gives_its_claim_back(serve: Serve, clock: ManualClock) -> None:
    """A claim is given back when the work fails; four of five attempts may."""
    claimed: set[str] = set()
    sent: list[str] = []
    failures: Counter[str] = Counter()
    lock = threading.Lock()

    @message_handler(message_type=Order, retry=RetryPolicy(max_attempts=5))
    def confirm(order: Order) -> None:
        with lock:
            if order.id in claimed:
                raise Retry
            claimed.add(order.id)
        if order.id in sent:
            return
        try:
            time.sleep(0.001)
            failures[order.id] += 1
            if failures[order.id] <= 4:
                raise ConnectionError("the mail server is away")
            sent.append(order.id)
        finally:
            claimed.discard(order.id)

    cloud = serve(confirm)
    cloud.publish(confirm, Order(id="o1", amount=5))
    cloud.wait_idle()

    assert (sent, cloud.dead_letters) == (["o1"], [])


def waits_for_the_create(serve: Serve, clock: ManualClock) -> None:
    """An update comes again until its row is there, and a create changes no row."""
    users: dict[str, str] = {}

    @message_handler(message_type=Change)
    def apply(change: Change) -> None:
        if change.kind == "create":
            users.setdefault(change.key, change.value)
        elif change.key not in users:
            raise Retry(timedelta(seconds=10))
        else:
            users[change.key] = change.value

    cloud = serve(apply)
    for key in ("ada", "bob"):
        cloud.publish(apply, Change(id=f"c-{key}", key=key, kind="create", value=key))
    for key in ("ada", "bob"):
        cloud.publish(apply, Change(id=f"u-{key}", key=key, kind="update", value=key.upper()))
    cloud.wait_idle()

    assert (users, cloud.dead_letters) == ({"ada": "ADA", "bob": "BOB"}, [])


def waits_for_each_forerunner(serve: Serve, clock: ManualClock) -> None:
    """Each of eight messages needs the one before, and has five attempts to meet it."""
    done: list[int] = []

    @message_handler(message_type=Reading, retry=RetryPolicy(max_attempts=5))
    def apply(reading: Reading) -> None:
        if reading.value in done:
            return
        if reading.value > 1 and reading.value - 1 not in done:
            raise Retry
        done.append(reading.value)

    cloud = serve(apply)
    for value in range(1, 9):
        cloud.publish(apply, Reading(sensor="hall", value=value))
    cloud.wait_idle()

    assert list(dict.fromkeys(done)) == list(range(1, 9))
    assert cloud.dead_letters == []


def compares_and_sets(serve: Serve, clock: ManualClock) -> None:
    """A write counts only if no other copy wrote since the read; else the message comes again."""
    row: dict[str, tuple[int, frozenset[str]]] = {"account": (0, frozenset())}
    lock = threading.Lock()

    def set_if(before: tuple[int, frozenset[str]], after: tuple[int, frozenset[str]]) -> None:
        with lock:
            if row["account"] is not before:
                raise Retry
            row["account"] = after

    @message_handler(message_type=Order)
    def pay(order: Order) -> None:
        before = row["account"]
        time.sleep(0.001)
        balance, paid = before
        if order.id not in paid:
            set_if(before, (balance + order.amount, paid | {order.id}))

    cloud = serve(pay)
    for number in range(3):
        cloud.publish(pay, Order(id=f"o{number}", amount=5))
    cloud.wait_idle()

    assert (row["account"][0], cloud.dead_letters) == (15, [])


def needs_all_its_attempts(serve: Serve, clock: ManualClock) -> None:
    """Four failures in a row are allowed: hostile deliveries use up no attempts."""
    calls: Counter[bytes] = Counter()
    done: set[bytes] = set()

    @message_handler(message_type=None, retry=RetryPolicy(max_attempts=5))
    def handle(data: bytes) -> None:
        attempt = MESSAGE_CONTEXT.get().delivery_attempt or 1
        calls[data] += 1
        if attempt < 5:
            raise ConnectionError
        done.add(data)

    cloud = serve(handle)
    for data in (b"1", b"2"):
        cloud.publish(handle, data)
    cloud.wait_idle()

    assert (done, cloud.dead_letters) == ({b"1", b"2"}, [])


def dead_letters_once(serve: Serve, clock: ManualClock) -> None:
    """A message that can never succeed is put aside, once."""
    rows: dict[str, Order] = {}

    @message_handler(message_type=Order, dead_letter_topic="rejected")
    def record(order: Order) -> None:
        rows[order.id] = order

    cloud = serve(record)
    for data in ("junk", "junk", Order(id="o1", amount=1), "other junk"):
        cloud.publish(record, data)
    cloud.wait_idle()

    assert list(rows) == ["o1"]
    letters = sorted(letter.data for letter in cloud.dead_letters)
    assert letters == [b"junk", b"junk", b"other junk"]
    assert any(isinstance(execution.outcome, DeadLettered) for execution in cloud.executions)


def gives_up_after_its_attempts(serve: Serve, clock: ManualClock) -> None:
    """A message that fails each time is a dead letter after `max_attempts`."""

    @message_handler(message_type=None, retry=RetryPolicy(max_attempts=6))
    def fail(data: bytes) -> None:
        raise ConnectionError

    cloud = serve(fail)
    cloud.publish(fail, b"x")
    cloud.wait_idle()

    (letter,) = cloud.dead_letters
    assert letter.attributes["CloudPubSubDeadLetterSourceDeliveryCount"] == "6"


def passes_on_with_the_same_identity(serve: Serve, clock: ManualClock) -> None:
    """Each task of a chain knows duplicates by a key that the first message brought."""
    shipped: set[str] = set()
    billed: dict[str, int] = {}

    @message_handler(message_type=Order)
    def accept(order: Order) -> None:
        cloud.publish(ship, order)

    @message_handler(message_type=Order)
    def ship(order: Order) -> None:
        shipped.add(order.id)
        cloud.publish(bill, order)

    @message_handler(message_type=Order)
    def bill(order: Order) -> None:
        billed[order.id] = order.amount

    cloud = serve(accept, ship, bill)
    for number in range(2):
        cloud.publish(accept, Order(id=f"o{number}", amount=number))
    cloud.wait_idle()

    assert (shipped, billed) == ({"o0", "o1"}, {"o0": 0, "o1": 1})


def counts_down_through_its_own_topic(serve: Serve, clock: ManualClock) -> None:
    """A chain of messages of its own has an end, though each of them comes more than once."""
    reached: set[int] = set()

    @message_handler(message_type=int)
    def count_down(number: int) -> None:
        reached.add(number)
        if number:
            cloud.publish(count_down, str(number - 1))

    cloud = serve(count_down)
    cloud.publish(count_down, "5")
    cloud.wait_idle()

    assert reached == set(range(6))


def cleans_up_by_schedule(serve: Serve, clock: ManualClock) -> None:
    """A scheduled task looks at the rows that are there."""
    rows = {"old": 1, "new": 100}

    @message_handler(message_type=None, schedule=Schedule("0 3 * * *", data=b"x"))
    def clean_up(data: bytes) -> None:
        for key in [key for key, age in rows.items() if age < 50]:
            rows.pop(key, None)

    cloud = serve(clean_up)
    cloud.advance(timedelta(hours=18))  # from 9 in the morning: it is three

    assert rows == {"new": 100}


CORRECT_WITH_RETRIES: tuple[Case, ...] = (
    claims_and_confirms,
    gives_its_claim_back,
    waits_for_the_create,
    waits_for_each_forerunner,
    compares_and_sets,
    needs_all_its_attempts,
    dead_letters_once,
    gives_up_after_its_attempts,
    passes_on_with_the_same_identity,
    counts_down_through_its_own_topic,
    cleans_up_by_schedule,
)
