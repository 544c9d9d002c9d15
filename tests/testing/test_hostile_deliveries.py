"""Hostile deliveries find the bugs of tasks that are not idempotent, and accuse no others."""

from __future__ import annotations

from functools import partial

import pytest

from ucam_faas.testing import ManualClock

from .buggy_job_tasks import BUGGY_JOBS
from .buggy_order_tasks import BUGGY_IN_ANOTHER_ORDER
from .buggy_tasks import BUGGY
from .cases import Case, Serve, per_seed
from .correct_job_tasks import CORRECT_JOBS
from .correct_retrying_tasks import CORRECT_WITH_RETRIES
from .correct_tasks import CORRECT

per_bug = pytest.mark.parametrize(
    "case", [*BUGGY, *BUGGY_IN_ANOTHER_ORDER, *BUGGY_JOBS], ids=lambda case: case.__name__
)
per_correct_task = pytest.mark.parametrize(
    "case", [*CORRECT, *CORRECT_WITH_RETRIES, *CORRECT_JOBS], ids=lambda case: case.__name__
)


@per_bug
def test_normal_deliveries_do_not_find_the_bug(
    ucam_faas_local: Serve, ucam_faas_clock: ManualClock, case: Case
) -> None:
    case(ucam_faas_local, ucam_faas_clock)


@per_bug
@per_seed
def test_hostile_deliveries_find_the_bug(
    ucam_faas_local: Serve, ucam_faas_clock: ManualClock, case: Case, seed: int
) -> None:
    with pytest.raises(AssertionError):
        case(partial(ucam_faas_local, deliveries="hostile", seed=seed), ucam_faas_clock)


@per_correct_task
def test_correct_tasks_pass_with_normal_deliveries(
    ucam_faas_local: Serve, ucam_faas_clock: ManualClock, case: Case
) -> None:
    case(ucam_faas_local, ucam_faas_clock)


@per_correct_task
@per_seed
def test_correct_tasks_are_not_accused(
    ucam_faas_local: Serve, ucam_faas_clock: ManualClock, case: Case, seed: int
) -> None:
    case(partial(ucam_faas_local, deliveries="hostile", seed=seed), ucam_faas_clock)
