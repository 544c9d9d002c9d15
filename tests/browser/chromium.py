"""Debian's Chromium, and a visitor who watches what the pages do."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    Response,
    WebError,
    expect,
    sync_playwright,
)

HOSTILE = "evil.example"
"""Another site. Its name leads to this machine, as a hostile one does after DNS rebinding."""
WIDE, NARROW = (1280, 800), (390, 844)
AXE = Path(__file__).parent / "axe" / "node_modules" / "axe-core" / "axe.min.js"
PATIENCE_MS = 60_000
"""The longest wait for anything: a slow machine needs seconds, and a fault never ends."""


def find() -> str | None:
    """Return Chromium's path; None: it isn't installed."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


@contextmanager
def running(program: str) -> Iterator[Browser]:
    """Run Chromium without a window, and without names but `HOSTILE`."""
    expect.set_options(timeout=PATIENCE_MS)
    arguments = [
        "--no-sandbox",  # it refuses to run as root with one
        f"--host-resolver-rules=MAP {HOSTILE} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        yield browser
        browser.close()


class Visitor:
    """A person who looks at a site.

    Args:
        browser: theirs.
        site: its origin, such as `http://127.0.0.1:8088`: the only one that pages may ask.
    """

    def __init__(self, browser: Browser, site: str) -> None:
        self.problems: list[str] = []
        """Faults of the pages, in the order seen."""
        self.expects_refusals = False
        """Whether answers of 4xx are what the visitor came for."""
        self.also_visits: tuple[str, ...] = ()
        """The origins of other sites that the visitor opens."""
        self._browser = browser
        self.site = site
        self._contexts: list[BrowserContext] = []

    def open(
        self,
        path: str = "/",
        *,
        dark: bool = False,
        narrow: bool = False,
        javascript: bool = True,
        zone: str = "Europe/London",
    ) -> Page:
        """Open a page in a window of its own, which keeps these settings."""
        width, height = NARROW if narrow else WIDE
        context = self._browser.new_context(
            base_url=self.site,
            color_scheme="dark" if dark else "light",
            viewport={"width": width, "height": height},
            java_script_enabled=javascript,
            timezone_id=zone,
            locale="en-GB",
            reduced_motion="reduce",
        )
        context.set_default_timeout(PATIENCE_MS)
        context.on("console", self._hear)
        context.on("weberror", self._catch)
        context.on("request", self._see_request)
        context.on("response", self._see_response)
        self._contexts.append(context)
        page = context.new_page()
        page.goto(path)
        return page

    def leave(self) -> list[str]:
        """Close all windows, and return the problems of their pages."""
        for context in self._contexts:
            context.close()
        return self.problems

    def _hear(self, message: ConsoleMessage) -> None:
        # An answer of 4xx or 5xx is reported here, too.
        if message.type in ("error", "warning") and "Failed to load" not in message.text:
            self.problems.append(f"console: {message.text}")

    def _catch(self, error: WebError) -> None:
        self.problems.append(f"error: {error.error}")

    def _see_request(self, request: Request) -> None:
        origins = (self.site, *self.also_visits)
        if not request.url.startswith(tuple(f"{origin}/" for origin in origins)):
            self.problems.append(f"asks another site: {request.url}")

    def _see_response(self, response: Response) -> None:
        is_expected = self.expects_refusals and response.status < 500
        if response.status >= 400 and not is_expected:
            self.problems.append(f"{response.status}: {response.url}")


def barriers(page: Page) -> list[str]:
    """Return the faults that axe-core finds in a page: they keep people from using it."""
    page.evaluate(AXE.read_text())  # the page's policy refuses a script tag
    report = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{violation['id']} at {node['target']}: {node['failureSummary']}"
        for violation in report["violations"]
        for node in violation["nodes"]
    ]
