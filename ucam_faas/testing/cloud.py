"""Tasks that are served for a test, with the topics, subscriptions and schedules they ask for."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

from ucam_faas.clock import SystemClock
from ucam_faas.config import Settings
from ucam_faas.dev.provisioning import LOCATION, Provisioning
from ucam_faas.emulator.core.lease import State
from ucam_faas.emulator.push.pusher import Pusher
from ucam_faas.events.execution_info import ExecutionInfo
from ucam_faas.events.messages import PubsubMessage
from ucam_faas.exceptions import UCAMFAASCouldNotLoadTarget
from ucam_faas.execution.execution import Conclusion, Execution
from ucam_faas.execution.runtime import Runtime
from ucam_faas.outcomes import Outcome
from ucam_faas.publishing import Publisher
from ucam_faas.publishing.rest import RestPublisher
from ucam_faas.serving.app import App
from ucam_faas.serving.observer import Observer
from ucam_faas.tasks import environment, registry
from ucam_faas.tasks.needs import full_topic, job_id, needs_of, with_dead_letter_topic
from ucam_faas.tasks.policies import MAX_ATTEMPTS
from ucam_faas.tasks.task import Task
from ucam_faas.testing import ManualClock
from ucam_faas.testing.deliveries import OnceForEachMessage, OneByOne, at_once
from ucam_faas.testing.hostile import Hostile
from ucam_faas.testing.pubsub import EmbeddedPubsub, model
from ucam_faas.testing.serving import served

IDLE_SECONDS = 30.0
POLL_SECONDS = 0.0005
ROUNDING_SECONDS = 1e-5
"""A datetime is rounded: what is due may need time to move on a little further."""
Deliveries = Literal["normal", "parallel", "hostile"]


class NotIdleError(AssertionError):
    """Something still runs."""


@dataclass(frozen=True, slots=True)
class LocalExecution:
    """One execution that has ended.

    Args:
        task: its name.
        message_id: of the message; None: it was called over HTTP.
        outcome: `Done`, `Failed`, `DeadLettered`, …, of `ucam_faas.outcomes`.
        info: its report.
        value: what the function returned, if it is a JSON value.
        error: what it raised.
    """

    task: str
    message_id: str | None
    outcome: Outcome
    info: ExecutionInfo
    value: Any
    error: BaseException | None


class LocalCloudFactory(Protocol):
    """The type of the fixture `ucam_faas_local`."""

    def __call__(
        self,
        *tasks: Any,
        deliveries: Deliveries = "normal",
        seed: int = 0,
        settings: Settings | None = None,
    ) -> EmbeddedCloud:
        """Serve tasks until the test ends; see `EmbeddedCloud`."""


class EmbeddedCloud:
    """Tasks that are served, and pushed what is published to their topics.

    Time stands still, but for `advance` and `wait_idle`. What is published is delivered at once;
    with hostile deliveries, when one of these two is called.

    Args:
        pubsub: an empty one, which goes by `clock`.
        clock: the test's.
        tasks: decorated functions, their tasks, or one source (a path or a module name).
        deliveries: "normal": each task gets its messages one after the other, in the order of
            their publishing; "parallel": several at once, as Pub/Sub does; "hostile": each comes
            several times, some of them at once, and in another order.
        seed: of hostile deliveries: the same one does the same.
        settings: default: the defaults, whatever the environment says; the project is `pubsub`'s.

    Attributes:
        url: where the tasks are served, such as `http://127.0.0.1:PORT`.
        executions: all that have ended, in that order.

    Raises:
        UCAMFAASCouldNotLoadTarget: something is not a task, or two have one name.
        ConfigurationError: two tasks declare different values of one environment variable.
        RuntimeError: `pubsub` has one already.
    """

    def __init__(
        self,
        pubsub: EmbeddedPubsub,
        clock: ManualClock,
        *tasks: Any,
        deliveries: Deliveries = "normal",
        seed: int = 0,
        settings: Settings | None = None,
    ) -> None:
        if deliveries not in get_args(Deliveries):
            known = ", ".join(map(repr, get_args(Deliveries)))
            raise ValueError(f"deliveries={deliveries!r}: expected one of {known}.")
        if pubsub.in_use:
            raise RuntimeError(
                "There is a local cloud already. Give all tasks to one call, such as "
                "ucam_faas_local(one, other), or close() the first."
            )
        self.pubsub = pubsub
        self.clock = clock
        self.seed = seed
        self.executions: list[LocalExecution] = []
        settings = replace(settings or Settings(), project=pubsub.project)
        found = [with_dead_letter_topic(task, settings) for task in _tasks(tasks)]
        self._plans = {task.name: needs_of(task, settings) for task in found}
        self._hostile = Hostile(seed) if deliveries == "hostile" else None
        self._make_pusher: Callable[..., Pusher] = OneByOne
        if self._hostile is not None:
            self._make_pusher = self._hostile.make_pusher
        elif deliveries == "parallel":
            self._make_pusher = Pusher
        self._stack = ExitStack()
        with ExitStack() as stack:
            stack.enter_context(environment.HERE.during(found))
            self.url = stack.enter_context(served(self._app(found, settings)))
            pubsub.in_use = True
            stack.callback(self._stop_pushing)
            self._start_pushing()
            self._stack = stack.pop_all()

    def _app(self, tasks: list[Task], settings: Settings) -> App:
        publisher: Publisher = RestPublisher(self.pubsub.host)
        if self._hostile is not None:
            publisher = OnceForEachMessage(publisher, self._hostile)
            tasks = [at_once(task, self._hostile, settings.threads) for task in tasks]
        return App(tasks, Runtime(settings, SystemClock(), publisher), _Recorder(self.executions))

    def _start_pushing(self) -> None:
        emulator = self.pubsub.emulator
        emulator.pushes.make_pusher = self._make_pusher
        provisioning = Provisioning(emulator, self.pubsub.project, lambda text: None)
        self.pubsub.call(provisioning.apply, list(self._plans.values()), self.url, {})

    def _stop_pushing(self) -> None:
        self.pubsub.in_use = False
        emulator = self.pubsub.emulator
        if self._hostile is not None:
            self.pubsub.call(self._hostile.close)
        emulator.pushes.make_pusher = Pusher
        self.pubsub.call(emulator.clear)

    def close(self) -> None:
        """Stop pushing and serving; the fixture does it at the end of the test."""
        self._stack.close()

    def publish(
        self,
        task: Any,
        data: Any = b"",
        *,
        attributes: Mapping[str, str] | None = None,
        ordering_key: str = "",
    ) -> str:
        """Publish a message, and return its id; see `EmbeddedPubsub.publish`.

        Args:
            task: to whose topic; or the topic's name.
            data: bytes, str, a pydantic model, a protobuf message, or a JSON value.
            attributes: of the message.
            ordering_key: of the message.
        """
        topic = task if isinstance(task, str) else _topic(task)
        return self.pubsub.publish(topic, data, attributes=attributes, ordering_key=ordering_key)

    def executions_of(self, task: Any) -> list[LocalExecution]:
        """Return the executions of one task that have ended."""
        name = task if isinstance(task, str) else _task(task).name
        return [execution for execution in self.executions if execution.task == name]

    @property
    def dead_letters(self) -> list[PubsubMessage]:
        """What is in the dead-letter topics of the tasks, oldest first; it stays there."""
        topics = {
            full_topic(topic, self.pubsub.project)
            for plan in self._plans.values()
            for topic in (plan.dead_letter_topic, plan.decided_dead_letter_topic)
            if topic
        }

        def read() -> list[PubsubMessage]:
            engine = self.pubsub.emulator.engine
            logs = [engine.topics[topic] for topic in topics if topic in engine.topics]
            found = [message for log in logs for message in engine.storage.read(log.number, 0)]
            return [model(message) for message in sorted(found)]

        return self.pubsub.call(read)

    @property
    def tricks(self) -> list[str]:
        """What hostile deliveries did so far, one line each."""
        return [str(trick) for trick in self._hostile.tricks] if self._hostile else []

    def run_schedule(self, task: Any, number: int = 0) -> None:
        """Run a task's schedule now, paused or not.

        Args:
            task: whose.
            number: which, if it has several; 0: the first.

        Raises:
            ValueError: it has no such schedule.
        """
        name = _task(task).name
        plan = self._plans.get(name)
        count = len(plan.schedules) if plan is not None else 0
        if plan is None or not 0 <= number < count:
            raise ValueError(f"There is no schedule {number} of {name!r} here: it has {count}.")
        emulator = self.pubsub.emulator
        job = f"projects/{self.pubsub.project}/locations/{LOCATION}/jobs/{job_id(plan, number)}"

        def run() -> None:
            scheduler = emulator.schedules.scheduler
            emulator.schedules.fire(scheduler.run(job, emulator.hub.wall_time()))

        self.pubsub.call(run)

    def wait_idle(self, timeout_seconds: float = IDLE_SECONDS) -> None:
        """Return when all messages are done or dead-lettered; time moves on over their backoffs.

        Schedules run only if their time comes meanwhile.

        Args:
            timeout_seconds: of real time.

        Raises:
            NotIdleError: something still runs after that time, or fails for ever.
        """
        until = time.monotonic() + timeout_seconds
        while (due := self._wait(until, timeout_seconds)) is not None:
            endless = self.pubsub.call(self.pubsub.emulator.pushes.failing, MAX_ATTEMPTS)
            if endless:
                raise NotIdleError(
                    f"Messages of {', '.join(endless)} have failed more than {MAX_ATTEMPTS} times, "
                    "and have no max_attempts: they would fail for ever."
                )
            self._advance_to(due)

    def advance(self, by: timedelta) -> None:
        """Let time pass: backoffs end and schedules run, and what they set off is waited for.

        Raises:
            NotIdleError: what was set off at one time still runs after 30 s of real time.
        """
        end = self.clock.now() + by
        while True:
            backoff = self._wait_at_a_time(end.timestamp())
            schedule = self.pubsub.call(self.pubsub.emulator.schedules.scheduler.next_due)
            due = min((time for time in (backoff, schedule) if time is not None), default=None)
            if due is None or due > end.timestamp():
                break
            self._advance_to(due)
        self.clock.advance(max(timedelta(), end - self.clock.now()))
        self._wait_at_a_time(end.timestamp())

    def _advance_to(self, time: float) -> None:
        before = self.clock.now()
        seconds = max(0.0, time - before.timestamp())
        self.clock.advance(timedelta(seconds=seconds))
        if self.clock.now() == before:  # it did not help
            self.clock.advance(timedelta(seconds=ROUNDING_SECONDS))

    def _wait_at_a_time(self, horizon: float) -> float | None:
        return self._wait(time.monotonic() + IDLE_SECONDS, IDLE_SECONDS, horizon)

    def _wait(
        self, until: float, timeout_seconds: float, horizon: float = float("inf")
    ) -> float | None:
        """Wait, in real time, until nothing can happen before the clock moves.

        Args:
            until: when to give up, by the system's monotonic clock.
            timeout_seconds: for the message of the error.
            horizon: how far the clock will be moved, in epoch seconds.

        Returns:
            when the next backoff ends, in epoch seconds; None: nothing waits for one.
        """
        while True:
            running, due = self.pubsub.call(self._look, horizon)
            if not running:
                return due
            if time.monotonic() > until:
                raise NotIdleError(
                    f"After {timeout_seconds:g} s of real time, something still runs: "
                    f"{', '.join(running)}. Let it end, or wait longer: "
                    "wait_idle(timeout_seconds=…)."
                )
            time.sleep(POLL_SECONDS)

    def _look(self, horizon: float) -> tuple[list[str], float | None]:
        """Return what runs, and when the next backoff ends; on the emulator's thread."""
        pushes = self.pubsub.emulator.pushes
        due = None
        if not pushes.busy():
            due = pushes.next_due()
            if self._hostile is not None:
                self._hostile.play(pushes.pushers.values(), settled=due is None or due > horizon)
        running = [self._describe(name) for name in pushes.busy()]
        if self.pubsub.emulator.schedules.in_flight:
            running.append("the request of a schedule")
        return running, due

    def _describe(self, subscription: str) -> str:
        name = subscription.rpartition("/")[2]
        found = self.pubsub.emulator.resources.subscriptions.get(subscription)
        entries = found.queue.entries.values() if found is not None and found.queue else ()
        leased = [str(entry.number) for entry in entries if entry.state is State.LEASED]
        kind = "task" if name in self._plans else "subscription"
        return f"the {kind} {name!r} (message {', '.join(leased[:3]) or 'to come'})"


