"""More tasks like `buggy_tasks`: these do not stand messages in another order, or late."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from ucam_faas import (
    MESSAGE_CONTEXT,
    message_handler,
)
from ucam_faas.testing import ManualClock

from .cases import Case, Serve
from .events import Change, Reading


def marks_before_the_work(serve: Serve, clock: ManualClock) -> None:
    """A message that failed, because the row that it needs comes later, is taken for done."""
    seen: set[str] = set()
    customers: dict[str, list[str]] = {}

    @message_handler(message_type=Change)
    def apply(change: Change) -> None:
        if change.id in seen:
            return
        seen.add(change.id)
        if change.kind == "create":
            customers[change.key] = []
        else:
            customers[change.key].append(change.value)

    cloud = serve(apply)
    cloud.publish(apply, Change(id="1", key="ada", kind="create"))
    cloud.publish(apply, Change(id="2", key="ada", kind="order", value="book"))
    cloud.wait_idle()

    assert customers == {"ada": ["book"]}


def writes_in_two_steps(serve: Serve, clock: ManualClock) -> None:
    """The second write fails, and the retry finds the first one and leaves it at that."""
    orders: set[str] = set()
    totals: dict[str, int] = {}

    @message_handler(message_type=Change)
    def apply(change: Change) -> None:
        if change.kind == "create":
            totals.setdefault(change.key, 0)
        elif change.id not in orders:
            orders.add(change.id)
            totals[change.key] += int(change.value)

    cloud = serve(apply)
    cloud.publish(apply, Change(id="1", key="ada", kind="create"))
    cloud.publish(apply, Change(id="2", key="ada", kind="order", value="5"))
    cloud.wait_idle()

    assert totals == {"ada": 5}


def lets_the_last_write_win(serve: Serve, clock: ManualClock) -> None:
    """Whatever comes last is taken for the newest."""
    prices: dict[str, int] = {}

    @message_handler(message_type=Reading)
    def set_price(reading: Reading) -> None:
        prices[reading.sensor] = reading.value

    cloud = serve(set_price)
    for value in (1, 2, 3):
        cloud.publish(set_price, Reading(sensor="tea", value=value))
    cloud.wait_idle()

    assert prices == {"tea": 3}


def lets_the_last_write_win_later(serve: Serve, clock: ManualClock) -> None:
    """A copy of a message comes long after the message, and after a newer one."""
    prices: dict[str, int] = {}

    @message_handler(message_type=Reading)
    def set_price(reading: Reading) -> None:
        prices[reading.sensor] = reading.value

    cloud = serve(set_price)
    for value in (1, 2):
        cloud.publish(set_price, Reading(sensor="tea", value=value))
        cloud.advance(timedelta(hours=1))

    assert prices == {"tea": 2}


def relies_on_an_order_it_did_not_ask_for(serve: Serve, clock: ManualClock) -> None:
    """There are ordering keys, but the subscription is not ordered."""
    steps: dict[str, list[str]] = {}

    @message_handler(message_type=Change)
    def follow(change: Change) -> None:
        known = steps.setdefault(change.key, [])
        if change.value not in known:
            known.append(change.value)

    cloud = serve(follow)
    for number, value in enumerate(["placed", "paid", "sent"]):
        change = Change(id=str(number), key="o1", kind="step", value=value)
        cloud.publish(follow, change, ordering_key="o1")
    cloud.wait_idle()

    assert steps == {"o1": ["placed", "paid", "sent"]}


def ignores_an_update_before_its_create(serve: Serve, clock: ManualClock) -> None:
    """An update of a row that isn't there yet is lost."""
    users: dict[str, str] = {}

    @message_handler(message_type=Change)
    def apply(change: Change) -> None:
        if change.kind == "create":
            users.setdefault(change.key, change.value)
        elif change.key in users:
            users[change.key] = change.value

    cloud = serve(apply)
    cloud.publish(apply, Change(id="1", key="ada", kind="create", value="Ada"))
    cloud.publish(apply, Change(id="2", key="ada", kind="update", value="Ada L."))
    cloud.wait_idle()

    assert users == {"ada": "Ada L."}


