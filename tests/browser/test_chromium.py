"""The watch that the other tests rely on: it finds the faults of a page."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from .chromium import Visitor, barriers
from .site import serving

pytestmark = pytest.mark.slow

HEAD = "<!doctype html><html lang=en><title>A shop</title><main><h1>Orders</h1>"
POLICY = "default-src 'none'; script-src 'self'; connect-src *; img-src *"


def test_good_page_has_no_problem(browser: Browser) -> None:
    with serving(HEAD, POLICY) as port:
        visitor = Visitor(browser, f"http://127.0.0.1:{port}")

        page = visitor.open()

        expect(page.get_by_role("heading", name="Orders")).to_be_visible()
        assert barriers(page) == []
        assert visitor.leave() == []


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("<script>1</script>", "violates the following Content Security Policy"),
        ("<img alt='' src='http://example.org/x.png'>", "another site: http://example.org/x.png"),
        ("<img alt='' src='/x.png'>", "404: http://127.0.0.1"),
    ],
    ids=["inline-script", "external-image", "missing-image"],
)
def test_fault_of_a_page_is_found(browser: Browser, body: str, problem: str) -> None:
    with serving(HEAD + body, POLICY) as port:
        visitor = Visitor(browser, f"http://127.0.0.1:{port}")

        visitor.open()

        assert problem in "".join(visitor.leave())


def test_barrier_is_found(browser: Browser) -> None:
    with serving(HEAD + "<input><p style='color: #ccc'>grey", POLICY) as port:
        visitor = Visitor(browser, f"http://127.0.0.1:{port}")

        assert "label at" in "".join(barriers(visitor.open()))

        visitor.leave()
