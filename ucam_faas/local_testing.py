"""The local cloud in tests: an embedded Pub/Sub in this process, and tasks that it pushes to.

The fixtures `ucam_faas_pubsub` and `ucam_faas_local` give these out.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from ucam_faas import registry
from ucam_faas.clock import Clock, SystemClock, Timer
from ucam_faas.config import Settings
from ucam_faas.dev.provisioning import Provisioning
from ucam_faas.emulator import protos
from ucam_faas.emulator.hostile import Hostile
from ucam_faas.emulator.lease import Holder, parse_ack_id
from ucam_faas.emulator.server import Emulator, Options
from ucam_faas.emulator.storage import Message
from ucam_faas.execution import Conclusion, Execution
from ucam_faas.execution_info import ExecutionInfo
from ucam_faas.outcomes import Outcome
from ucam_faas.plans import full_topic, plan_of
from ucam_faas.publishing.rest import RestPublisher
from ucam_faas.pubsub import PubsubMessage
from ucam_faas.runtime import Runtime
from ucam_faas.serving.app import App
from ucam_faas.serving.background import BackgroundLoop
from ucam_faas.task import Task
from ucam_faas.testing import ManualClock, to_bytes

PROJECT = "test-project"
IDLE_SECONDS = 30.0
ROUNDING_SECONDS = 1e-3
"""A datetime is rounded: time moves on a little further than to what is due."""
Deliveries = Literal["normal", "hostile"]


class NotIdleError(AssertionError):
    """Something still runs."""


class _LoopClock:
    """A clock for the emulator's loop, which may be moved by hand from another thread."""

    def __init__(self) -> None:
        self.source: Clock = SystemClock()
        self.settle: Callable[[], None] = lambda: None
        """Returns when what a timer set off has been done."""

    def now(self) -> datetime:
        return self.source.now()

    def monotonic(self) -> float:
        return self.source.monotonic()

    def call_later(self, delay_seconds: float, callback: Callable[[], None]) -> Timer:
        if not isinstance(self.source, ManualClock):
            return self.source.call_later(delay_seconds, callback)
        loop = asyncio.get_running_loop()

        def due() -> None:
            loop.call_soon_threadsafe(callback)
            self.settle()

        return self.source.call_later(delay_seconds, due)


