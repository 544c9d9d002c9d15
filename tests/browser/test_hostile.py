"""Pages of other sites, which a person visits while the dashboard runs."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect

from .bookshop import Bookshop
from .chromium import HOSTILE, Visitor
from .site import serving

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", [HOSTILE, "127.0.0.1"])
def test_page_of_another_site_can_neither_post_nor_frame_nor_read(
    browser: Browser, bookshop: Bookshop, name: str
) -> None:
    hostile = f"""<!doctype html><iframe src="{bookshop.dashboard}/"></iframe>
        <form method="post" action="{bookshop.dashboard}/schedules/report_stock/pause">
        <button>Win a book</button></form>"""
    with serving(hostile) as port:
        visitor = Visitor(browser, f"http://{name}:{port}")
        page = visitor.open()

        expect(page.frame_locator("iframe").locator("#main-frame-error")).to_be_attached()
        read = page.evaluate(
            "url => fetch(url).then(answer => answer.text(), error => `${error}`)",
            f"{bookshop.dashboard}/",
        )
        with page.expect_navigation() as navigation:
            page.get_by_role("button", name="Win a book").click()

        assert read == "TypeError: Failed to fetch"
        answer = navigation.value
        assert answer is not None
        assert answer.status == 403
        assert "frame-ancestors 'none'" in "".join(visitor.leave())
    assert bookshop.dev.rest.job("report_stock")["state"] == "ENABLED"


def test_name_of_another_site_that_leads_here_is_refused(
    browser: Browser, bookshop: Bookshop
) -> None:
    rebound = f"http://{HOSTILE}:{urlsplit(bookshop.dashboard).port}"
    visitor = Visitor(browser, rebound)
    visitor.expects_refusals = True

    page = visitor.open()

    expect(page.locator("body")).not_to_contain_text("report_stock")
    assert page.evaluate("fetch('/').then(answer => answer.status)") == 403
    visitor.leave()
