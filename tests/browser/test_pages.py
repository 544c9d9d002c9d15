"""Every page: for all eyes, on a phone, and without JavaScript."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Page, expect

from .bookshop import Bookshop
from .chromium import NARROW, Visitor, barriers
from .orders import WRONG, order

pytestmark = pytest.mark.slow

PAGES = (
    "/",
    "/dead-letters",
    "/dead-letters?task=nothing",
    "/dead-letters/{message}",
    "/dead-letters/{message}/edit",
    "/dead-letters/plans",
    "/dead-letters/plans/{plan}",
    "/dead-letters/purge?scope=all&text=Shelley",
    "/dead-letters/try?scope=all&text=Shelley",
    "/jobs",
    "/jobs/{job}",
    "/lanes",
    "/live",
    "/messages",
    "/messages/{message}",
    "/runs/{run}",
    "/schedules",
    "/search?q=Shelley",
    "/tasks",
    "/tasks/ship_order",
    "/tasks/ship_order/send",
    "/tasks/ship_order/send?mode=text",
)


@pytest.fixture(scope="module")
def places(bookshop: Bookshop) -> dict[str, str]:
    """Return the values of the paths' parameters: failures, which have the most to show."""
    (message,) = bookshop.fail("ship_order", [order(16, WRONG, "Mary Shelley")])
    job = bookshop.fail_job("write_statements", {"year": 2025, "customers": ["Ada", ""]})
    planned = bookshop.dev.run("dlq", "plan", "--all", "--text", "Shelley", "--json")
    assert planned.returncode == 0, planned.stderr
    return {
        "message": message,
        "job": f"write_statements/{job}",
        "plan": json.loads(planned.stdout)["id"],
        "run": bookshop.run_of(message),
    }


@pytest.mark.parametrize("path", PAGES)
def test_everyone_can_use_the_page(visitor: Visitor, places: dict[str, str], path: str) -> None:
    page = visitor.open(path.format(**places))
    expect(page.get_by_role("heading", level=1)).to_be_visible()

    assert barriers(page) == []

    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": NARROW[0], "height": NARROW[1]})

    assert barriers(page) == []
    assert overflow(page) <= 0, "a phone shows it in part"


def test_on_a_phone_no_column_of_a_table_is_hidden(
    visitor: Visitor, places: dict[str, str]
) -> None:
    """A row is a card: each value is after the name of its column, and nothing is out of sight."""
    page = visitor.open("/dead-letters?text=Shelley", narrow=True)
    row = page.get_by_role("group", name="Letters").locator("tbody tr")

    names = [f"[data-label={name}]" for name in ("Died", "Task", "Reason", "State")]
    for place in ("th", *names):
        cell = row.locator(place)
        # to the middle: at an edge, Chromium rounds to a whole pixel and may cut half a one off
        cell.evaluate("cell => cell.scrollIntoView({block: 'center'})")
        expect(cell).to_be_in_viewport(ratio=1)
    hidden = "[...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth)"
    assert page.evaluate(f"{hidden}.map(e => e.ariaLabel)") == []
    page.get_by_role("checkbox", name="Select all rows of this page").check()
    expect(row.get_by_role("checkbox")).to_be_checked()


def test_pages_work_without_javascript(visitor: Visitor, places: dict[str, str]) -> None:
    page = visitor.open("/", javascript=False)

    for path in PAGES:
        page.goto(path.format(**places))
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect(page.locator("main [hidden]")).to_have_count(0)


def overflow(page: Page) -> int:
    """Return by how many pixels a page is wider than its window."""
    return int(page.evaluate("document.documentElement.scrollWidth - innerWidth"))
