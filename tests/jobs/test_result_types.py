"""The type of a job's result: that of its task's return annotation."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date
from typing import Annotated, Any

import msgspec
import pytest
from pydantic import BaseModel, Field

from ucam_faas import DeadLetter, Ignore, Retry, message_handler
from ucam_faas.exceptions import ResultNotStoredError
from ucam_faas.testing.job_runner import jobs


class Receipt(BaseModel, strict=True):
    """A result whose types JSON doesn't have."""

    day: date
    parts: tuple[int, ...] = (1, 2)


class Struct(msgspec.Struct):
    """A result of msgspec."""

    day: date


DAY = date(2026, 12, 1)
RECEIPT = Receipt(day=DAY)


def strict(data: bytes) -> Receipt:
    return RECEIPT


def struct(data: bytes) -> Struct:
    return Struct(DAY)


def or_an_outcome(data: bytes) -> Receipt | Retry | None:
    return RECEIPT


def bounded(data: bytes) -> Annotated[int, Field(gt=2)]:
    return 3


def mapping(data: bytes) -> dict[int, date]:
    return {1: DAY}


@pytest.mark.parametrize(
    ("function", "result"),
    [
        (strict, RECEIPT),
        (struct, Struct(DAY)),
        (or_an_outcome, RECEIPT),
        (bounded, 3),
        (mapping, {1: DAY}),
    ],
)
def test_a_result_has_the_type_of_the_annotation(
    function: Callable[[bytes], Any], result: Any
) -> None:
    task = message_handler(function)
    with jobs(task, inline=True):
        assert task.send(b"x").result() == result


def test_a_result_that_is_not_a_number_stays_one() -> None:
    @message_handler
    def infinite(data: bytes) -> list[float]:
        return [math.nan, math.inf]

    with jobs(infinite, inline=True):
        nan, inf = infinite.send(b"x").result()

    assert math.isnan(nan)
    assert inf == math.inf


def test_a_result_that_can_not_be_stored_is_an_error() -> None:
    @message_handler
    def picture(data: bytes) -> bytes:
        return b"\xff"

    with jobs(picture, inline=True), pytest.raises(ResultNotStoredError, match="isn't JSON"):
        picture.send(b"x").result()


def test_a_result_of_an_annotation_that_is_not_a_type_of_data_is_as_json_has_it() -> None:
    @message_handler
    def either(data: bytes) -> Ignore | DeadLetter:
        return [1]  # type: ignore[return-value]

    with jobs(either, inline=True):
        assert either.send(b"x").result() == [1]
