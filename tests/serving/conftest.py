from __future__ import annotations

import logging

import pytest

from ucam_faas.testing import ManualClock


@pytest.fixture(autouse=True)
def _log_everything(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="ucam_faas")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()
