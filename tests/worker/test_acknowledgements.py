"""Acknowledgements are gathered, and sent in few calls."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from tests.serving.harness import on_a_loop
from ucam_faas.worker import acknowledgements
from ucam_faas.worker.connection import InternalError

from .harness import until


@on_a_loop
async def test_many_acknowledgements_wait_for_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acknowledgements, "LINGER_SECONDS", 3600)
    calls: list[int] = []
    answered: list[int] = []

    async def acknowledge(request: Any, timeout: float) -> None:
        calls.append(len(request.ack_ids))

    def note(numbers: Sequence[int]) -> None:
        answered.extend(numbers)

    connection: Any = SimpleNamespace(acknowledge=acknowledge, modify_ack_deadline=None)
    answers = acknowledgements.Acknowledgements(connection, "projects/p/subscriptions/s", note)

    for number in range(acknowledgements.LINGER_IDS):
        answers.acknowledge(number, f"id {number}")
        await asyncio.sleep(0)  # the sender waits for more

    await until(lambda: len(answered) == acknowledgements.LINGER_IDS, "they are sent")
    assert calls == [acknowledgements.LINGER_IDS]


@on_a_loop
async def test_an_error_of_grpc_loses_no_other_answer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    answered: list[int] = []
    given_back: list[str] = []

    async def acknowledge(request: Any, timeout: float) -> None:
        raise InternalError("the channel is closed")

    async def modify_ack_deadline(request: Any, timeout: float) -> None:
        given_back.extend(request.ack_ids)

    connection: Any = SimpleNamespace(
        acknowledge=acknowledge, modify_ack_deadline=modify_ack_deadline
    )
    answers = acknowledgements.Acknowledgements(
        connection, "projects/p/subscriptions/s", answered.extend
    )

    answers.acknowledge(1, "id 1")
    answers.nack(2, "id 2")

    await until(lambda: answered == [1, 2], "no lease is extended any more")
    assert given_back == ["id 2"]
    assert caplog.messages == ["ucam_faas_acknowledgement_failed"]
