"""A person in Tokyo looks after a schedule of London."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from .bookshop import Bookshop
from .chromium import Visitor

pytestmark = pytest.mark.slow


def test_run_and_pause_a_schedule_across_a_clock_change(
    visitor: Visitor, bookshop: Bookshop
) -> None:
    page = visitor.open("/schedules", zone="Asia/Tokyo")
    schedule = page.get_by_role("row").filter(has_text="0 12 1 3,4 *")
    schedule.get_by_text("The next 5 runs").click()

    # At noon in London, before its summer time begins, and after.
    march = schedule.get_by_role("listitem").filter(has_text="1 Mar").first
    april = schedule.get_by_role("listitem").filter(has_text="1 Apr").first
    expect(march).to_contain_text("21:00:00 GMT+9")
    expect(april).to_contain_text("20:00:00 GMT+9")
    expect(april).to_contain_text("the clocks go forward by 1 h before this run")

    done = len(bookshop.dev.shown("done", "report_stock "))
    schedule.get_by_role("button", name="Run now").click()
    expect(page.get_by_role("status").filter(has_text="was run")).to_be_visible()
    bookshop.wait_done("report_stock", done + 1)

    schedule.get_by_role("button", name="Pause").click()
    expect(schedule.get_by_text("paused")).to_be_visible()
    assert bookshop.dev.rest.job("report_stock")["state"] == "PAUSED"

    schedule.get_by_role("button", name="Resume").click()
    expect(schedule.get_by_text("The next 5 runs")).to_be_visible()
    assert bookshop.dev.rest.job("report_stock")["state"] == "ENABLED"
