"""Lost spans and metrics: said once, and counted."""

from __future__ import annotations

import logging

import pytest

from ucam_faas.telemetry.losses import QUEUE_IS_FULL, RECEIVER_FAILED, Losses


def test_a_loss_is_said_once_for_each_reason_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    losses = Losses()

    for _ in range(3):
        losses.lose(2, QUEUE_IS_FULL)
        losses.lose(1, RECEIVER_FAILED, "HTTP 401")
        losses.say("metrics", RECEIVER_FAILED, "HTTP 403")
    losses.end()

    assert [record.__dict__["fields"] for record in caplog.records] == [
        {"signal": "traces", "reason": QUEUE_IS_FULL},
        {"signal": "traces", "reason": RECEIVER_FAILED, "cause": "HTTP 401"},
        {"signal": "metrics", "reason": RECEIVER_FAILED, "cause": "HTTP 403"},
        {"spans": 9},
    ]
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


def test_a_forked_process_has_losses_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    losses = Losses()
    losses.lose(1, QUEUE_IS_FULL)
    caplog.clear()

    losses.reset()
    losses.end()

    assert caplog.records == []


def test_metrics_alone_end_without_a_number(caplog: pytest.LogCaptureFixture) -> None:
    losses = Losses()
    losses.say("metrics", RECEIVER_FAILED)
    caplog.clear()

    losses.end()

    assert caplog.records == []
