"""Tasks that stand duplicates, and messages in another order or late; so nothing accuses them.

Each function here is a test, with its task: its docstring says why the task is right. What needs
retries or other tasks for that is in `correct_retrying_tasks`.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager

from ucam_faas import (
    MESSAGE_CONTEXT,
    message_handler,
)
from ucam_faas.testing import ManualClock

from .cases import Case, Serve
from .events import Change, Line, Order, Reading


def upserts_by_key(serve: Serve, clock: ManualClock) -> None:
    """One row for each key, whatever comes how often."""
    rows: dict[str, Order] = {}

    @message_handler(message_type=Order)
    def record(order: Order) -> None:
        rows[order.id] = order

    cloud = serve(record)
    for number in range(5):
        cloud.publish(record, Order(id=f"o{number}", amount=number))
    cloud.wait_idle()

    assert {key: row.amount for key, row in rows.items()} == {f"o{n}": n for n in range(5)}


def compares_versions(serve: Serve, clock: ManualClock) -> None:
    """A change that is older than the row is left out."""
    rows: dict[str, int] = {}
    lock = threading.Lock()

    @message_handler(message_type=Reading)
    def set_price(reading: Reading) -> None:
        with lock:
            if reading.value > rows.get(reading.sensor, 0):
                rows[reading.sensor] = reading.value

    cloud = serve(set_price)
    for value in (1, 2, 3, 4):
        cloud.publish(set_price, Reading(sensor="tea", value=value))
    cloud.wait_idle()

    assert rows == {"tea": 4}


def locks_and_remembers(serve: Serve, clock: ManualClock) -> None:
    """Check and act are one step, under a lock."""
    done: set[str] = set()
    balance: Counter[str] = Counter()
    lock = threading.Lock()

    @message_handler(message_type=Order)
    def pay(order: Order) -> None:
        with lock:
            if order.id not in done:
                time.sleep(0.001)
                balance["shop"] += order.amount
                done.add(order.id)

    cloud = serve(pay)
    for number in range(3):
        cloud.publish(pay, Order(id=f"o{number}", amount=5))
    cloud.wait_idle()

    assert balance == {"shop": 15}


def asks_for_order(serve: Serve, clock: ManualClock) -> None:
    """The messages of a key come in order, and duplicates are known by their content."""
    steps: dict[str, list[str]] = {}

    @message_handler(message_type=Change, ordered=True)
    def follow(change: Change) -> None:
        known = steps.setdefault(change.key, [])
        if change.value not in known:
            known.append(change.value)

    cloud = serve(follow)
    for number, value in enumerate(["placed", "paid", "sent", "received"]):
        for key in ("o1", "o2"):
            change = Change(id=str(number), key=key, kind="step", value=value)
            cloud.publish(follow, change, ordering_key=key)
    cloud.wait_idle()

    assert steps["o1"] == steps["o2"] == ["placed", "paid", "sent", "received"]


def lets_the_last_write_win_in_order(serve: Serve, clock: ManualClock) -> None:
    """In order, the last write is the newest."""
    prices: dict[str, int] = {}

    @message_handler(message_type=Reading, ordered=True)
    def set_price(reading: Reading) -> None:
        prices[reading.sensor] = reading.value

    cloud = serve(set_price)
    for value in (3, 1, 2):
        cloud.publish(set_price, Reading(sensor="tea", value=value), ordering_key="tea")
    cloud.wait_idle()

    assert prices == {"tea": 2}


def only_computes(serve: Serve, clock: ManualClock) -> None:
    """Nothing is changed anywhere."""

    @message_handler(message_type=Order)
    def add_tax(order: Order) -> int:
        return order.amount * 2

    cloud = serve(add_tax)
    for amount in (1, 2, 3):
        cloud.publish(add_tax, Order(id="o", amount=amount))
    cloud.wait_idle()

    assert {execution.value for execution in cloud.executions_of(add_tax)} == {2, 4, 6}


def unites_sets(serve: Serve, clock: ManualClock) -> None:
    """A union is the same in any order, and as often as you like."""
    tags: dict[str, set[str]] = {}

    @message_handler(message_type=Change)
    async def tag(change: Change) -> None:
        await asyncio.sleep(0)
        tags.setdefault(change.key, set()).add(change.value)

    cloud = serve(tag)
    for value in ("red", "blue", "green"):
        cloud.publish(tag, Change(id=value, key="car", kind="tag", value=value))
    cloud.wait_idle()

    assert tags == {"car": {"red", "blue", "green"}}


def keeps_the_highest(serve: Serve, clock: ManualClock) -> None:
    """A maximum is the same in any order."""
    highest: dict[str, int] = {}
    lock = threading.Lock()

    @message_handler(message_type=Reading)
    def record(reading: Reading) -> None:
        with lock:
            highest[reading.sensor] = max(highest.get(reading.sensor, 0), reading.value)

    cloud = serve(record)
    for value in (3, 9, 4):
        cloud.publish(record, Reading(sensor="hall", value=value))
    cloud.wait_idle()

    assert highest == {"hall": 9}


def marks_what_was_deleted(serve: Serve, clock: ManualClock) -> None:
    """A tombstone stays, whenever the create comes."""
    users: dict[str, str | None] = {}

    @message_handler(message_type=Change)
    def apply(change: Change) -> None:
        if change.kind == "create":
            users.setdefault(change.key, change.value)
        else:
            users[change.key] = None

    cloud = serve(apply)
    cloud.publish(apply, Change(id="1", key="ada", kind="create", value="Ada"))
    cloud.publish(apply, Change(id="2", key="ada", kind="delete"))
    cloud.wait_idle()

    assert users == {"ada": None}


@contextmanager
def _database() -> Iterator[str]:
    name = f"file:{threading.get_ident()}-{time.monotonic_ns()}?mode=memory&cache=shared"
    with closing(sqlite3.connect(name, uri=True)) as kept:  # it lives as long as this does
        kept.execute("CREATE TABLE orders (id TEXT PRIMARY KEY)")
        kept.execute("CREATE TABLE total (amount INT)")
        kept.execute("INSERT INTO total VALUES (0)")
        kept.commit()
        yield name


def writes_in_a_transaction(serve: Serve, clock: ManualClock) -> None:
    """The key of the message and its effect are written together, or neither is."""
    with _database() as name:

        @message_handler(message_type=Order)
        def pay(order: Order) -> None:
            with closing(sqlite3.connect(name, uri=True, isolation_level=None)) as database:
                database.execute("BEGIN IMMEDIATE")
                cursor = database.execute("INSERT OR IGNORE INTO orders VALUES (?)", (order.id,))
                if cursor.rowcount:
                    database.execute("UPDATE total SET amount = amount + ?", (order.amount,))
                database.execute("COMMIT")

        cloud = serve(pay)
        for number in range(3):
            cloud.publish(pay, Order(id=f"o{number}", amount=5))
        cloud.wait_idle()

        with closing(sqlite3.connect(name, uri=True)) as database:
            assert database.execute("SELECT amount FROM total").fetchone() == (15,)


def locks_on_the_loop(serve: Serve, clock: ManualClock) -> None:
    """Check and act are one step for all that runs on this event loop."""
    done: set[str] = set()
    sent: list[str] = []
    lock = asyncio.Lock()

    @message_handler(message_type=Order)
    async def confirm(order: Order) -> None:
        async with lock:
            if order.id not in done:
                await asyncio.sleep(0.001)
                sent.append(order.id)
                done.add(order.id)

    cloud = serve(confirm)
    for number in range(3):
        cloud.publish(confirm, Order(id=f"o{number}", amount=5))
    cloud.wait_idle()

    assert sorted(sent) == ["o0", "o1", "o2"]


def runs_one_at_a_time(serve: Serve, clock: ManualClock) -> None:
    """With a concurrency of one, nothing comes between check and act."""
    done: set[str] = set()
    total: Counter[str] = Counter()

    @message_handler(message_type=Order, concurrency=1)
    def pay(order: Order) -> None:
        if order.id in done:
            return
        time.sleep(0.001)
        total["all"] += order.amount
        done.add(order.id)

    cloud = serve(pay)
    for number in range(3):
        cloud.publish(pay, Order(id=f"o{number}", amount=5))
    cloud.wait_idle()

    assert total == {"all": 15}


def remembers_message_ids(serve: Serve, clock: ManualClock) -> None:
    """The id of a message is the same in all its copies."""
    seen: set[str] = set()
    rows: list[bytes] = []
    lock = threading.Lock()

    @message_handler(message_type=None)
    def record(data: bytes) -> None:
        with lock:
            message_id = MESSAGE_CONTEXT.get().pubsub_message.message_id
            if message_id not in seen:
                seen.add(message_id)
                rows.append(data)

    cloud = serve(record)
    for _ in range(3):
        cloud.publish(record, "the same")
    cloud.wait_idle()

    assert len(rows) == 3


def replaces_rows_under_a_lock(serve: Serve, clock: ManualClock) -> None:
    """No reader sees the rows between delete and insert."""
    rows: list[Line] = []
    lock = threading.Lock()

    @message_handler(message_type=Line)
    def replace(line: Line) -> None:
        with lock:
            rows[:] = [row for row in rows if row.invoice != line.invoice]
            time.sleep(0.001)
            rows.extend([line] * line.count)

    cloud = serve(replace)
    for invoice in ("i1", "i2"):
        cloud.publish(replace, Line(invoice=invoice, count=2))
    cloud.wait_idle()

    assert sorted(row.invoice for row in rows) == ["i1", "i1", "i2", "i2"]


CORRECT: tuple[Case, ...] = (
    upserts_by_key,
    compares_versions,
    locks_and_remembers,
    asks_for_order,
    lets_the_last_write_win_in_order,
    only_computes,
    unites_sets,
    keeps_the_highest,
    marks_what_was_deleted,
    writes_in_a_transaction,
    locks_on_the_loop,
    runs_one_at_a_time,
    remembers_message_ids,
    replaces_rows_under_a_lock,
)