class _Recorder(Observer):
    def __init__(self, executions: list[LocalExecution]) -> None:
        self._executions = executions

    def concluded(self, execution: Execution, conclusion: Conclusion) -> None:
        message = execution.delivery.message
        self._executions.append(
            LocalExecution(
                execution.task.name,
                message.message_id if message is not None else None,
                conclusion.outcome,
                conclusion.info,
                conclusion.value,
                conclusion.error,
            )
        )


def _task(function: Any) -> Task:
    found = function if isinstance(function, Task) else registry.task_of(function)
    if found is None:
        raise UCAMFAASCouldNotLoadTarget(f"{function!r} is not a task: decorate it.")
    return found


def _tasks(given: tuple[Any, ...]) -> list[Task]:
    if len(given) == 1 and isinstance(given[0], str | Path):
        return registry.load(str(given[0]))
    found: dict[str, Task] = {}
    for task in map(_task, given):
        if found.setdefault(task.name, task) is not task:
            raise UCAMFAASCouldNotLoadTarget(f"There are two tasks named {task.name!r}.")
    return list(found.values())


def _topic(function: Any) -> str:
    task = _task(function)
    if task.trigger is None:
        raise UCAMFAASCouldNotLoadTarget(f"{task.name!r} is an HTTP task, and has no topic.")
    return task.trigger.topic
