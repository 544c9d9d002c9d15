"""One run of a worker, from its start-up code to its last acknowledgement."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections import Counter
from collections.abc import Coroutine, Iterable, Sequence
from contextlib import AsyncExitStack
from contextvars import copy_context
from functools import partial
from typing import Any

from ucam_faas import outcomes
from ucam_faas.execution.execution import Conclusion, Execution
from ucam_faas.logs.problems import log_problem, safely
from ucam_faas.outcomes import Outcome, ShuttingDown, acknowledges, answer
from ucam_faas.serving.responses import converter, of_execution
from ucam_faas.serving.runner import CANCEL_SECONDS, Runner
from ucam_faas.tasks.cloud_names import Naming
from ucam_faas.worker import checks, signals
from ucam_faas.worker.batches import BatchQueue
from ucam_faas.worker.connection import Connection
from ucam_faas.worker.dispatcher import Dispatcher, Queue, SingleQueue
from ucam_faas.worker.health import Health
from ucam_faas.worker.heartbeat import Heartbeat
from ucam_faas.worker.held_messages import HeldMessages
from ucam_faas.worker.messages import Pulled, delivery_of, job_of
from ucam_faas.worker.options import Options, WorkerResult
from ucam_faas.worker.pace import BatchPace, Pace
from ucam_faas.worker.sources import Source, sources_of
from ucam_faas.worker.streams import Stream

logger = logging.getLogger("ucam_faas")
LAST_MESSAGES_SECONDS = 1.0
"""For messages that Pub/Sub has sent before it heard that the worker wants no more."""


class Session:
    """Pulls, runs and answers. It belongs to one event loop.

    Args:
        options: of the worker.
    """

    def __init__(self, options: Options) -> None:
        self._options, self._runtime = options, options.runtime
        self._settings = options.runtime.settings
        naming = Naming.of(self._settings)
        self._sources = [
            source for task in options.tasks for source in sources_of(task, options.project, naming)
        ]
        self._runner = Runner(options.tasks, self._runtime)
        self._converters = {task: converter(task) for task in options.tasks}
        self._dispatcher = Dispatcher(
            {source: self._queue(source) for source in self._sources},
            self._runner,
            options.tasks_limit,
            self._start,
            self._return,
        )
        self._heartbeat = Heartbeat(self._settings, self._sources, options.lease_seconds)
        self.health = Health(lambda: self.is_pulling)
        self._streams: dict[Source, Stream] = {}
        self._paces: dict[Source, Pace | BatchPace] = {}
        self._held: HeldMessages
        self._ends: list[tuple[Sequence[Pulled], Execution, Conclusion]] = []
        """The executions that have ended since the last turn of the event loop."""
        self._context = copy_context()
        """Without the variables of executions."""
        self._started = 0
        self._returned = 0
        self._outcomes: Counter[str] = Counter()
        self._stopping = asyncio.Event()
        self._idle = asyncio.Event()

    @property
    def is_pulling(self) -> bool:
        """Every subscription has a stream, which is opened again when it ends."""
        return bool(self._streams) and not self._stopping.is_set()

    def stop(self) -> None:
        """Begin nothing more, and end running work when the grace does."""
        self._stopping.set()
        self._runner.drain()

    async def run(self) -> WorkerResult:
        """Run to the end; see `Worker.run`."""
        async with AsyncExitStack() as ends:
            ends.callback(self._stopping.set)
            if self._options.handle_signals:
                ends.enter_context(signals.handled(self._handle_signal))
            ends.callback(self._runner.close)
            ends.push_async_callback(self._heartbeat.end)
            await self._heartbeat.start()  # before gRPC has threads, which it forks badly with
            connection = Connection(self._settings)
            ends.push_async_callback(connection.close)
            ends.push_async_callback(self.health.end)
            if await self._is_done(self._prepare(connection)):
                await self._pull(connection)
        result = WorkerResult(
            self._outcomes.total(), self._returned, self._outcomes, self._runner.is_exhausted
        )
        _log("ucam_faas_worker_ended", processed=result.processed, returned=result.returned)
        return result

    async def _prepare(self, connection: Connection) -> None:
        """Declare and check the subscriptions, and run the start-up code."""
        options = self._options
        if self._settings.health_port is not None:
            await self.health.start(self._settings.host, self._settings.health_port)
        if connection.is_emulator and options.auto_declare:
            await checks.declare(connection, options.tasks, self._settings, options.project)
        has_jobs = self._runtime.jobs() is not None
        self._sources = await checks.check(connection, self._sources, has_jobs=has_jobs)
        await self._runner.start_up()

    async def _is_done(self, start: Coroutine[Any, Any, None]) -> bool:
        """Await the start; return False if a stop comes first."""
        starting = asyncio.get_running_loop().create_task(start)
        try:
            await self._until_stopped([starting])
            if starting.done():
                await starting  # it may have failed
            return starting.done()
        finally:
            starting.cancel()
            await asyncio.wait((starting,), timeout=CANCEL_SECONDS)

    async def _pull(self, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        self._held = HeldMessages(self._sources, self._heartbeat, connection)
        for source in self._sources:
            self._streams[source] = self._stream(connection, source)
        pulling = [loop.create_task(stream.run()) for stream in self._streams.values()]
        subscriptions = [source.subscription for source in self._sources]
        _log("ucam_faas_worker_pulling", subscriptions=subscriptions)
        self._options.opened(subscriptions)
        try:
            await self._until_stopped(pulling)
            if not self._stopping.is_set():  # a stream has failed
                self.stop()
            await self._drain(pulling)
        except asyncio.CancelledError:
            self.stop()
            self._runner.end_grace()
            await self._drain(pulling)
            raise
        finally:
            for stream, task in zip(self._streams.values(), pulling, strict=True):
                stream.cancel()
                task.cancel()
            ends = await asyncio.gather(*pulling, return_exceptions=True)
        for end in ends:
            if isinstance(end, Exception):
                raise end

    async def _until_stopped(self, others: Sequence[asyncio.Task[None]]) -> None:
        """Wait until `stop` is called, or one of the others ends."""
        stopping = asyncio.get_running_loop().create_task(self._stopping.wait())
        try:
            await asyncio.wait((stopping, *others), return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()

    async def _drain(self, pulling: Sequence[asyncio.Task[None]]) -> None:
        """Give back the messages that haven't started, and answer the others when they end."""
        self._return(self._dispatcher.clear())
        for stream in self._streams.values():
            stream.stop()
        if self._dispatcher.running:
            await self._idle.wait()
        await asyncio.wait(pulling, timeout=LAST_MESSAGES_SECONDS)
        await self._held.send_answers(lambda: self._runner.draining)

    def _queue(self, source: Source) -> Queue:
        if source.task.batch is None:
            return SingleQueue()

        def room() -> int:
            limit = self._options.messages_limit
            return sys.maxsize if limit is None else limit - self._started

        clock = self._runtime.clock
        return BatchQueue(source.task.batch, clock, room, lambda: self._dispatcher.dispatch())

    def _stream(self, connection: Connection, source: Source) -> Stream:
        at_once = min(self._runner.capacity(source.task, source.lane), self._options.tasks_limit)
        pace: Pace | BatchPace = Pace(at_once, self._options.messages_limit)
        if source.task.batch is not None:
            size = source.task.batch.max_messages
            pace = BatchPace(at_once, size, self._options.messages_limit)
        self._paces[source] = pace
        return Stream(
            connection,
            source.subscription,
            lease_seconds=self._options.lease_seconds,
            pace=pace,
            held=self._held.of(source),
            max_bytes=self._settings.max_bodies_bytes,
            receive=partial(self._receive, source),
        )

    def _receive(self, source: Source, received: Sequence[Any], ordered: bool) -> None:
        """Take messages in."""
        messages = self._held.take(source, received)
        if self._stopping.is_set():
            self._return(messages)
            return
        self._dispatcher.add(source, messages, ordered=ordered)
        self._dispatcher.dispatch()

    def _start(self, messages: Sequence[Pulled]) -> None:
        make = self._single if messages[0].source.task.batch is None else self._batch
        execution = make(messages)
        self._started += len(messages)
        self._runner.start(execution, partial(self._ended, messages, execution))
        if self._started == self._options.messages_limit:
            self._stopping.set()  # nothing asks for a hurry: the messages may run to their ends
            self._return(self._dispatcher.clear())

    def _single(self, messages: Sequence[Pulled]) -> Execution:
        (pulled,) = messages
        task, lane = pulled.source.task, pulled.source.lane
        delivery = delivery_of(pulled)
        job = job_of(pulled, delivery, self._runtime)
        convert = self._converters[task] if job is None else None
        return Execution(task, delivery, self._runtime, convert=convert, job=job, lane=lane)

    def _batch(self, messages: Sequence[Pulled]) -> Execution:
        from ucam_faas.execution import message_batch  # other tasks don't need it

        task = messages[0].source.task
        members = [Execution(task, delivery_of(pulled), self._runtime) for pulled in messages]
        return message_batch.execution_of(task, members, [pulled.key for pulled in messages])

    def _ended(
        self, messages: Sequence[Pulled], execution: Execution, conclusion: Conclusion
    ) -> None:
        """Take the end of messages, in the context of their execution: the answers come soon."""
        if not self._ends:
            asyncio.get_running_loop().call_soon(self._conclude, context=self._context)
        self._ends.append((messages, execution, conclusion))

    def _conclude(self) -> None:
        """Answer the messages that have ended, and start others."""
        ends, self._ends = self._ends, []
        for messages, execution, conclusion in ends:
            failed: list[Pulled] = []
            for pulled, outcome, acknowledged in _each(messages, execution, conclusion):
                if isinstance(outcome, ShuttingDown):
                    self._returned += 1
                else:
                    self._outcomes[outcomes.name(outcome)] += 1
                self._answer(pulled, acknowledged=acknowledged)
                if not acknowledged:
                    failed.append(pulled)
            self._dispatcher.ended(messages, failed)
        if self._stopping.is_set():
            if not self._dispatcher.running:
                self._idle.set()
            return
        if self._runner.is_exhausted:
            log_problem("ucam_faas_process_replaced", reason="too many threads are abandoned")
            self.stop()
            return
        self._dispatcher.dispatch()
        for messages, execution, _ in ends:
            source = messages[0].source
            if self._paces[source].add(execution.elapsed_seconds()) is not None:
                self._streams[source].resize()

    def _answer(self, pulled: Pulled, *, acknowledged: bool) -> None:
        self._held.answer(pulled, acknowledged=acknowledged)
        self._streams[pulled.source].answered()

    def _return(self, messages: Iterable[Pulled]) -> None:
        """Give messages back that were not started."""
        for pulled in messages:
            self._returned += 1
            self._answer(pulled, acknowledged=False)

    def _handle_signal(self) -> None:
        if self._runner.draining:
            self._runner.end_grace()
        self.stop()


def _each(
    messages: Sequence[Pulled], execution: Execution, conclusion: Conclusion
) -> Iterable[tuple[Pulled, Outcome, bool]]:
    """Return the outcome of each message of an execution, and True where it is acknowledged."""
    if execution.batch is None:
        acknowledged = acknowledges(of_execution(execution, conclusion).status)
        return ((messages[0], conclusion.outcome, acknowledged),)
    ends = execution.batch.outcomes or [conclusion.outcome] * len(messages)
    return [
        (pulled, end, answer(end).acknowledges) for pulled, end in zip(messages, ends, strict=True)
    ]


def _log(message: str, **fields: Any) -> None:
    safely(lambda: logger.info(message, extra={"fields": fields}))