class EmbeddedPubsub:
    """A Pub/Sub and Cloud Scheduler in this process, in a thread of its own.

    `host` is what PUBSUB_EMULATOR_HOST is set to, `project` what GOOGLE_CLOUD_PROJECT is.
    """

    def __init__(self) -> None:
        self.project = PROJECT
        self._clock = _LoopClock()
        self._clock.settle = self._settle
        self._loop = BackgroundLoop()
        self.emulator = self._loop.run(self._start)
        self.host = f"127.0.0.1:{self.emulator.port}"

    async def _start(self) -> Emulator:
        return await Emulator(Options(longest_timer=float("inf")), clock=self._clock).__aenter__()

    def close(self) -> None:
        """Stop."""
        self._clock.source = SystemClock()
        self._loop.run(lambda: self.emulator.__aexit__(None, None, None))
        self._loop.close()

    def reset(self, clock: Clock | None = None) -> None:
        """Forget everything, and go by another clock."""

        async def clear() -> None:
            self._clock.source = clock or SystemClock()
            self.emulator.clear()
            await self.emulator.hub.saved()

        self._loop.run(clear)

    def call(self, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Call a function on the emulator's thread, save, and return what it returned."""

        async def run() -> Any:
            found = function(*args, **options)
            await self.emulator.hub.saved()
            return found

        return self._loop.run(run)

    def create_topic(self, name: str) -> str:
        """Create a topic, if it is not there, and return its full name."""
        full = full_topic(name, self.project)
        if full not in self.emulator.resources.topics:
            self.call(self.emulator.publisher.create_topic, protos.Topic(name=full))
        return full

    def create_subscription(self, topic: str, name: str | None = None, **fields: Any) -> str:
        """Create a subscription to a topic, and return its full name.

        Args:
            topic: short or full name; it is created if it is not there.
            name: short; default: the topic's.
            fields: of the subscription, as google.pubsub_v1 has them.
        """
        full = self.create_topic(topic)
        found = f"projects/{self.project}/subscriptions/{name or full.rpartition('/')[2]}"
        proto = protos.Subscription(name=found, topic=full, **fields)
        self.call(self.emulator.subscriber.create_subscription, proto)
        return found

    def publish(
        self,
        topic: str,
        data: Any = b"",
        *,
        attributes: Mapping[str, str] | None = None,
        ordering_key: str = "",
    ) -> str:
        """Publish a message to a topic that is there, and return its id; see `make_message`."""
        message = protos.PubsubMessage(
            data=to_bytes(data), attributes=dict(attributes or {}), ordering_key=ordering_key
        )
        request = protos.PUBLISHER["Publish"][0](
            topic=full_topic(topic, self.project), messages=[message]
        )
        answer = self.call(self.emulator.publisher.publish, request)
        return str(answer.message_ids[0])

    def pull(self, subscription: str) -> list[PubsubMessage]:
        """Return and acknowledge all that a subscription has to deliver now."""
        name = subscription
        if "/" not in name:
            name = f"projects/{self.project}/subscriptions/{name}"

        def take() -> list[PubsubMessage]:
            emulator, found = self.emulator, []
            queue, now = emulator.subscriber.queue(name), emulator.hub.now()
            while deliveries := emulator.engine.take(queue, now, Holder(), 1000):
                ids = [parse_ack_id(delivery.ack_id) for delivery in deliveries]
                emulator.engine.ack(queue, ids, now)
                found += [_model(delivery.message) for delivery in deliveries]
            return found

        messages: list[PubsubMessage] = self.call(take)
        return messages

    def _settle(self) -> None:
        """Return when the emulator has done what is to be done now."""

        async def turns() -> None:
            for _ in range(2):  # a timer may set off another turn
                await self.emulator.hub.saved()

        self._loop.run(turns)


def _model(message: Message) -> PubsubMessage:
    return PubsubMessage(
        data=message.data,
        attributes=dict(message.attributes),
        message_id=str(message.number),
        publish_time=datetime.fromtimestamp(message.time, UTC),
        ordering_key=message.key,
    )


@dataclass(frozen=True, slots=True)
class LocalExecution:
    """One execution that has ended."""

    task: str
    message_id: str | None
    outcome: Outcome
    info: ExecutionInfo
    value: Any
    error: BaseException | None


class EmbeddedCloud:
    """Tasks that are served, with the topics, subscriptions and schedules that they ask for.

    Args:
        pubsub: an empty one, which goes by `clock`.
        clock: time stands still but for `advance` and `wait_idle`.
        tasks: decorated functions, their tasks, or one source (a path or a module name).
        deliveries: "hostile": every message comes at least twice, late, and in another order.
        seed: of hostile deliveries.
        settings: default: the defaults, whatever the environment says.
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
        if deliveries not in ("normal", "hostile"):
            raise ValueError(f"deliveries={deliveries!r}: expected 'normal' or 'hostile'.")
        self.pubsub = pubsub
        self.clock = clock
        self.executions: list[LocalExecution] = []
        """All that have ended, in that order."""
        settings = settings or Settings(project=pubsub.project)
        self._tasks = _tasks(tasks)
        self._plans = [plan_of(task, settings) for task in self._tasks]
        self._lock = threading.Lock()
        self._stack = ExitStack()
        runtime = Runtime(settings, SystemClock(), RestPublisher(pubsub.host))
        app = App(self._tasks, runtime)
        app.service.on_conclusion = self._note
        self.url = self._stack.enter_context(_served(app))
        pubsub.emulator.pushes.hostile = Hostile(seed) if deliveries == "hostile" else None
        provisioning = Provisioning(pubsub.emulator, pubsub.project, lambda text: None)
        pubsub.call(provisioning.apply, self._plans, self.url, {})

    def close(self) -> None:
        """Stop pushing and serving."""
        self.pubsub.call(self.pubsub.emulator.clear)
        self.pubsub.emulator.pushes.hostile = None
        self._stack.close()

    def publish(
        self,
        task: Any,
        data: Any = b"",
        *,
        attributes: Mapping[str, str] | None = None,
        ordering_key: str = "",
    ) -> str:
        """Publish a message to a task's topic, or to a topic by its name; return its id."""
        topic = task if isinstance(task, str) else _trigger_topic(task)
        return self.pubsub.publish(topic, data, attributes=attributes, ordering_key=ordering_key)

    @property
    def dead_letters(self) -> list[PubsubMessage]:
        """What is in the dead-letter topics of the tasks; it stays there."""
        topics = {
            full_topic(topic, self.pubsub.project)
            for plan in self._plans
            for topic in (plan.dead_letter_topic, plan.decided_dead_letter_topic)
            if topic
        }

        def read() -> list[PubsubMessage]:
            engine = self.pubsub.emulator.engine
            logs = [engine.topics[topic] for topic in sorted(topics)]
            found = [m for log in logs for m in engine.storage.read(log.number, 0)]
            return [_model(message) for message in sorted(found)]

        messages: list[PubsubMessage] = self.pubsub.call(read)
        return messages

    def executions_of(self, task: Any) -> list[LocalExecution]:
        """Return the executions of one task that have ended."""
        name = task if isinstance(task, str) else _task(task).name
        return [execution for execution in self.executions if execution.task == name]

    def advance(self, by: timedelta) -> None:
        """Let time pass: backoffs end and schedules run, and what they set off is waited for."""
        until = self.clock.now() + by
        while True:
            self._wait()
            due = self.pubsub.call(self._next_due)
            left = (until - self.clock.now()).total_seconds()
            if due is None or due > until.timestamp() or left <= 0:
                self.clock.advance(timedelta(seconds=max(0.0, left)))
                return self._wait()
            self._advance_to(due)

    def _next_due(self) -> float | None:
        emulator = self.pubsub.emulator
        dues = (emulator.pushes.next_due(), emulator.schedules.scheduler.next_due())
        return min((due for due in dues if due is not None), default=None)

    def _advance_to(self, time: float) -> None:
        seconds = max(0.0, time - self.clock.now().timestamp())
        self.clock.advance(timedelta(seconds=seconds + ROUNDING_SECONDS))

    def run_schedule(self, task: Any, number: int = 0) -> None:
        """Run a task's schedule now; `number`: which, if it has several."""
        name = _task(task).name if number == 0 else f"{_task(task).name}-{number + 1}"
        emulator = self.pubsub.emulator
        full = f"projects/{self.pubsub.project}/locations/local/jobs/{name}"

        def run() -> None:
            scheduler = emulator.schedules.scheduler
            emulator.schedules.fire(scheduler.run(full, emulator.hub.now()))

        self.pubsub.call(run)

    def wait_idle(self, timeout_seconds: float = IDLE_SECONDS) -> None:
        """Return when all messages are done or dead-lettered: time moves on over all backoffs.

        Args:
            timeout_seconds: of real time.

        Raises:
            NotIdleError: something still runs after that time.
        """
        until = time.monotonic() + timeout_seconds
        while True:
            self._wait(until)
            due = self.pubsub.call(self.pubsub.emulator.pushes.next_due)
            if due is None:
                return
            self._advance_to(due)

    def _wait(self, until: float | None = None) -> None:
        """Wait, in real time, until nothing can happen before time passes."""
        until = until or time.monotonic() + IDLE_SECONDS
        emulator = self.pubsub.emulator
        while running := self.pubsub.call(emulator.pushes.busy):
            if time.monotonic() > until:
                raise NotIdleError(f"These subscriptions are busy still: {', '.join(running)}.")
            time.sleep(0.001)

    def _note(self, execution: Execution, found: Conclusion) -> None:
        message = getattr(execution.envelope, "message", None)
        with self._lock:
            self.executions.append(
                LocalExecution(
                    execution.task.name,
                    message.message_id if message is not None else None,
                    found.outcome,
                    found.info,
                    found.value,
                    found.error,
                )
            )


def _task(function: Any) -> Task:
    found = function if isinstance(function, Task) else registry.task_of(function)
    if found is None:
        raise TypeError(f"{function!r} is not a task: decorate it.")
    return found


def _tasks(given: tuple[Any, ...]) -> list[Task]:
    if len(given) == 1 and isinstance(given[0], str | Path):
        return registry.load(str(given[0]))
    return [_task(task) for task in given]


def _trigger_topic(function: Any) -> str:
    task = _task(function)
    if task.trigger is None:
        raise TypeError(f"{task.name!r} is an HTTP task, and has no topic.")
    return task.trigger.topic


@contextmanager
def _served(app: App) -> Iterator[str]:
    """Serve an application over HTTP on a loop of its own, and return its address."""
    loop = BackgroundLoop()
    state = ServerState()
    config = Config(app, log_config=None, access_log=False, lifespan="off", ws="none")
    config.load()

    async def start() -> asyncio.Server:
        return await asyncio.get_running_loop().create_server(
            lambda: HttpToolsProtocol(config=config, server_state=state, app_state={}),
            host="127.0.0.1",
            port=0,
        )

    async def stop() -> None:
        server.close()
        for connection in list(state.connections):
            connection.shutdown()

    server = loop.run(start)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        loop.run(stop)
        app.service.runner.close()
        loop.close()
