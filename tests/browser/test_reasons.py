"""A person finds out why something failed, and watches what happens."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from . import yesterday
from .bookshop import Bookshop
from .chromium import Visitor

pytestmark = pytest.mark.slow


@pytest.fixture
def later_visitor(browser: Browser, tmp_path: Path) -> Iterator[Visitor]:
    """Return a visitor of the dashboard of a folder that was worked in yesterday."""
    yesterday.write(tmp_path)
    with yesterday.dashboard_of(tmp_path) as site:
        visitor = Visitor(browser, site)
        yield visitor
        assert visitor.leave() == []


def test_why_did_order_17_fail_yesterday(later_visitor: Visitor) -> None:
    page = later_visitor.open("/")

    cause = page.get_by_role("group", name="Failures by cause").get_by_role("row")
    cause = cause.filter(has_text="ship_order").filter(has_text="LookupError")
    expect(cause.get_by_text("1 day ago").first).to_be_visible()
    cause.get_by_role("link", name="LookupError").click()
    page.get_by_role("searchbox", name="Text", exact=True).fill("Austen")
    page.get_by_role("button", name="Show", exact=True).click()
    letters = page.get_by_role("group", name="Letters").get_by_role("rowheader")
    letters.get_by_role("link").click()
    expect(page.locator("main")).to_contain_text("LookupError at main.find_street")
    page.get_by_role("link", name=re.compile("^message ")).click()

    timeline = page.get_by_role("region", name="Timeline")
    expect(timeline).to_contain_text("attempt 1")
    expect(timeline).to_contain_text("attempt 2")
    expect(timeline).to_contain_text("packing order 17")
    expect(timeline.get_by_role("group", name="Traceback").last).to_contain_text("in find_street")
    days = timeline.locator("time").evaluate_all("ts => ts.map(t => Date.parse(t.dateTime))")
    assert days
    assert all(time.time() - day / 1000 > yesterday.DAY for day in days)
    expect(page.get_by_role("group", name="Payload")).to_contain_text('"street": "17 Kings Parad"')


def test_message_is_found_by_the_id_in_a_log(visitor: Visitor, bookshop: Bookshop) -> None:
    bookshop.publish("thank", {"to": "ada@example.org"})
    *_, line = bookshop.dev.wait_shown("published", "thank ")
    message = line.partition("message ")[2].partition(",")[0]
    page = visitor.open("/")

    page.get_by_role("searchbox").fill(message)
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name=f"Message {message}")).to_be_visible()
    expect(page.get_by_role("group", name="Payload")).to_contain_text("ada@example.org")


def test_1000_messages_a_second_neither_freeze_the_page_nor_lose_the_selection(
    visitor: Visitor, bookshop: Bookshop
) -> None:
    bookshop.publish("count_visit", b"first")
    moving, page = (visitor.open("/live?task=count_visit") for _ in range(2))
    watch_frames(moving)
    cell = page.locator("#events tr").first.get_by_role("link").last
    chosen = cell.inner_text()
    select(page, "#events tr:first-child td:nth-child(4)")

    bookshop.publish_paced("count_visit", [b"visit"] * 2000, a_second=1000)
    bookshop.wait_done("count_visit", 2001)
    (last,) = bookshop.publish("count_visit", b"last")  # a busy moment's rows aren't all shown

    expect(
        moving.locator("#events").get_by_role("link", name=last, exact=True).first
    ).to_be_visible()
    frames = moving.evaluate("frames_seen")
    assert frames["renewals"] > 1, "rows came while it was busy"
    assert frames["longest_ms"] < 3000, "it froze, longer than a busy machine explains"
    assert moving.locator("#events tr").count() <= 301
    expect(page.get_by_text("newer, held while you select")).to_be_visible()
    assert page.evaluate("getSelection().toString()").strip() == chosen
    page.get_by_role("button", name="Pause updates").click()
    page.get_by_role("button", name="Updates are paused").click()
    page.evaluate("getSelection().empty()")
    expect(page.locator("#events").get_by_role("link", name=last, exact=True).first).to_be_visible()
    assert page.locator("#events tr").count() <= 301


def test_5_megabytes_and_bytes_are_shown_in_part_and_downloaded_whole(
    visitor: Visitor, bookshop: Bookshop
) -> None:
    large = json.dumps({"isbn": "978-0", "pages": ["é" * 1000] * 2600}, ensure_ascii=False).encode()
    picture = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8
    assert len(large) > 5_000_000
    large_id, picture_id = bookshop.publish("count_visit", large, picture)
    bookshop.run_of(picture_id)

    page = visitor.open(f"/messages/{large_id}")
    payload = page.get_by_role("group", name="Payload")
    expect(payload).to_contain_text('"isbn": "978-0"')
    expect(page.get_by_text("the beginning is shown")).to_be_visible()
    assert len(payload.inner_text()) < 100_000
    assert downloaded(page) == large

    page.goto(f"/messages/{picture_id}")
    expect(payload).to_contain_text("89 50 4e 47 0d 0a 1a 0a")
    assert downloaded(page) == picture


def test_script_in_a_payload_is_text(visitor: Visitor, bookshop: Bookshop) -> None:
    script = "<script>document.title = 'stolen'</script><img src=x onerror='alert(1)'>"
    bait = f"{script}'\"><b id=bait>"
    (message,) = bookshop.publish("count_visit", bait.encode(), bait=bait)
    bookshop.run_of(message)

    page = visitor.open(f"/messages/{message}")

    expect(page.get_by_role("group", name="Payload")).to_contain_text(script)
    for path in (f"/messages/{message}", "/messages?text=stolen", "/search?q=stolen", "/live"):
        page.goto(path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect(page.locator("#bait")).to_have_count(0)
        assert "stolen" not in page.title().replace("Search: stolen", "")


def watch_frames(page: Page) -> None:
    """Let a page measure the longest time between two of its frames from now on, and count the
    changes of the list of events: a page that is frozen draws no frames.
    """
    page.evaluate(
        """() => {
          const seen = window.frames_seen = {count: 0, longest_ms: 0, renewals: 0};
          new MutationObserver(() => seen.renewals++)
            .observe(document.querySelector('#events'), {childList: true, subtree: true});
          let last = performance.now();
          requestAnimationFrame(function next(now) {
            seen.longest_ms = Math.max(seen.longest_ms, now - last);
            seen.count++;
            last = now;
            requestAnimationFrame(next);
          });
        }"""
    )


def select(page: Page, selector: str) -> None:
    """Select an element's text, as a person does who wants to copy it."""
    page.evaluate("s => getSelection().selectAllChildren(document.querySelector(s))", selector)


def downloaded(page: Page) -> bytes:
    """Return the file that the page's link brings."""
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    return Path(download.value.path()).read_bytes()
