"""`clock.timeout`: a block is limited by whatever clock it is given."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from ucam_faas.clock import SystemClock, timeout
from ucam_faas.testing import ManualClock


def test_a_block_that_is_late_by_its_clock_raises_a_timeout_error() -> None:
    clock = ManualClock()

    async def wait() -> None:
        async with timeout(clock, 30):
            asyncio.get_running_loop().call_soon(clock.advance, timedelta(seconds=30))
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        asyncio.run(wait())


def test_a_block_that_ends_in_time_is_not_disturbed_later() -> None:
    clock = ManualClock()

    async def wait() -> str:
        async with timeout(clock, 30):
            await asyncio.sleep(0)
        clock.advance(timedelta(minutes=1))
        await asyncio.sleep(0)
        return "undisturbed"

    assert asyncio.run(wait()) == "undisturbed"


def test_a_cancellation_from_outside_stays_one() -> None:
    async def main() -> None:
        async def wait() -> None:
            async with timeout(SystemClock(), 30):
                await asyncio.Event().wait()

        task = asyncio.ensure_future(wait())
        await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())


def test_a_cancellation_at_the_time_limit_stays_one() -> None:
    clock = ManualClock()

    async def main() -> None:
        async def wait() -> None:
            async with timeout(clock, 30):
                await asyncio.Event().wait()

        task = asyncio.ensure_future(wait())
        await asyncio.sleep(0)
        clock.advance(timedelta(seconds=30))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
