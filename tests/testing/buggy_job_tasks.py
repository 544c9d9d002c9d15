"""Tasks for jobs that each have one known bug, which normal deliveries do not find.

See `buggy_tasks`. These do not stand a lost wake, or a holder that loses its lease and goes on.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from ucam_faas import message_handler
from ucam_faas.testing import ManualClock

from .cases import Case, Serve
from .events import Order


def pays_without_a_key(serve: Serve, clock: ManualClock) -> None:
    """A job is one, and its payment is not: a process that lost the job pays, too."""
    payments: list[str] = []

    @message_handler
    def pay(order: Order) -> None:
        payments.append(order.id)

    cloud = serve(pay)
    for number in range(2):
        pay.send(Order(id=f"o{number}", amount=1), id=f"o{number}")
    cloud.wait_idle()

    assert sorted(payments) == ["o0", "o1"]


async def _no_wait() -> None: ...


def pays_without_a_key_on_the_loop(serve: Serve, clock: ManualClock) -> None:
    """The same, in an asynchronous task."""
    payments: list[str] = []

    @message_handler
    async def pay(order: Order) -> None:
        await _no_wait()
        payments.append(order.id)

    cloud = serve(pay)
    pay.send(Order(id="o1", amount=1))
    cloud.wait_idle()

    assert payments == ["o1"]


def sets_back_what_a_later_job_has_set(serve: Serve, clock: ManualClock) -> None:
    """A process that lost its job writes late, over the state of a newer one."""
    states: dict[str, int] = {}

    @message_handler
    def store(version: int) -> None:
        if version >= states.get("latest", 0):  # newer messages first: the order is not a bug
            states["latest"] = version
        states["written"] = version

    cloud = serve(store)
    jobs = [store.send(version) for version in (1, 2, 3, 4)]
    cloud.wait_idle()

    assert all(job.is_completed for job in jobs)
    assert states["written"] == states["latest"] == 4


def drops_an_order_that_waited(serve: Serve, clock: ManualClock) -> None:
    """An order is taken for a leftover because its wake was lost, and the sweep sent another."""
    taken: list[str] = []

    @message_handler
    def take(order: Order) -> None:
        if clock.now() - placed[order.id] < timedelta(seconds=30):
            taken.append(order.id)

    placed: dict[str, datetime] = {}
    cloud = serve(take)
    for number in range(2):
        placed[f"o{number}"] = clock.now()
        take.send(Order(id=f"o{number}", amount=1))
    cloud.wait_idle()

    assert set(taken) == {"o0", "o1"}


BUGGY_JOBS: list[Case] = [
    pays_without_a_key,
    pays_without_a_key_on_the_loop,
    sets_back_what_a_later_job_has_set,
    drops_an_order_that_waited,
]
