"""The watch that the other tests rely on: what a page does wrong is found."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser, expect

from .chromium import Visitor, barriers

pytestmark = pytest.mark.slow

HEAD = "<!doctype html><html lang=en><title>A shop</title><main><h1>Orders</h1>"
POLICY = "default-src 'none'; script-src 'self'; connect-src *; img-src *"

Site = Callable[[str], Visitor]


class Handler(BaseHTTPRequestHandler):
    """Answers with a page, and with 404 for anything else."""

    def __init__(self, page: str, *arguments: object) -> None:
        self.page = page
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self.send_response(200 if self.path in ("/", "/favicon.ico") else 404)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Security-Policy", POLICY)
        self.end_headers()
        self.wfile.write(self.page.encode())

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def site(browser: Browser) -> Iterator[Site]:
    """Return a visitor of a site that consists of one page."""
    servers: list[ThreadingHTTPServer] = []

    def make(page: str) -> Visitor:
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, page))
        servers.append(server)
        threading.Thread(target=server.serve_forever).start()
        return Visitor(browser, f"http://127.0.0.1:{server.server_address[1]}")

    yield make
    for server in servers:
        server.shutdown()
        server.server_close()


def test_good_page_has_no_problem(site: Site) -> None:
    visitor = site(HEAD)

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
def test_what_a_page_does_wrong_is_found(site: Site, body: str, problem: str) -> None:
    visitor = site(HEAD + body)

    visitor.open()

    assert problem in "".join(visitor.leave())


def test_barrier_is_found(site: Site) -> None:
    visitor = site(HEAD + "<input><p style='color: #ccc'>grey")

    assert "label at" in "".join(barriers(visitor.open()))

    visitor.leave()
