"""Tests with a task: each serves the task, publishes, waits, and asserts."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ucam_faas.local_testing import EmbeddedCloud
from ucam_faas.testing import ManualClock

Serve = Callable[..., EmbeddedCloud]
"""`ucam_faas_local`, perhaps with options."""
Case = Callable[[Serve, ManualClock], None]

per_seed = pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 5))]
)
"""Five ways of hostile deliveries; one of them in the fast suite."""
