"""A person repairs what went wrong."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from .bookshop import Bookshop
from .chromium import Visitor
from .letters import look
from .orders import GOOD, WRONG, order

pytestmark = pytest.mark.slow


def test_run_order_17_again_with_a_corrected_address(visitor: Visitor, bookshop: Bookshop) -> None:
    bookshop.fail("ship_order", [order(17, WRONG)])
    page = look(visitor, "task=ship_order&text=Byron")

    letter(page, 0).click()
    page.get_by_role("link", name="Edit", exact=True).click()
    page.get_by_role("textbox", name="street required").fill(GOOD)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("deletion")).to_contain_text(WRONG)
    expect(page.get_by_role("insertion")).to_contain_text(GOOD)
    page.get_by_role("button", name="Plan a replay").click()
    expect(page.locator("main")).to_contain_text("1 letter, and nothing is sent until you run it")
    page.get_by_role("button", name="Run: send 1").click()

    expect(progress(page)).to_contain_text("The letter was sent again")
    bookshop.wait_done("ship_order")
    page.goto("/dead-letters?task=ship_order&text=Byron")
    expect(page.get_by_text("No such dead letters")).to_be_visible()


def test_500_dead_letters_have_how_many_causes_and_only_one_is_retried(
    visitor: Visitor, bookshop: Bookshop
) -> None:
    bookshop.fail("check_stock", [{"number": number} for number in range(625) if number % 5])
    page = look(visitor, "task=check_stock")

    expect(heading(page)).to_have_text("4 causes of 500 dead letters")

    bookshop.dev.say("tidy")
    page.get_by_role("link", name=re.compile("PermissionError")).click()
    expect(heading(page)).to_have_text("1 cause of 125 dead letters")
    replay_all(page, "125")

    page.goto("/dead-letters?task=check_stock")
    expect(heading(page)).to_have_text("3 causes of 375 dead letters")
    expect(page.locator("main")).not_to_contain_text("PermissionError")


def test_all_3000_are_replayed_and_not_this_page(visitor: Visitor, bookshop: Bookshop) -> None:
    bookshop.fail("refund", [{"number": number} for number in range(3000)])
    bookshop.dev.say("bank-is-open")
    page = look(visitor, "task=refund")
    expect(page.get_by_role("group", name="Letters").get_by_role("checkbox")).to_have_count(51)

    replay_all(page, "3,000")

    bookshop.wait_done("refund", 3000)
    page.goto("/dead-letters?task=refund")
    expect(page.get_by_text("No such dead letters")).to_be_visible()


def test_a_replay_is_stopped_and_goes_on(visitor: Visitor, bookshop: Bookshop) -> None:
    bookshop.fail("wrap", [b"parcel %d" % number for number in range(60)])
    bookshop.dev.say("paper")
    page = look(visitor, "task=wrap")
    plan_all(page, "60")

    page.get_by_role("textbox", name="Letters a second, at most").fill("5")
    page.get_by_role("button", name="Run: send 60").click()
    expect(progress(page)).to_contain_text(re.compile(r"\b[1-9]\d* of 60 letters are replayed"))
    page.get_by_role("button", name="Stop").click()

    go_on = page.get_by_role("button", name=re.compile("Go on: send"))
    expect(go_on).to_be_visible()
    left = int(go_on.inner_text().split()[-1])
    assert 0 < left < 60
    page.reload()
    expect(go_on).to_have_text(f"Go on: send {left}")

    page.get_by_role("textbox", name="Letters a second, at most").fill("")
    go_on.click()
    expect(progress(page)).to_contain_text("All 60 letters were sent again")
    bookshop.wait_done("wrap", 60)
    assert len(bookshop.dev.shown("done", "wrap ")) == 60


def test_edits_are_tried_and_only_the_fixed_letter_is_replayed(
    visitor: Visitor, bookshop: Bookshop
) -> None:
    bookshop.fail("thank", [{"text": "Thank you!"}, {"text": "Thanks!"}])
    page = look(visitor, "task=thank")
    everything = page.locator("select[name=scope]")

    everything.select_option(label="all 2 that match")
    page.get_by_role("button", name="Try with the present code").click()
    expect(page.locator("main")).to_contain_text("still failing 2")
    expect(page.get_by_text("to: Field required")).to_have_count(2)
    page.get_by_role("rowheader").get_by_role("link").first.click()
    page.get_by_role("link", name="Edit", exact=True).click()
    page.get_by_role("textbox", name="to required").fill("ada@example.org")
    page.get_by_role("button", name="Save", exact=True).click()
    page.goto("/dead-letters?task=thank")
    everything.select_option(label="all 2 that match")
    page.get_by_role("button", name="Try with the present code").click()
    page.get_by_role("button", name="Plan a replay of just the 1 fixed").click()
    page.get_by_role("button", name="Run: send 1").click()

    expect(progress(page)).to_contain_text("The letter was sent again")
    page.goto("/dead-letters?task=thank")
    expect(heading(page)).to_have_text("1 cause of 1 dead letter")


def test_everything_is_done_by_keyboard(visitor: Visitor, bookshop: Bookshop) -> None:
    bookshop.fail("scan", [b"cover 1", b"cover 2", b"cover 3"])
    page = visitor.open("/")

    press(page, page.get_by_role("link", name="Dead letters"))
    press(page, page.get_by_role("button", name="Look again"))
    tab_to(page, page.get_by_label("Task"))
    page.keyboard.type("scan")
    press(page, page.get_by_role("button", name="Show", exact=True))
    expect(heading(page)).to_have_text("1 cause of 3 dead letters")
    boxes = page.get_by_role("checkbox", name=re.compile("Select .*scan"))
    tab_to(page, boxes.first)
    page.keyboard.press("Space")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    press(page, page.get_by_role("button", name="Handled"), key="Shift+Tab")
    expect(page.get_by_role("status").filter(has_text="2 dead letters are handled")).to_be_visible()
    press(page, page.get_by_role("button", name=re.compile("Replay…")))
    press(page, page.get_by_role("button", name="Run: send 1"))

    expect(progress(page)).to_contain_text("The letter was sent again")


def letter(page: Page, number: int) -> Locator:
    """Return the link of a row."""
    rows = page.get_by_role("group", name="Letters").get_by_role("rowheader")
    return rows.nth(number).get_by_role("link")


def heading(page: Page) -> Locator:
    """Return the heading that counts the causes."""
    return page.locator("#causes-h")


def progress(page: Page) -> Locator:
    """Return the part of a replay's page that changes."""
    return page.get_by_role("region", name="Progress")


def plan_all(page: Page, count: str) -> None:
    """Plan a replay of all letters that match, on their page."""
    page.locator("select[name=scope]").select_option(label=f"all {count} that match")
    page.get_by_role("button", name="Plan a replay").click()
    expect(progress(page)).to_contain_text(f"{count} letters, and nothing is sent until you run it")


def replay_all(page: Page, count: str) -> None:
    """Plan a replay of all letters that match, and run it."""
    plan_all(page, count)
    page.get_by_role("button", name=f"Run: send {count}").click()
    expect(progress(page)).to_contain_text(f"All {count} letters were sent again")


def tab_to(page: Page, target: Locator, key: str = "Tab") -> None:
    """Go with the keyboard to an element, which must be within reach."""
    for _ in range(150):
        page.keyboard.press(key)
        if target.evaluate("element => element === document.activeElement"):
            return
    raise AssertionError(f"{key} doesn't reach {target}")


def press(page: Page, target: Locator, key: str = "Tab") -> None:
    """Go with the keyboard to a link or a button, and press it."""
    tab_to(page, target, key)
    page.keyboard.press("Enter")
