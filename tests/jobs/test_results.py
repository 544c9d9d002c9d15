"""Odd results and errors of jobs, through real processes to the sender, on each store."""

from __future__ import annotations

import math
from typing import Any

import pytest

import ucam_faas
from tests.dev.cloud import Dev
from ucam_faas.exceptions import JobFailed

pytestmark = pytest.mark.slow

SECONDS = 60


def test_a_result_of_none_is_none(shop: Any) -> None:
    assert shop.answer.send(shop.Kind(name="none")).result(SECONDS) is None


def test_a_result_that_json_lacks_is_not_a_number(shop: Any) -> None:
    assert math.isnan(shop.answer.send(shop.Kind(name="nan")).result(SECONDS))


def test_a_large_result_arrives_whole_and_is_not_logged(shop: Any, dev: Dev) -> None:
    job = shop.answer.send(shop.Kind(name="large"), id="large")

    assert job.result(SECONDS) == "result" * 900_000
    dev.wait_shown("done", "answer  job large, attempt 1, took")
    assert "resultresult" not in dev.output


@pytest.mark.parametrize(
    ("kind", "type", "message"),
    [
        ("huge", "ValueError", "texttext"),
        ("unprintable", "Unprintable", ""),
        ("unstorable", "ValueError", "a\ufffdb?"),
        ("cyclic", "ValueError", "cyclic"),
        ("group", "ExceptionGroup", "group (1000 sub-exceptions)"),
        ("exit", "SystemExit", "3"),
    ],
)
def test_an_odd_exception_is_kept_with_its_traceback(
    shop: Any, kind: str, type: str, message: str
) -> None:
    job = shop.fail.send(shop.Kind(name=kind), retry=ucam_faas.RetryPolicy(max_attempts=1))

    with pytest.raises(JobFailed) as caught:
        job.result(SECONDS)

    cause = caught.value.cause
    assert cause is not None
    assert cause["type"] == type
    assert cause["message"].startswith(message)
    assert len(cause["message"]) <= 2_000
    assert "in fail" in cause["traceback"]
    assert len(cause["traceback"]) <= 20_000
