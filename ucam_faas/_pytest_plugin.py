"""Fixtures for users' tests. Importing this costs nothing: every pytest run does it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from flask.testing import FlaskClient

    from ucam_faas.testing import (
        Client,
        ClientFactory,
        CreateEventAppClientFn,
        Jobs,
        JobsFactory,
        ManualClock,
        MemoryPublisher,
    )
    from ucam_faas.testing.cloud import EmbeddedCloud, LocalCloudFactory
    from ucam_faas.testing.pubsub import EmbeddedPubsub


_CLOUDS = pytest.StashKey["list[EmbeddedCloud | Jobs]"]()
_MOST_LINES = 100
_ENV_FILE = pytest.StashKey[str]()
"""The line about `.env` in the report's header."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the name of the file of variables."""
    said = "file of environment variables, beside the configuration of pytest; empty: none"
    parser.addini("ucam_faas_env_file", f"ucam_faas: {said}", default=".env")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Set the variables of `.env` that aren't set, before a test module or conftest is imported."""
    name = early_config.getini("ucam_faas_env_file")
    path = early_config.rootpath / (name or ".")
    if not path.exists() and name != ".env":
        early_config.stash[_ENV_FILE] = f"{name} isn't read: there is no such file"
    if not path.exists() or path.is_dir():
        return
    import os

    from ucam_faas.dev.env_file import EnvFile
    from ucam_faas.exceptions import ConfigurationError, MissingExtraError

    file = EnvFile(path, os.environ)
    try:
        file.load()
    except MissingExtraError as error:  # the file may be another tool's
        early_config.stash[_ENV_FILE] = f"{path.name} isn't read: {error}"
        return
    except ConfigurationError as error:
        raise pytest.UsageError(str(error)) from error
    early_config.add_cleanup(file.unload)
    if file.loaded:
        early_config.stash[_ENV_FILE] = f"{', '.join(file.loaded)} from {path.name}"


def pytest_report_header(config: pytest.Config) -> str | None:
    """Name the variables that `.env` has set."""
    said = config.stash.get(_ENV_FILE, None)
    return None if said is None else f"ucam_faas: {said}"


@pytest.fixture
def ucam_faas_client() -> Iterator[ClientFactory]:
    """Serve tasks without a socket: `client = ucam_faas_client(my_task)`.

    Takes decorated functions, or a source, and the options of `ucam_faas.testing.serve`.
    """
    from ucam_faas.testing import serve

    with ExitStack() as stack:

        def make(*tasks: Any, **options: Any) -> Client:
            return stack.enter_context(serve(*tasks, **options))

        yield make


@pytest.fixture
def event_app_test_client_factory(
    ucam_faas_client: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> CreateEventAppClientFn:
    """Serve one task of a source to Flask's test client, as 1.0 did; see `ucam_faas_client`."""
    from ucam_faas.tasks import registry
    from ucam_faas.testing.of_1_0 import flask_client

    monkeypatch.setattr("sys.path", sys.path[:])  # loading a source adds its folder

    def make(target: str, source: str | Path | None = None) -> FlaskClient:
        client = ucam_faas_client(*registry.load(str(source or "main.py"), target))
        return flask_client(client.request)

    return make


@pytest.fixture
def ucam_faas_publisher() -> Iterator[MemoryPublisher]:
    """Keep the messages that are published to the topics that are named in its `topics`.

    `task.publish()` goes to it: in a task that is called or `run`, and with
    `publisher=ucam_faas_publisher` in one that is served.
    """
    from ucam_faas.clock import SystemClock
    from ucam_faas.config import Settings
    from ucam_faas.execution.runtime import CURRENT, Runtime
    from ucam_faas.testing import MemoryPublisher

    publisher = MemoryPublisher()
    CURRENT.set(Runtime(Settings(), SystemClock(), publisher))
    yield publisher
    CURRENT.set(None)


@pytest.fixture
def ucam_faas_clock() -> ManualClock:
    """Stand still until `advance` is called."""
    from ucam_faas.testing import ManualClock

    return ManualClock()


@pytest.fixture
def ucam_faas_jobs(
    request: pytest.FixtureRequest, ucam_faas_clock: ManualClock
) -> Iterator[JobsFactory]:
    """Take and run jobs in memory: `jobs = ucam_faas_jobs(my_task)`.

    Takes decorated functions, or a source, and the options of `ucam_faas.testing.jobs`.
    """
    from ucam_faas.testing import jobs

    made = request.node.stash.setdefault(_CLOUDS, [])
    with ExitStack() as stack:

        def make(*tasks: Any, **options: Any) -> Jobs:
            runner = stack.enter_context(jobs(*tasks, clock=ucam_faas_clock, **options))
            made.append(runner)
            return runner

        yield make


@pytest.fixture(scope="session")
def _ucam_faas_emulator() -> Iterator[EmbeddedPubsub]:
    """Run one emulator for all tests that need one."""
    from ucam_faas._optional import check_local

    check_local("run a Pub/Sub in tests")
    from ucam_faas.testing.pubsub import EmbeddedPubsub

    pubsub = EmbeddedPubsub()
    yield pubsub
    pubsub.close()


@pytest.fixture
def ucam_faas_pubsub(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    _ucam_faas_emulator: EmbeddedPubsub,
) -> Iterator[EmbeddedPubsub]:
    """Run an empty Pub/Sub, Cloud Scheduler and Cloud Tasks in this process.

    Google's clients find it by PUBSUB_EMULATOR_HOST. In tests that use `ucam_faas_clock`, too, it
    goes by that clock: leases, backoffs, retentions and schedules end when it is advanced. It is a
    `ucam_faas.local_testing.EmbeddedPubsub`.
    """
    from ucam_faas.execution.runtime import of_environment

    uses_clock = "ucam_faas_clock" in request.fixturenames
    clock = request.getfixturevalue("ucam_faas_clock") if uses_clock else None
    _ucam_faas_emulator.reset(clock)
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", _ucam_faas_emulator.host)
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", _ucam_faas_emulator.project)
    of_environment.cache_clear()  # an earlier test may have published elsewhere
    yield _ucam_faas_emulator
    of_environment.cache_clear()


@pytest.fixture
def ucam_faas_local(
    request: pytest.FixtureRequest,
    ucam_faas_clock: ManualClock,
    ucam_faas_pubsub: EmbeddedPubsub,
) -> Iterator[LocalCloudFactory]:
    """Serve tasks, and push them what is published: `local = ucam_faas_local(my_task)`.

    Takes decorated functions, or a source, and the options of
    `ucam_faas.local_testing.EmbeddedCloud`, such as `deliveries="hostile"`.
    """
    from ucam_faas.testing.cloud import EmbeddedCloud

    clouds = request.node.stash.setdefault(_CLOUDS, [])
    with ExitStack() as stack:

        def make(*tasks: Any, **options: Any) -> EmbeddedCloud:
            cloud = EmbeddedCloud(ucam_faas_pubsub, ucam_faas_clock, *tasks, **options)
            stack.callback(cloud.close)
            clouds.append(cloud)
            return cloud

        yield make


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Tell below a failed test what hostile deliveries did in it."""
    outcome: Any = yield
    report = outcome.get_result()
    if report.when == "call" and report.failed:
        for cloud in item.stash.get(_CLOUDS, []):
            lines = cloud.tricks
            if len(lines) > _MOST_LINES:
                lines[_MOST_LINES:] = [f"… and {len(lines) - _MOST_LINES} more"]
            if lines:
                title = f"ucam_faas: deliveries='hostile', seed={cloud.seed}"
                report.sections.append((title, "\n".join(lines)))
