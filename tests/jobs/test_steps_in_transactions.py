"""A step in a block of `ucam_faas.transaction` is stored with its effects, or neither is."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

import ucam_faas
from tests.jobs.callers import Caller, Till
from tests.jobs.test_complete import causes, row_of, run
from tests.serving.harness import on_a_loop
from ucam_faas.exceptions import JobLostError
from ucam_faas.job_runs import ends
from ucam_faas.jobs.states import State

pytestmark = pytest.mark.usefixtures("own_contexts")


async def step(caller: Caller, name: str, function: Callable[[], Any]) -> Any:
    """Do a step of the running job, as code with such a connection does."""
    job = ucam_faas.current_job()
    return await job.step_async(name, function) if caller.is_async else job.step(name, function)


class Placed:
    """A step's function: the next number."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> int:
        self.calls += 1
        return self.calls


@on_a_loop
async def test_a_step_is_stored_by_the_blocks_commit_and_forgotten_with_its_rollback(
    till: Till,
) -> None:
    place, seen = Placed(), []

    async def act(caller: Caller, order: Any) -> int:
        job = ucam_faas.current_job()
        if job.attempt == 1:
            with suppress(KeyError):
                async with caller.transaction():
                    await step(caller, "place", place)
                    await caller.order(order.id)
                    raise KeyError
            seen.append(till.store.steps(row_of(till).key))
        async with caller.transaction():
            number: int = await step(caller, "place", place)
            if job.attempt == 1:
                await caller.order(order.id)
            seen.append(till.store.steps(row_of(till).key))
        if job.attempt == 1:
            raise RuntimeError
        return number

    statuses = await run(till, act, times=2)

    assert [len(steps) for steps in seen] == [0, 0, 1]
    assert (row_of(till).result, place.calls, till.orders) == (b"2", 2, [1])
    assert statuses == [200, 200]


@on_a_loop
async def test_a_job_that_was_lost_rolls_the_block_back_though_the_task_catches_the_error(
    till: Till,
) -> None:
    async def act(caller: Caller, order: Any) -> None:
        key = row_of(till).key
        till.store.change(key, ends.interrupted("other"))
        till.store.claim(key, lease=60, instance="other")
        async with caller.transaction():
            await caller.order(order.id)
            with suppress(JobLostError):
                await step(caller, "place", Placed())

    await run(till, act)

    assert (till.orders, row_of(till).state) == ([], State.STARTED)
    assert causes(till) == ["sent", "claimed", "interrupted", "claimed"]
