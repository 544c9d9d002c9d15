"""Every test leaves the process as it was: a leak fails the test that leaks."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

OURS = "ucam-faas-"
"""The package's daemon threads may outlive a test: an abandoned one ends when its work does."""
OF_GRPC = ("channel_spin", "Thread-Monitor", "grpc", "_poll_wrapper")
"""gRPC's daemon threads end some time after their channel was closed."""
ENDING_SECONDS = 30.0
"""The longest wait for a thread that is about to end."""


@pytest.fixture(autouse=True)
def _no_leaks() -> Iterator[None]:
    """Watch all at once: a fixture for each kind of leak would cost more than the checks."""
    with ExitStack() as checks:
        for watch in (_loggers, _path, _environment, _threads):
            checks.callback(watch())
        yield


def _threads() -> Callable[[], None]:
    before = set(threading.enumerate())

    def check() -> None:
        for thread in _left_since(before):
            thread.join(ENDING_SECONDS)
        left = [thread.name for thread in _left_since(before)]
        assert left == [], "the test leaves threads running"

    return check


def _environment() -> Callable[[], None]:
    before = _variables()

    def check() -> None:
        after = _variables()
        if after == before:
            return
        # Names only: values may be secrets.
        changed = {
            name for name in before.keys() | after.keys() if before.get(name) != after.get(name)
        }
        for name in changed:
            os.environb.pop(name, None)
            if name in before:
                os.environb[name] = before[name]
        assert changed == set(), "the test changes environment variables"

    return check


def _path() -> Callable[[], None]:
    before = list(sys.path)

    def check() -> None:
        after = list(sys.path)
        sys.path[:] = before
        assert after == before, "the test changes sys.path"

    return check


def _loggers() -> Callable[[], None]:
    """Restore the loggers: `setup.configure` takes the package's, and caplog would see nothing."""
    loggers = [logging.getLogger(name) for name in ("ucam_faas", "gunicorn", "uvicorn", "asyncio")]
    kinds = [(log, type(log), log.propagate) for log in loggers]
    before = [(log, log.handlers[:], log.level) for log in (logging.root, *loggers)]

    def restore() -> None:
        logging.captureWarnings(False)
        for log, kind, propagate in kinds:
            log.__class__, log.propagate = kind, propagate
            logging.getLogger(f"{log.name}.error").__class__ = kind
        for log, handlers, level in before:
            log.handlers = handlers
            if log.level != level:  # it clears the caches of all loggers
                log.setLevel(level)

    return restore


def _left_since(before: set[threading.Thread]) -> list[threading.Thread]:
    return [
        thread
        for thread in threading.enumerate()
        if thread not in before and not (thread.daemon and _is_tolerated(thread.name))
    ]


def _is_tolerated(name: str) -> bool:
    return name.startswith(OURS) or any(part in name for part in OF_GRPC)


def _variables() -> dict[bytes, bytes]:
    variables = os.environb._data.copy()  # a copy by the public names decodes each of them
    variables.pop(b"PYTEST_CURRENT_TEST", None)
    return variables
