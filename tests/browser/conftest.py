"""Chromium and a running `ucam-faas dev` for the tests of its dashboard.

Both last until the folder's last test: Playwright keeps an event loop in this thread, in which no
other could run. `browser` is among conftest.TOGETHER, so there is one of each.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NoReturn

import pytest
from playwright.sync_api import Browser

from tests.support import npm

from . import chromium
from .bookshop import Bookshop, open_bookshop
from .chromium import AXE, Visitor

collect_ignore = ["tasks"]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Run Chromium, and have axe-core at hand; skip the tests without them, except in CI."""
    program = chromium.find()
    if program is None:
        unavailable("Chromium isn't installed: apt-get install chromium")
    if problem := npm.install(AXE.parents[2]):
        unavailable(f"axe-core: {problem}")
    with chromium.running(program) as browser:
        yield browser


@pytest.fixture(scope="package")
def bookshop(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bookshop]:
    """Run the shop; each test has tasks of its own, or messages that it knows by their ids."""
    with open_bookshop(tmp_path_factory.mktemp("bookshop")) as bookshop:
        yield bookshop


@pytest.fixture
def visitor(browser: Browser, bookshop: Bookshop) -> Iterator[Visitor]:
    """Return a visitor of the dashboard, whose pages must do nothing wrong."""
    visitor = Visitor(browser, bookshop.dashboard)
    yield visitor
    problems = visitor.leave()
    assert not problems, problems  # pytest explains no assertion of this file by itself


def unavailable(reason: str) -> NoReturn:
    """Skip a test; but fail in CI."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
