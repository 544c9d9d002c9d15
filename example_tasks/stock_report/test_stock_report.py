from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from ucam_faas import AbortedExecutionResult, ExecutionAbortedException, UCAMFAASException, testing

from .main import StockCount, StockReportInfo, report_stock

COUNT = StockCount(warehouse="north", counts={"A1": 12, "B2": 4, "Z9": 1})
INCOMPLETE = StockCount(warehouse="north", counts={"A1": 12})
UNKNOWN = StockCount(warehouse="west", counts={})


def test_what_is_below_the_limit_runs_low() -> None:
    assert report_stock(COUNT).low == ["B2"]


def test_an_unknown_warehouse_is_an_expected_failure() -> None:
    with pytest.raises(UCAMFAASException, match="'west'"):
        report_stock(UNKNOWN)


def test_an_incomplete_count_aborts_with_a_report() -> None:
    with pytest.raises(ExecutionAbortedException) as caught:
        report_stock(INCOMPLETE)

    assert isinstance(caught.value.execution_info, StockReportInfo)
    assert caught.value.execution_info.not_counted == ["B2"]


def test_a_run_fills_in_what_describes_the_message() -> None:
    info = testing.run(report_stock, testing.make_message(COUNT, message_id="17"))

    assert isinstance(info, StockReportInfo)
    assert info.low == ["B2"]
    assert info.pubsub_message is not None
    assert info.pubsub_message.message_id == "17"
    assert info.message_handler.input_message_accepted


def test_a_failed_run_keeps_the_report() -> None:
    info = testing.run(report_stock, INCOMPLETE)

    assert isinstance(info, StockReportInfo)
    assert isinstance(info.execution, AbortedExecutionResult)
    assert info.execution.reason == "stock_report.not-counted"
    assert info.not_counted == ["B2"]


@pytest.mark.parametrize(("count", "status"), [(COUNT, 200), (UNKNOWN, 500), (INCOMPLETE, 500)])
def test_failures_are_delivered_again(
    count: StockCount, status: int, ucam_faas_client: Callable[..., testing.Client]
) -> None:
    client = ucam_faas_client(report_stock)

    assert client.push("report_stock", count).status == status


def test_the_report_is_in_the_log(
    caplog: pytest.LogCaptureFixture, ucam_faas_client: Callable[..., testing.Client]
) -> None:
    caplog.set_level(logging.INFO, logger="ucam_faas")
    client = ucam_faas_client(report_stock)

    client.push("report_stock", COUNT)

    logged = [vars(record)["fields"]["execution_info"] for record in caplog.records]
    assert [(info["warehouse"], info["low"]) for info in logged] == [("north", ["B2"])]
