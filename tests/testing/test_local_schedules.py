"""`ucam_faas_local`: schedules run when the clock gets there, or on demand."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ucam_faas import (
    MESSAGE_CONTEXT,
    Schedule,
    message_handler,
)
from ucam_faas.testing import PUBLISH_TIME, ManualClock

from .cases import Serve
from .tasks import User, crash, greet, values


@message_handler(
    message_type=None,
    schedule=[Schedule("0 3 * * *", data=b"daily"), Schedule("0 4 1 * *", data=b"monthly")],
)
def clean_up(data: bytes) -> str:
    return data.decode()


def test_schedules_run_when_their_time_comes(ucam_faas_local: Serve) -> None:
    """The clock starts at 9 on 31 January."""
    cloud = ucam_faas_local(clean_up)
    counts = []

    for hours in (17.5, 0.5, 1, 23):
        cloud.advance(timedelta(hours=hours))
        counts.append(Counter(values(cloud, clean_up)))

    assert counts == [
        {},
        {"daily": 1},
        {"daily": 1, "monthly": 1},
        {"daily": 2, "monthly": 1},
    ]


def test_a_schedule_that_is_due_at_the_end_has_run(
    ucam_faas_local: Serve, ucam_faas_clock: ManualClock
) -> None:
    cloud = ucam_faas_local(clean_up)

    cloud.advance(timedelta(hours=18))

    assert values(cloud, clean_up) == ["daily"]
    assert ucam_faas_clock.now() == PUBLISH_TIME + timedelta(hours=18)


def test_a_schedule_is_run_on_demand(ucam_faas_local: Serve) -> None:
    @message_handler(message_type=None, schedule=Schedule("0 3 * * *", data=b"x", paused=True))
    def paused(data: bytes) -> str:
        return data.decode()

    cloud = ucam_faas_local(clean_up, paused)

    cloud.run_schedule(clean_up)
    cloud.run_schedule(clean_up, 1)
    cloud.run_schedule(paused)
    cloud.wait_idle()

    assert sorted(values(cloud, clean_up)) == ["daily", "monthly"]
    assert values(cloud, paused) == ["x"]


@pytest.mark.parametrize(("task", "number"), [(greet, 0), (clean_up, 2), (crash, 0)])
def test_a_schedule_that_is_not_there_is_an_error(
    ucam_faas_local: Serve, task: Any, number: int
) -> None:
    cloud = ucam_faas_local(greet, clean_up)

    with pytest.raises(ValueError, match=f"no schedule {number} of '{task.task.name}'"):
        cloud.run_schedule(task, number)


@pytest.mark.slow
def test_a_year_of_a_daily_schedule_passes_without_waiting(ucam_faas_local: Serve) -> None:
    days: list[datetime] = []

    @message_handler(message_type=None, schedule=Schedule("30 12 * * *", data=b"x"))
    def daily(data: bytes) -> None:
        published = MESSAGE_CONTEXT.get().pubsub_message.publish_time
        assert published is not None
        days.append(published)

    cloud = ucam_faas_local(daily, greet)
    cloud.advance(timedelta(days=365))

    first = datetime(2026, 1, 31, 12, 30, tzinfo=UTC)
    assert days == [first + timedelta(days=number) for number in range(365)]
    cloud.publish(greet, User(name="Ada"))  # what had nothing to do all the year is there still
    cloud.wait_idle()
    assert values(cloud, greet) == ["Hello Ada"]
