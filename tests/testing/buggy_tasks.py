"""Tasks that each have one known bug, which tests with normal deliveries do not find.

Each function here is such a test, with its task: its docstring says what is wrong. These tasks do
not stand duplicates; see `buggy_order_tasks` for the others.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter

from ucam_faas import (
    MESSAGE_CONTEXT,
    message_handler,
)
from ucam_faas.testing import ManualClock

from .cases import Case, Serve
from .events import Line, Order, Reading


def counts_deliveries(serve: Serve, clock: ManualClock) -> None:
    """A plain counter counts a message as often as it comes."""
    logins: Counter[str] = Counter()

    @message_handler(message_type=bytes.decode)
    def count_login(user: str) -> None:
        logins[user] += 1

    cloud = serve(count_login)
    cloud.publish(count_login, "ada")
    cloud.wait_idle()

    assert logins == {"ada": 1}


def appends_without_a_key(serve: Serve, clock: ManualClock) -> None:
    """A row is added for each delivery."""
    rows: list[Reading] = []

    @message_handler(message_type=Reading)
    def record(reading: Reading) -> None:
        rows.append(reading)

    cloud = serve(record)
    for value in (18, 19):
        cloud.publish(record, Reading(sensor="hall", value=value))
    cloud.wait_idle()

    assert sorted(row.value for row in rows) == [18, 19]


def sends_without_a_claim(serve: Serve, clock: ManualClock) -> None:
    """An email is sent for each delivery."""
    sent: list[str] = []

    @message_handler(message_type=Order)
    def confirm(order: Order) -> None:
        sent.append(order.id)

    cloud = serve(confirm)
    cloud.publish(confirm, Order(id="o1", amount=5))
    cloud.wait_idle()

    assert sent == ["o1"]


def checks_then_acts(serve: Serve, clock: ManualClock) -> None:
    """Two copies at once both find that nothing was done yet."""
    paid: set[str] = set()
    balance: Counter[str] = Counter()

    @message_handler(message_type=Order)
    def pay(order: Order) -> None:
        if order.id in paid:
            return
        time.sleep(0.05)  # the bank's answer: longer than a thread takes to start
        balance["shop"] += order.amount
        paid.add(order.id)

    cloud = serve(pay)
    cloud.publish(pay, Order(id="o1", amount=5))
    cloud.wait_idle()

    assert balance == {"shop": 5}


def awaits_between_check_and_act(serve: Serve, clock: ManualClock) -> None:
    """Two copies at once both find that nothing was done yet, on one event loop."""
    seats: dict[str, str] = {}
    free = ["1A", "1B", "1C", "1D", "1E", "1F", "1G"]

    @message_handler(message_type=Order)
    async def book(order: Order) -> None:
        if order.id in seats:
            return
        await asyncio.sleep(0)
        seats[order.id] = free.pop(0)

    cloud = serve(book)
    cloud.publish(book, Order(id="o1", amount=1))
    cloud.wait_idle()

    assert len(free) == 6


def marks_after_the_work(serve: Serve, clock: ManualClock) -> None:
    """Messages under way aren't marked as seen yet."""
    seen: set[str] = set()
    sent: list[str] = []

    def send(order: Order) -> None:
        time.sleep(0.05)
        sent.append(order.id)

    @message_handler(message_type=Order)
    def confirm(order: Order) -> None:
        if order.id not in seen:
            send(order)
            seen.add(order.id)

    cloud = serve(confirm)
    for number in range(3):
        cloud.publish(confirm, Order(id=f"o{number}", amount=5))
    cloud.wait_idle()

    assert sorted(sent) == ["o0", "o1", "o2"]


def replaces_rows_without_a_transaction(serve: Serve, clock: ManualClock) -> None:
    """One after the other copies replace the rows; at once, both delete and then both insert."""
    rows: list[Line] = []

    @message_handler(message_type=Line)
    def replace(line: Line) -> None:
        rows[:] = [row for row in rows if row.invoice != line.invoice]
        time.sleep(0.05)  # two statements: longer than a thread takes to start
        rows.extend([line] * line.count)

    cloud = serve(replace)
    cloud.publish(replace, Line(invoice="i1", count=2))
    cloud.wait_idle()

    assert len(rows) == 2


