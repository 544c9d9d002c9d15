"""The settings and collaborators of the pipeline, built once at start-up and passed down."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import cache, wraps
from typing import TYPE_CHECKING, TypeVar, cast

from ucam_faas.clock import Clock, SystemClock
from ucam_faas.config import Settings
from ucam_faas.exceptions import ConfigurationError, NoJobStoreError, NotConfiguredError
from ucam_faas.execution.attempts import Attempts
from ucam_faas.publishing import Publisher
from ucam_faas.tasks.cloud_names import Naming
from ucam_faas.tasks.policies import check_topic
from ucam_faas.tasks.task import Task
from ucam_faas.telemetry.switch import telemetry_of

if TYPE_CHECKING:
    from ucam_faas.jobs.stores import JobStore
    from ucam_faas.publishing.later import DelayQueue
    from ucam_faas.telemetry.telemetry import Telemetry

MadeT = TypeVar("MadeT")


@dataclass(frozen=True, slots=True)
class Runtime:
    """Settings, time and the way out."""

    settings: Settings
    clock: Clock
    publisher: Publisher | None = None
    """Takes dead letters, and the messages of `task.publish()`."""
    connect: Callable[[Settings], Publisher] | None = None
    """Makes the publisher of `task.publish()` where no task has dead letters; None in tests."""
    store: JobStore | None = None
    """Keeps jobs; None: the one that the settings name."""
    telemetry: Telemetry | None = None
    """OpenTelemetry; None: it is off."""
    attempts: Attempts = field(default_factory=Attempts, compare=False)
    """Of messages that may be dead letters later."""

    def jobs(self) -> JobStore | None:
        """Return the store of jobs; None: there is none.

        Raises:
            ConfigurationError: UCAM_FAAS_JOB_STORE names no store that is known.
        """
        return self.store or store_of(self.settings)

    def jobs_for(self, purpose: str) -> JobStore:
        """Return the store of jobs.

        Args:
            purpose: the reason that one is needed, for the error: "no job can be found".

        Raises:
            NoJobStoreError: there is none.
        """
        store = self.jobs()
        if store is None:
            raise NoJobStoreError(
                f"There is no job store, so {purpose}. Set UCAM_FAAS_JOB_STORE, such as "
                "sqlite:jobs.db, or start `ucam-faas dev`, which has one."
            )
        return store

    def delays(self) -> DelayQueue | None:
        """Return the queue that wakes jobs at their time; None: the sweep does.

        Raises:
            ConfigurationError: UCAM_FAAS_DELAY_QUEUE isn't a queue, or google-auth is missing.
        """
        if self.connect is None or self.settings.delay_queue is None:  # tests have no real time
            return None
        return delay_queue_of(self.settings)

    def outgoing(self) -> Publisher:
        """Return the publisher of `task.publish()`.

        Raises:
            NotConfiguredError: there is none.
        """
        if self.publisher is not None:
            return self.publisher
        if self.connect is None:
            raise NotConfiguredError(
                "The task publishes, and the test gives it no publisher: use the fixture "
                "ucam_faas_publisher, with publisher=ucam_faas_publisher for a client."
            )
        return self.connect(self.settings)

    def full_topic(self, topic: str, owner: str) -> str:
        """Return the full name of a topic; the short one in tests without a project.

        Args:
            topic: as it is written.
            owner: the task that it belongs to, for the error.

        Raises:
            NotConfiguredError: a short name, and no project to look for it in.
        """
        if "/" in topic or (self.connect is None and not self.settings.project):
            return topic
        if not self.settings.project:
            raise NotConfiguredError(
                f"The topic {topic!r} of task {owner!r} names no project. Write "
                "projects/PROJECT/topics/TOPIC, or set GOOGLE_CLOUD_PROJECT."
            )
        name = Naming.of(self.settings).topic(topic)
        return f"projects/{self.settings.project}/topics/{name}"

    def dead_letter_topic(self, task: Task) -> str | None:
        """Return the full name of the topic that takes this task's dead letters, if any.

        Raises:
            NotConfiguredError: a short name, and no project to look for it in.
        """
        topic = task.policy.dead_letter_topic or self.settings.dead_letter_topic
        return None if topic is None else self.full_topic(topic, task.name)


def build(settings: Settings, tasks: list[Task]) -> Runtime:
    """Build the runtime that these tasks need.

    Raises:
        ConfigurationError: a setting cannot be used, or needs an extra that is not installed.
    """
    if settings.dead_letter_topic:
        check_topic(settings.dead_letter_topic)
    if settings.events_topic:
        check_topic(settings.events_topic)
    _check_store(settings, tasks)
    bare = Runtime(settings, SystemClock(), connect=publisher_of, telemetry=telemetry_of(settings))
    bare.delays()
    topics = [bare.dead_letter_topic(task) for task in tasks]  # all of them: each is checked
    if not any(topics) and not any(task.publishes for task in tasks):
        return bare
    return replace(bare, publisher=publisher_of(settings))


def _check_store(settings: Settings, tasks: list[Task]) -> None:
    """Refuse tasks that need a store of jobs where there is none, or another kind.

    Raises:
        ConfigurationError: with the first of them.
    """
    apart = [task.name for task in tasks if task.run_in_process]
    if apart and settings.job_store in ("memory", "sqlite::memory:"):
        raise ConfigurationError(
            f"The task {apart[0]!r} runs in processes, and UCAM_FAAS_JOB_STORE is "
            f"{settings.job_store!r}, which they can't share: use a file, such as sqlite:jobs.db."
        )
    adopting = [task.name for task in tasks if task.jobs.adopts]
    if adopting and settings.job_store is None:
        raise ConfigurationError(
            f"The messages of the task {adopting[0]!r} become jobs, and no store keeps them: set "
            "UCAM_FAAS_JOB_STORE, such as sqlite:jobs.db, or leave idempotent=, id= and limit= out."
        )
    serving = [task.name for task in tasks if task.serves_jobs]
    if serving and settings.job_store is None:
        raise ConfigurationError(
            f"The task {serving[0]!r} serves jobs over HTTP, and no store keeps them: set "
            "UCAM_FAAS_JOB_STORE, such as sqlite:jobs.db."
        )


def _once(make: Callable[[Settings], MadeT]) -> Callable[[Settings], MadeT]:
    """Cache an object with connections: functools.cache alone makes one for each of the threads
    that come at once.
    """
    lock, made = threading.Lock(), cache(make)

    @cache
    @wraps(make)
    def one(settings: Settings) -> MadeT:
        with lock:
            return made(settings)

    return one


@_once
def publisher_of(settings: Settings) -> Publisher:
    """Return the publisher to the Pub/Sub that settings name.

    Raises:
        MissingExtraError: google-auth isn't installed.
    """
    publisher: Publisher
    if settings.pubsub_emulator:
        from ucam_faas.publishing.rest import RestPublisher

        publisher = RestPublisher(settings.pubsub_emulator)
    else:
        from ucam_faas.publishing.google import GooglePublisher

        publisher = GooglePublisher()
    telemetry = telemetry_of(settings)
    if telemetry is None:
        return publisher
    from ucam_faas.publishing.traced import TracedPublisher  # it imports OpenTelemetry

    return TracedPublisher(publisher, telemetry)


@_once
def delay_queue_of(settings: Settings) -> DelayQueue:
    """Return the queue of Cloud Tasks that settings name; see `Runtime.delays`."""
    from ucam_faas.publishing import later  # tasks without delays don't need it

    assert settings.delay_queue is not None, "the caller has looked"
    return later.connect(settings.delay_queue, settings.delay_account, settings.pubsub_emulator)


@_once
def store_of(settings: Settings) -> JobStore | None:
    """Return the store of jobs that settings name.

    Raises:
        ConfigurationError: it isn't one that is known.
    """
    if settings.job_store is None:
        return None
    store = _rows_of(settings, settings.job_store)
    if settings.payloads is None:
        return store
    from ucam_faas.jobs.payloads import connect
    from ucam_faas.jobs.stores.by_reference import ByReference

    references = ByReference(store, connect(settings.payloads), settings.payloads_over)
    return cast("JobStore", references)  # its other methods are the store's


def _rows_of(settings: Settings, name: str) -> JobStore:
    """Return the store of jobs' rows."""
    # Each store is imported where it is chosen: tasks without jobs need none.
    if name.startswith(("postgresql://", "postgres://")):
        from ucam_faas.jobs.stores.postgresql import PostgresqlStore

        return PostgresqlStore(name)
    kind, _, path = name.partition(":")
    if kind == "firestore":
        from ucam_faas.jobs.stores.firestore.connect import connect

        return connect(path, settings.firestore_emulator)
    if (kind == "memory" and not path) or (kind == "sqlite" and path):
        from ucam_faas.jobs.stores.sqlite import SqliteStore

        return SqliteStore(path or ":memory:", SystemClock())
    raise ConfigurationError(
        f"UCAM_FAAS_JOB_STORE is {name!r}: expected sqlite:PATH, "
        "postgresql://…, firestore:PROJECT or memory."
    )


CURRENT: ContextVar[Runtime | None] = ContextVar("CURRENT", default=None)
"""The runtime of the execution under way."""


def current() -> Runtime:
    """Return the runtime of the execution under way, or that of the environment."""
    return CURRENT.get() or of_environment()


@cache
def of_environment() -> Runtime:
    """Return the runtime for tasks that are called outside a front door.

    It publishes no dead letters: they fail, as with no topic configured.
    """
    settings = Settings.from_environ()
    return Runtime(settings, SystemClock(), connect=publisher_of, telemetry=telemetry_of(settings))
