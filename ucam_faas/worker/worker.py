"""A worker: pulls the messages of tasks, and runs them as they are run when they are pushed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ucam_faas._optional import check
from ucam_faas.config import Settings, worker_grace_seconds
from ucam_faas.exceptions import ConfigurationError, NotConfiguredError
from ucam_faas.execution import runtime as runtimes
from ucam_faas.execution.runtime import Runtime
from ucam_faas.tasks import registry
from ucam_faas.tasks.cloud_names import Naming
from ucam_faas.tasks.needs import with_dead_letter_topic
from ucam_faas.tasks.registry import TaskHolder
from ucam_faas.tasks.task import Task
from ucam_faas.worker.options import Options, WorkerResult
from ucam_faas.worker.sources import pulled, sources_of

if TYPE_CHECKING:
    from ucam_faas.worker.session import Session

LEASE_SECONDS = 60
"""Of a message, extended three times in that time; one of a lost machine waits for its end."""
MIN_LEASE_SECONDS, MAX_LEASE_SECONDS = 10, 600
_NO_QUEUE_LIMIT = 1_000_000


class Worker:
    """Pulls the messages of tasks from Pub/Sub, and runs them.

        worker = ucam_faas.Worker(billing, messages_limit=1)
        result = await worker.run()
        print(result.processed)

    Args:
        tasks: a collection, or task functions.
        messages_limit: messages after which it ends; None: it runs until a signal, or `stop`.
        tasks_limit: messages that run at a time, of all tasks; each has limits of its own, too.
        graceful_shutdown_time: seconds for running work after a signal or `stop`; None:
            UCAM_FAAS_GRACE_SECONDS, or 8 s on Cloud Run, and 25 s elsewhere.
        handle_signals: end on SIGTERM and SIGINT, in the main thread; a second one ends the grace.
        auto_declare: make topics and subscriptions that are missing on an emulator.
        lease_seconds: of messages, 10 to 600; they are extended while a task runs.
        opened: called with the names of the subscriptions when it begins to pull them.
        runtime: its settings and collaborators; None: of the environment.

    Raises:
        ConfigurationError: no task can be pulled, or a number is out of range.
        MissingExtraError: the extra `worker` isn't installed.
    """

    def __init__(
        self,
        tasks: Any,
        *,
        messages_limit: int | None = None,
        tasks_limit: int = 1000,
        graceful_shutdown_time: float | None = None,
        handle_signals: bool = True,
        auto_declare: bool = True,
        lease_seconds: int = LEASE_SECONDS,
        opened: Callable[[Sequence[str]], object] = lambda subscriptions: None,
        runtime: Runtime | None = None,
    ) -> None:
        for module in ("grpc", "google.pubsub_v1"):
            check(module, extra="worker", purpose="pull messages")
        if messages_limit is not None:
            _check("messages_limit", messages_limit, 1)
        _check("tasks_limit", tasks_limit, 1)
        _check("lease_seconds", lease_seconds, MIN_LEASE_SECONDS, MAX_LEASE_SECONDS)
        if graceful_shutdown_time is not None:
            _check("graceful_shutdown_time", graceful_shutdown_time, 0, whole=False)
        settings = Settings.from_environ() if runtime is None else runtime.settings
        wanted = _tasks(tasks, settings)
        runtime = runtime or runtimes.build(settings, list(wanted))
        if settings.pubsub_emulator and runtime.connect and runtime.publisher is None:
            runtime = replace(runtime, publisher=runtime.connect(settings))  # of dead letters
        grace = graceful_shutdown_time
        grace = worker_grace_seconds(settings) if grace is None else grace
        # Messages wait in the worker, and none is refused.
        settings = replace(settings, grace_seconds=grace, queue=_NO_QUEUE_LIMIT)
        self._options = Options(
            tasks=wanted,
            runtime=replace(runtime, settings=settings),
            project=_project(settings),
            messages_limit=messages_limit,
            tasks_limit=tasks_limit,
            handle_signals=handle_signals,
            auto_declare=auto_declare,
            lease_seconds=lease_seconds,
            opened=opened,
        )
        self._session: Session | None = None
        self._is_running = False
        self._is_stopped = False

    async def run(self) -> WorkerResult:
        """Pull until a signal, `stop` or a limit ends it, and return the work that was done.

        Cancelling it stops the running work without a grace, and gives all messages back.

        Raises:
            RuntimeError: it runs already.
            ConfigurationError: a subscription pushes, or is missing; or Pub/Sub doesn't answer.
            UCAMFAASCouldNotLoadTarget: the start-up code of a task failed.
        """
        from ucam_faas.worker.session import Session  # it imports gRPC

        if self._is_running:
            raise RuntimeError("The worker runs already: make another Worker(…) to run two.")
        self._session = Session(self._options)
        if self._is_stopped:
            self._session.stop()
        self._is_running = True
        try:
            return await self._session.run()
        finally:
            self._is_running = False

    def stop(self) -> None:
        """Begin nothing more, and end when the running work or the grace does; for the worker's
        event loop.
        """
        self._is_stopped = True
        if self._session is not None:
            self._session.stop()

    @property
    def health_port(self) -> int:
        """The port of the health endpoint; 0: it isn't open."""
        return 0 if self._session is None else self._session.health.port

    @property
    def is_pulling(self) -> bool:
        """Every subscription has a stream, which is opened again when it ends."""
        return self._session is not None and self._session.is_pulling


def _tasks(argument: Any, settings: Settings) -> Sequence[Task]:
    """Return the tasks of a collection, of task functions, or those that are tasks already."""
    tasks: list[Task] = []
    if isinstance(argument, TaskHolder):
        tasks = list(pulled(argument.tasks, named=False))
    else:
        several = argument if isinstance(argument, Iterable) else [argument]
        for each in several:
            if isinstance(each, TaskHolder):
                tasks += pulled(each.tasks, named=False)
                continue
            task = each if isinstance(each, Task) else registry.task_of(each)
            if task is None:
                raise ConfigurationError(
                    f"Worker({each!r}): expected a TaskCollection, or functions that are tasks."
                )
            tasks += pulled([task], named=True)
    tasks = _without_doubles(tasks)
    if settings.pubsub_emulator is None:
        return tasks  # Terraform gives each its topic
    return [with_dead_letter_topic(task, settings) for task in tasks]


def _without_doubles(tasks: Iterable[Task]) -> list[Task]:
    """Return each task once; refuse two whose subscriptions have one name."""
    unique = list(dict.fromkeys(tasks))
    owners: dict[str, Task] = {}
    for task in unique:
        for source in sources_of(task, "", Naming()):
            owner = owners.setdefault(source.subscription, task)
            if owner is not task:
                name = source.subscription.rpartition("/")[2]
                raise ConfigurationError(
                    f"The subscription {name!r} would be that of the task {owner.name!r} and of "
                    f"the task {task.name!r}. Give one of the tasks another name=…."
                )
    return unique


def _project(settings: Settings) -> str:
    if settings.project:
        return settings.project
    raise NotConfiguredError(
        "The project of the subscriptions is not known: set GOOGLE_CLOUD_PROJECT, or on a laptop "
        "PUBSUB_EMULATOR_HOST."
    )


def _check(
    name: str, value: Any, least: int, most: float = math.inf, *, whole: bool = True
) -> None:
    kinds = int if whole else (int, float)
    if isinstance(value, kinds) and not isinstance(value, bool) and least <= value <= most:
        return
    number = "a whole number" if whole else "a number"
    limits = f"at least {least}" if most == math.inf else f"{least} to {most}"
    raise ConfigurationError(f"{name} is {value!r}; expected {number}, {limits}.")
