"""Settings of every test; fixtures that several rooms use are in `support/`."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Generator, Iterator

import pytest
from _pytest.doctest import DoctestModule
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from ucam_faas.execution.runtime import of_environment

pytest.register_assert_rewrite("tests.contract.publisher_contract")
pytest_plugins = [
    "tests.support.dead_letters",
    "tests.support.firestore",
    "tests.support.leaks",
    "tests.support.local_cloud",
    "tests.support.log",
    "tests.support.postgresql",
    "tests.support.sources",
]

for name in ("COLUMNS", "LINES"):
    # pytest imports readline, which exports the terminal's size behind Python's back: processes
    # that tests start would format their output for the width of the developer's terminal.
    os.environ.pop(name, None)
    os.unsetenv(name)

# Where they are ignored, as with nohup or in a shell's background, processes would inherit that.
for number in (signal.SIGHUP, signal.SIGQUIT):
    signal.signal(number, signal.SIG_DFL)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# gRPC's handlers of a fork end some forked processes with SIGSEGV while its threads work: those of
# a test that forks, or of a subprocess that has another user, as PostgreSQL does.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"

# Machines are shared and slow at times; and in CI a run doesn't depend on chance.
settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "here")

TOGETHER = {"agents", "browser", "clients", "contract", "dev", "integration", "jobs", "terraform"}
"""Folders whose tests share processes that take seconds to start."""
ON_DOCKER = {"container", "end_to_end"}
"""Folders whose tests build and name the same images."""
BESIDE_JOBS = "tests/dashboard/test_stores.py"
"""Uses the servers of `jobs`."""


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Keep collected tests out of the garbage collector's way: they live as long as pytest does.

    Each full collection would walk these half a million objects, a seventh of the fast tests' time.
    With the usual threshold of 700 objects, what the tests make is as much again: most of it lives
    on, as syntax trees do, and little is garbage in circles.
    """
    gc.disable()
    yield
    gc.freeze()
    gc.set_threshold(10_000)
    gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_collect_file() -> Generator[None, list[pytest.Collector], list[pytest.Collector]]:
    """Look for no examples in the docstrings of tests: pytest would inspect each function again."""
    collectors = yield
    if len(collectors) > 1:
        collectors = [each for each in collectors if not isinstance(each, DoctestModule)]
    return collectors


@pytest.fixture(autouse=True)
def _environment_is_read_again() -> Iterator[None]:
    """A process has one environment; tests change theirs."""
    yield
    of_environment.cache_clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Replace what isn't UTF-8 in captured output: a process of xdist would end at it."""
    report = yield
    report.sections = [
        (name, text.encode(errors="replace").decode()) for name, text in report.sections
    ]
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse names that differ in each process."""
    addresses = [item.nodeid for item in items if " at 0x" in item.nodeid]
    if addresses:
        raise pytest.UsageError(f"Names differ in each process, give them ids=: {addresses}")


class Scheduler(LoadScopeScheduling):
    """Keeps a folder of `TOGETHER` in one of the processes, and elsewhere a file.

    Marks of xdist's own groups have no effect with pytest 9.2 (pytest-xdist's issue 1386).
    """

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        folder = "jobs" if path == BESIDE_JOBS else path.removeprefix("tests/").partition("/")[0]
        return "docker" if folder in ON_DOCKER else folder if folder in TOGETHER else path


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduler:
    """Spread the tests over the processes."""
    return Scheduler(config, log)
