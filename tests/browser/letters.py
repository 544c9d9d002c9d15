"""The page of dead letters."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from .chromium import Visitor


def look(visitor: Visitor, filters: str) -> Page:
    """Open the page of dead letters, and have them read now."""
    page = visitor.open(f"/dead-letters?{filters}")
    page.get_by_role("button", name="Look again").click()
    expect(page.get_by_role("status").filter(has_text=" there: ")).to_be_visible()
    return page
