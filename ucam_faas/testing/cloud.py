"""Tasks that are served for a test, with the topics, subscriptions and schedules they ask for."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Literal, Protocol, get_args

from ucam_faas.clock import SystemClock
from ucam_faas.config import Settings
from ucam_faas.dev.provisioning import Provisioning
from ucam_faas.emulator.push.pusher import Pusher
from ucam_faas.emulator.push.subscriptions import MakePusher
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
from ucam_faas.tasks import environment
from ucam_faas.tasks.needs import full_topic, needs_of, with_dead_letter_topic
from ucam_faas.tasks.task import Task
from ucam_faas.tasks.topics import inbox_of
from ucam_faas.testing.clock import ManualClock, duration
from ucam_faas.testing.deliveries import OnceForEachMessage, OneByOne, at_once
from ucam_faas.testing.hostile import Hostile
from ucam_faas.testing.idle import IDLE_SECONDS, Idle
from ucam_faas.testing.local_jobs import LocalJobs
from ucam_faas.testing.pubsub import EmbeddedPubsub, model
from ucam_faas.testing.serving import served
from ucam_faas.testing.tasks import task_of, tasks_of

Deliveries = Literal["normal", "parallel", "hostile"]
"""How an `EmbeddedCloud` delivers messages."""


@dataclass(frozen=True, slots=True)
class LocalExecution:
    """One execution that has ended.

    Args:
        task: its name.
        message_id: of the message; None: it was called over HTTP.
        outcome: `Done`, `Failed`, `DeadLettered`, …, of `ucam_faas.outcomes`.
        info: its report.
        value: the function's return value, if it is a JSON value.
        error: the exception that it raised.
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
    """Tasks that are served, and get the messages that are published to their topics.

    Time stands still, except in `advance` and `wait_idle`. Messages are delivered at once; with
    hostile deliveries, when one of these two is called.

    Args:
        pubsub: an empty one, which goes by `clock`.
        clock: the test's clock.
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
        self.pubsub = pubsub
        self.clock = clock
        self.seed = seed
        self.executions: list[LocalExecution] = []
        settings = replace(settings or Settings(), project=pubsub.project)
        served_tasks = [with_dead_letter_topic(task, settings) for task in tasks_of(tasks)]
        self._plans = {task.name: needs_of(task, settings) for task in served_tasks}
        self._hostile = Hostile(seed) if deliveries == "hostile" else None
        make_pusher: MakePusher = Pusher if deliveries == "parallel" else OneByOne
        if self._hostile is not None:
            make_pusher = self._hostile.make_pusher
        self._stack = ExitStack()
        with ExitStack() as stack:
            self._jobs = LocalJobs(settings, RestPublisher(pubsub.host), clock)
            stack.callback(self._jobs.close)
            self._idle = Idle(pubsub, clock, self._plans, self._hostile, self._jobs)
            stack.enter_context(environment.HERE.during(served_tasks))
            self.url = stack.enter_context(served(self._app(served_tasks, settings)))
            stack.enter_context(pubsub.used(make_pusher))
            if self._hostile is not None:
                stack.callback(pubsub.call, self._hostile.close)
            self._provisioning = Provisioning(pubsub.emulator, pubsub.project)
            plans = list(self._plans.values())
            topics = [settings.events_topic] if settings.events_topic else []
            pubsub.call(
                lambda: self._provisioning.apply(plans, self.url, {}, existing_topics=topics)
            )
            self._stack = stack.pop_all()

    def _app(self, tasks: list[Task], settings: Settings) -> App:
        publisher: Publisher = RestPublisher(self.pubsub.host)
        if self._hostile is not None:
            publisher = OnceForEachMessage(publisher, self._hostile)
            tasks = [at_once(task, self._hostile, settings.threads) for task in tasks]
            hostile = self._hostile
            self._jobs.order = lambda wake: (
                -hostile.number(inbox_of(wake.key.task, wake.lane), wake.key.id)
            )
            by_name = {task.name: task for task in tasks}
            self._hostile.stale_holder = lambda name, id: self._jobs.stale_holder(by_name[name], id)
        runtime = Runtime(settings, SystemClock(), publisher, store=self._jobs.store)
        return App(tasks, runtime, _Recorder(self.executions))

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
            task: the reader of the topic; or the topic's name.
            data: bytes, str, a pydantic model, a protobuf message, or a JSON value.
            attributes: of the message.
            ordering_key: of the message.
        """
        topic = task if isinstance(task, str) else _topic(task)
        return self.pubsub.publish(topic, data, attributes=attributes, ordering_key=ordering_key)

    def executions_of(self, task: Any) -> list[LocalExecution]:
        """Return the executions of one task that have ended."""
        name = task if isinstance(task, str) else task_of(task).name
        return [execution for execution in self.executions if execution.task == name]

    @property
    def dead_letters(self) -> list[PubsubMessage]:
        """The messages in the tasks' dead-letter topics, oldest first; they stay there."""
        topics = {
            full_topic(topic, self.pubsub.project)
            for plan in self._plans.values()
            for topic in (plan.dead_letter_topic, plan.decided_dead_letter_topic)
            if topic
        }

        def read() -> list[PubsubMessage]:
            engine = self.pubsub.emulator.engine
            logs = [engine.topics[topic] for topic in topics if topic in engine.topics]
            messages = [message for log in logs for message in engine.storage.read(log.number, 0)]
            return [model(message) for message in sorted(messages)]

        return self.pubsub.call(read)

    @property
    def tricks(self) -> list[str]:
        """The tricks of hostile deliveries so far, one line each."""
        return [str(trick) for trick in self._hostile.tricks] if self._hostile else []

    def run_schedule(self, task: Any, number: int = 0) -> None:
        """Run a task's schedule now, paused or not.

        Args:
            task: the one with the schedule.
            number: of the schedule; 0: the first.

        Raises:
            ValueError: it has no such schedule.
        """
        name = task_of(task).name
        plan = self._plans.get(name)
        count = len(plan.schedules) if plan is not None else 0
        if plan is None or not 0 <= number < count:
            raise ValueError(f"There is no schedule {number} of {name!r} here: it has {count}.")
        emulator = self.pubsub.emulator
        job = self._provisioning.job_name(plan, number)

        def run() -> None:
            scheduler = emulator.schedules.scheduler
            emulator.schedules.fire(scheduler.run(job, emulator.hub.wall_time()))

        self.pubsub.call(run)

    def wait_idle(self, timeout_seconds: float = IDLE_SECONDS) -> None:
        """Return when all messages are done or dead-lettered; time moves on over their backoffs.

        Jobs that failed and wait for their next attempt run, too. Schedules, and jobs with a delay,
        run only if their time comes meanwhile.

        Args:
            timeout_seconds: of real time.

        Raises:
            NotIdleError: something still runs after that time, or fails each time.
        """
        self._idle.wait(timeout_seconds)

    def advance(self, by: timedelta | float) -> None:
        """Let time pass: backoffs end, schedules run, and the executions that follow end.

        Args:
            by: a timedelta, or seconds.

        Raises:
            TypeError: it is neither.
            NotIdleError: an execution still runs after 30 s of real time.
        """
        self._idle.advance(duration(by))


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


def _topic(function: Any) -> str:
    task = task_of(function)
    if task.trigger is None:
        raise UCAMFAASCouldNotLoadTarget(f"{task.name!r} is an HTTP task, and has no topic.")
    return task.trigger.topic
