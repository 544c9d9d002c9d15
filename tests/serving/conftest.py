from __future__ import annotations

import logging

import pytest

from ucam_faas.testing import ManualClock


@pytest.fixture(autouse=True)
def _log_everything(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give all lines to caplog alone: where a root handler prints, the package prints its own."""
    caplog.set_level(logging.DEBUG, logger="ucam_faas")
    monkeypatch.setattr(logging.getLogger(), "handlers", [caplog.handler])


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()