def remembers_the_last_payload_only(serve: Serve, clock: ManualClock) -> None:
    """Duplicates are known by their payload, and as long as nothing else comes."""
    points: Counter[str] = Counter()
    last: dict[str, bytes] = {}

    @message_handler(message_type=None)
    def score(data: bytes) -> None:
        if last.get("data") == data:
            return
        last["data"] = data
        points[data.decode()] += 1

    cloud = serve(score)
    for name in ("ada", "bob", "cy", "dan"):
        cloud.publish(score, name)
    cloud.wait_idle()

    assert points == {"ada": 1, "bob": 1, "cy": 1, "dan": 1}


def trusts_the_delivery_attempt(serve: Serve, clock: ManualClock) -> None:
    """The first attempt is not the only one that has the number 1."""
    sent: list[bytes] = []

    @message_handler(message_type=None)
    def send(data: bytes) -> None:
        if MESSAGE_CONTEXT.get().delivery_attempt == 1:
            sent.append(data)

    cloud = serve(send)
    cloud.publish(send, "hello")
    cloud.wait_idle()

    assert sent == [b"hello"]


def knows_only_what_is_under_way(serve: Serve, clock: ManualClock) -> None:
    """Copies at once are found out; one that comes when the first is done is not."""
    under_way: set[str] = set()
    sent: list[str] = []

    @message_handler(message_type=Order)
    def confirm(order: Order) -> None:
        if order.id in under_way:
            return
        under_way.add(order.id)
        try:
            time.sleep(0.05)
            sent.append(order.id)
        finally:
            under_way.discard(order.id)

    cloud = serve(confirm)
    cloud.publish(confirm, Order(id="o1", amount=5))
    cloud.wait_idle()

    assert sent == ["o1"]


def answers_for_a_copy_that_fails(serve: Serve, clock: ManualClock) -> None:
    """While one copy is under way the other is acknowledged; and then the first one fails."""
    locked: set[str] = set()
    booked: set[str] = set()
    calls: Counter[str] = Counter()

    @message_handler(message_type=Order)
    async def book(order: Order) -> None:
        calls["all"] += 1
        if order.id in locked or order.id in booked:
            return
        locked.add(order.id)
        try:
            await asyncio.sleep(0.002)
            if calls["all"] > 1 and not calls["failed"]:  # busy: another copy asks, too
                calls["failed"] += 1
                raise ConnectionError
            booked.add(order.id)
        finally:
            locked.discard(order.id)

    cloud = serve(book)
    cloud.publish(book, Order(id="o1", amount=5))
    cloud.wait_idle()

    assert booked == {"o1"}


def passes_on_with_a_new_identity(serve: Serve, clock: ManualClock) -> None:
    """The next task knows duplicates by their message id; but each copy publishes a new message."""
    seen: set[str] = set()
    shipped: list[bytes] = []

    @message_handler(message_type=None)
    def accept(data: bytes) -> None:
        cloud.publish(ship, data)

    @message_handler(message_type=None, concurrency=1)
    def ship(data: bytes) -> None:
        message_id = MESSAGE_CONTEXT.get().pubsub_message.message_id
        if message_id not in seen:
            seen.add(message_id)
            shipped.append(data)

    cloud = serve(accept, ship)
    cloud.publish(accept, "o1")
    cloud.wait_idle()

    assert shipped == [b"o1"]


def switches_over(serve: Serve, clock: ManualClock) -> None:
    """An even number of deliveries leaves things as they were."""
    light = {"on": False}

    @message_handler(message_type=None)
    def press(data: bytes) -> None:
        light["on"] = not light["on"]

    cloud = serve(press)
    cloud.publish(press, b"-")
    cloud.wait_idle()

    assert light == {"on": True}


BUGGY: tuple[Case, ...] = (
    counts_deliveries,
    switches_over,
    appends_without_a_key,
    sends_without_a_claim,
    checks_then_acts,
    awaits_between_check_and_act,
    marks_after_the_work,
    replaces_rows_without_a_transaction,
    remembers_the_last_payload_only,
    trusts_the_delivery_attempt,
    knows_only_what_is_under_way,
    answers_for_a_copy_that_fails,
    passes_on_with_a_new_identity,
)
