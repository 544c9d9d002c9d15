"""Reports what runs low: a report with fields of its own, and failures that are expected."""

from __future__ import annotations

from pydantic import BaseModel, Field, NonNegativeInt

import ucam_faas

LOWEST_STOCK = {"north": {"A1": 10, "B2": 5}, "south": {"A1": 3}}
"""For each warehouse, the articles and how many there should at least be."""


class StockCount(BaseModel):
    """A count of the articles in a warehouse."""

    warehouse: str = Field(examples=["north"])
    counts: dict[str, NonNegativeInt] = Field(examples=[{"A1": 12, "B2": 4}])


class StockReportInfo(ucam_faas.MessageHandlerExecutionInfo):
    """A report with fields of its own; ucam_faas fills in those that describe the message."""

    warehouse: str
    low: list[str] = Field(default_factory=list)
    not_counted: list[str] = Field(default_factory=list)


@ucam_faas.message_handler
def report_stock(count: StockCount) -> StockReportInfo:
    """Report which articles run low in a warehouse."""
    lowest = LOWEST_STOCK.get(count.warehouse)
    if lowest is None:
        # Logged as a warning without a traceback, and delivered again: it may be known soon.
        raise ucam_faas.UCAMFAASException(f"No warehouse is called {count.warehouse!r}")
    not_counted = sorted(lowest.keys() - count.counts.keys())
    if not_counted:
        # The same, with a report that says what is wrong.
        result = ucam_faas.AbortedExecutionResult(reason="stock_report.not-counted")
        info = StockReportInfo(execution=result, warehouse=count.warehouse, not_counted=not_counted)
        raise ucam_faas.ExecutionAbortedException("Count again", execution_info=info)
    low = sorted(sku for sku, least in lowest.items() if count.counts[sku] < least)
    return StockReportInfo(warehouse=count.warehouse, low=low)
