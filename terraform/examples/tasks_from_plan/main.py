"""The tasks of the plan beside this file: `ucam-faas plan --stage production` writes it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from pydantic import BaseModel

from ucam_faas import Schedule, message_handler, raw_event


class Quarter(BaseModel):
    """Which orders to count."""

    until: str | None = None


@message_handler(
    message_type=Quarter,
    topic="orders",
    dead_letter_topic="failed-orders",
    schedule=Schedule("every 15 minutes", data=b"{}"),
    secrets={"API_KEY": "api-key"},
    environment={"CURRENCY": "GBP"},
)
def count_orders(quarter: Quarter) -> dict[str, Any]:
    """Count the orders of a quarter of an hour."""
    return {"until": quarter.until}


@raw_event(topic="invoices", ordered=True, timeout=timedelta(seconds=30), cpu=0.5, max_instances=10)
def send_invoices(body: bytes) -> None:
    """Send an invoice."""


@raw_event(
    run_as="cloud-run-job",
    timeout=timedelta(hours=2),
    memory="1Gi",
    schedule=Schedule("0 4 1 1,4,7,10 *", time_zone="Europe/London"),
)
def report(body: bytes) -> None:
    """Report on the quarter."""
