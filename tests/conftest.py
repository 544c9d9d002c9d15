"""Every test leaves the process as it found it: what leaks fails the test that leaked it."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Iterator

import pytest
from hypothesis import settings

pytest.register_assert_rewrite("tests.contract.publisher_contract")
pytest_plugins = ["tests.support.log", "tests.support.sources"]

for name in ("COLUMNS", "LINES"):
    # pytest imports readline, which exports the terminal's size behind Python's back: processes
    # that tests start would format their output for the width of the developer's terminal.
    os.environ.pop(name, None)
    os.unsetenv(name)

OURS = "ucam-faas-"
"""Daemon threads of ours may outlive a test: an abandoned one ends when its work does."""
OF_GRPC = ("channel_spin", "Thread-Monitor", "grpc", "_poll_wrapper")
"""gRPC's daemon threads end some time after their channel was closed."""
ENDING_SECONDS = 30.0
"""How long a thread that is about to end may take."""

# Machines are shared and slow at times; and what lands does not hang on the luck of one run.
settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "here")


@pytest.fixture(autouse=True)
def _no_leaked_thread() -> Iterator[None]:
    before = set(threading.enumerate())

    yield

    for thread in _left_since(before):
        thread.join(ENDING_SECONDS)
    left = [thread.name for thread in _left_since(before)]
    assert left == [], "the test leaves threads running"


@pytest.fixture(autouse=True)
def _no_changed_environment() -> Iterator[None]:
    before = _environment()

    yield

    after = _environment()
    for name in before.keys() | after.keys():
        if before.get(name) != after.get(name):
            os.environ.pop(name, None)
    os.environ.update(before)
    # Names only: values may be secrets.
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert changed == set(), "the test changes environment variables"


@pytest.fixture(autouse=True)
def _no_changed_path() -> Iterator[None]:
    before = list(sys.path)

    yield

    after = list(sys.path)
    sys.path[:] = before
    assert after == before, "the test changes sys.path"


@pytest.fixture(autouse=True)
def _no_changed_loggers() -> Iterator[None]:
    """What `_logging.configure` takes for the package stays taken, and caplog would see nothing."""
    loggers = [logging.getLogger(name) for name in ("ucam_faas", "gunicorn", "uvicorn", "asyncio")]
    before = [(one, type(one), one.handlers[:], one.propagate, one.level) for one in loggers]

    yield

    for one, kind, handlers, propagate, level in before:
        one.__class__ = kind
        one.handlers, one.propagate = handlers, propagate
        logging.getLogger(f"{one.name}.error").__class__ = kind
        one.setLevel(level)


def _left_since(before: set[threading.Thread]) -> list[threading.Thread]:
    return [
        thread
        for thread in threading.enumerate()
        if thread not in before and not (thread.daemon and _is_tolerated(thread.name))
    ]


def _is_tolerated(name: str) -> bool:
    return name.startswith(OURS) or any(part in name for part in OF_GRPC)


def _environment() -> dict[str, str]:
    return {name: text for name, text in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