def creates_over_an_update(serve: Serve, clock: ManualClock) -> None:
    """An update waits for its create; but a copy of the create comes after both."""
    users: dict[str, str] = {}

    @message_handler(message_type=Change)
    def apply(change: Change) -> None:
        if change.kind == "update" and change.key not in users:
            raise LookupError(change.key)
        users[change.key] = change.value

    cloud = serve(apply)
    cloud.publish(apply, Change(id="1", key="ada", kind="create", value="Ada"))
    cloud.publish(apply, Change(id="2", key="ada", kind="update", value="Ada L."))
    cloud.wait_idle()

    assert users == {"ada": "Ada L."}


def brings_back_what_was_deleted(serve: Serve, clock: ManualClock) -> None:
    """A create that comes after its delete makes the row again."""
    users: dict[str, str] = {}

    @message_handler(message_type=Change)
    def apply(change: Change) -> None:
        if change.kind == "create":
            users[change.key] = change.value
        else:
            users.pop(change.key, None)

    cloud = serve(apply)
    cloud.publish(apply, Change(id="1", key="ada", kind="create", value="Ada"))
    cloud.publish(apply, Change(id="2", key="ada", kind="delete"))
    cloud.wait_idle()

    assert users == {}


def skips_what_is_older_than_the_newest(serve: Serve, clock: ManualClock) -> None:
    """Messages published before the newest handled message are taken for handled."""
    handled: set[bytes] = set()
    newest: dict[str, Any] = {}

    @message_handler(message_type=None)
    def handle(data: bytes) -> None:
        published = MESSAGE_CONTEXT.get().pubsub_message.publish_time
        if newest and published < newest["time"]:
            return
        newest["time"] = published
        handled.add(data)

    cloud = serve(handle)
    for data in (b"1", b"2", b"3"):
        cloud.publish(handle, data)
        clock.advance(timedelta(milliseconds=100))
    cloud.wait_idle()

    assert handled == {b"1", b"2", b"3"}


def drops_what_is_not_the_next_version(serve: Serve, clock: ManualClock) -> None:
    """A version that comes too early is dropped, as if it had been applied before."""
    versions: dict[str, int] = {}

    @message_handler(message_type=Reading)
    def apply(reading: Reading) -> None:
        if reading.value == versions.get(reading.sensor, 0) + 1:
            versions[reading.sensor] = reading.value

    cloud = serve(apply)
    for value in (1, 2, 3, 4):
        cloud.publish(apply, Reading(sensor="hall", value=value))
    cloud.wait_idle()

    assert versions == {"hall": 4}


def remembers_the_last_message_of_a_key(serve: Serve, clock: ManualClock) -> None:
    """In order, too, a message may come again after later ones, which then follow it again."""
    last: dict[str, str] = {}
    miles: dict[str, int] = {}

    @message_handler(message_type=Change, ordered=True)
    def drive(change: Change) -> None:
        if last.get(change.key) == change.id:
            return
        last[change.key] = change.id
        miles[change.key] = miles.get(change.key, 0) + int(change.value)

    cloud = serve(drive)
    for number in range(3):
        change = Change(id=str(number), key="car", kind="trip", value="5")
        cloud.publish(drive, change, ordering_key="car")
    cloud.wait_idle()

    assert miles == {"car": 15}


BUGGY_IN_ANOTHER_ORDER: tuple[Case, ...] = (
    marks_before_the_work,
    writes_in_two_steps,
    lets_the_last_write_win,
    lets_the_last_write_win_later,
    relies_on_an_order_it_did_not_ask_for,
    ignores_an_update_before_its_create,
    creates_over_an_update,
    brings_back_what_was_deleted,
    skips_what_is_older_than_the_newest,
    drops_what_is_not_the_next_version,
    remembers_the_last_message_of_a_key,
)
