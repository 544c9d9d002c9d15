"""Wakes: messages to a task's inbox that say only which job to look at.

The caller of `wake` doesn't wait for Pub/Sub: a thread publishes the wakes that have gathered, in
one call, and those that gather meanwhile in the next. It ends when there are no more, and the
interpreter doesn't exit before. The pipeline calls `flush` before it answers a delivery whose
execution sent wakes, because a service may have no CPU afterwards.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from ucam_faas.exceptions import NoSuchTopicError, PublishError
from ucam_faas.execution import traces
from ucam_faas.execution.runtime import CURRENT, Runtime
from ucam_faas.forks import reset_in_child
from ucam_faas.logs.context import LOG_CONTEXT, LogContext
from ucam_faas.logs.problems import log_problem
from ucam_faas.publishing import MAX_PUBLISHED, Draft
from ucam_faas.tasks.lanes import DEFAULT_LANE
from ucam_faas.tasks.topics import inbox_named, inbox_of

if TYPE_CHECKING:  # tasks without jobs don't need it
    from ucam_faas.jobs.rows import Wake

JOB_ATTRIBUTE, APP_ATTRIBUTE = "ucam_faas_job", "ucam_faas_app"
"""Of a wake: the id of its job, and the job's application."""

LINGER_SECONDS = 0.01
"""The thread waits this long for more: to start one takes more time than to send."""


def wake(
    runtime: Runtime,
    wakes: Iterable[Wake],
    at: float | None = None,
    by: LogContext | None = None,
) -> bool:
    """Publish wakes soon; a failure is logged, because the sweep repeats them.

    They are published before this returns in tests, and on Cloud Run outside of executions.

    Args:
        runtime: has the publisher, and the queue for delays.
        wakes: of the jobs, each to the inbox of its lane.
        at: the time of the wakes, in epoch seconds; None: now. Without a queue, and beyond its 30
            days, the sweep wakes the jobs.
        by: the execution that sends them; None: the one of this context.

    Returns:
        False if some weren't published; True if they were, or will be.
    """
    by = by or LOG_CONTEXT.get()
    way, is_published = _way_of(runtime, at), True
    if way is None:
        return True
    by_inbox: dict[tuple[str, str], list[Draft]] = {}
    trace = traces.current(runtime)
    for each in wakes:
        attributes = {JOB_ATTRIBUTE: each.key.id, APP_ATTRIBUTE: each.key.app}
        draft = Draft(b"", traces.with_trace(attributes, trace))
        by_inbox.setdefault((each.key.task, each.lane), []).append(draft)
    is_at_once = runtime.connect is None or (runtime.settings.revision and CURRENT.get() is None)
    for (task, lane), some in by_inbox.items():
        topic = runtime.full_topic(inbox_of(task, lane), task)
        if not is_at_once:
            _GATHERED.put(_Wakes(way, topic, some, by))
            continue
        try:
            _publish(way, topic, some)
        except PublishError as error:
            is_published = False
            _log(topic, error)
    return is_published


class _Way(NamedTuple):
    """The way of wakes to Pub/Sub: at once, or later by a queue."""

    send: Callable[[str, Sequence[Draft]], object]
    """Takes the full name of a topic, and wakes."""
    key: tuple[int, float]
    """The same for wakes that go together."""


def _way_of(runtime: Runtime, at: float | None) -> _Way | None:
    """Return the way of wakes at a time; None: the sweep wakes the jobs."""
    if at is None:
        publisher = runtime.outgoing()
        return _Way(publisher.publish_many, (id(publisher), 0.0))
    queue = runtime.delays()
    if queue is None or not queue.reaches(at, runtime.clock.now().timestamp()):
        return None
    return _Way(partial(queue.publish_later, at), (id(queue), at))


def are_unpublished(by: LogContext | None = None) -> bool:
    """Return True if `flush` has to publish wakes of an execution, or to wait for them."""
    return _GATHERED.are_unpublished(by)


def flush(by: LogContext | None = None) -> None:
    """Return when Pub/Sub has the wakes of an execution, or has failed.

    Args:
        by: the execution; None: the code outside of executions.
    """
    _GATHERED.publish(by)


class _Wakes(NamedTuple):
    way: _Way
    topic: str
    wakes: Sequence[Draft]
    by: LogContext | None


class _Gathered:
    """The wakes of this process that no thread publishes yet."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start empty: in a forked process the wakes, and the thread, are the parent's."""
        self._changed = threading.Condition(threading.Lock())
        self._publishing = threading.Lock()
        self._wakes: list[_Wakes] = []
        self._unpublished: Counter[LogContext | None] = Counter()
        self._has_thread = False

    def put(self, wakes: _Wakes) -> None:
        """Have a thread publish wakes."""
        with self._changed:
            self._wakes.append(wakes)
            self._unpublished[wakes.by] += 1
            if self._has_thread:
                self._changed.notify()
                return
            self._has_thread = True
        try:
            threading.Thread(target=self._work, name="ucam-faas-wakes").start()
        except RuntimeError:  # the system gives no thread, or the interpreter exits
            self._work()

    def are_unpublished(self, by: LogContext | None) -> bool:
        """Return True if wakes of an execution have gathered, or are being published."""
        return bool(self._unpublished) and by in self._unpublished

    def publish(self, by: LogContext | None) -> None:
        """Publish the wakes that have gathered, after those that are being published, unless
        an execution's are published by then.
        """
        with self._publishing:
            if self.are_unpublished(by):
                self._publish()

    def _publish(self) -> None:
        with self._changed:
            wakes, self._wakes = self._wakes, []
        together: dict[tuple[object, str], tuple[_Way, list[Draft]]] = {}
        for way, topic, some, _ in wakes:
            together.setdefault((way.key, topic), (way, []))[1].extend(some)
        silent: set[int] = set()
        for (_, topic), (way, all_) in together.items():
            if way.key[0] in silent:  # each call would wait for its timeout
                continue
            try:
                _publish(way, topic, all_)
            except Exception as error:  # the wakes of the other topics are published
                _log(topic, error)
                if isinstance(error.__cause__, OSError):
                    silent.add(way.key[0])
        with self._changed:
            self._unpublished -= Counter(each.by for each in wakes)  # drops those at zero

    def _work(self) -> None:
        while True:
            with self._publishing:
                self._publish()
            with self._changed:
                if not self._changed.wait_for(lambda: self._wakes, LINGER_SECONDS):
                    self._has_thread = False
                    return


def _publish(way: _Way, topic: str, wakes: Sequence[Draft]) -> None:
    """Publish wakes to a lane's inbox; to that of `default`, if Pub/Sub refuses the lane's.

    A version of the task that doesn't have the lane any more has no inbox for it.
    """
    for start in range(0, len(wakes), MAX_PUBLISHED):
        some = wakes[start : start + MAX_PUBLISHED]
        try:
            way.send(topic, some)
        except PublishError as error:
            inbox = inbox_named(topic)
            if inbox is None or inbox.lane == DEFAULT_LANE or isinstance(error.__cause__, OSError):
                raise
            topic = topic.removesuffix(f"-{inbox.lane}")
            way.send(topic, some)


def _log(topic: str, error: Exception) -> None:
    if isinstance(error, NoSuchTopicError):
        inbox = inbox_named(topic)
        task = repr(inbox.task) if inbox else "of that name"
        error = NoSuchTopicError(  # not raised, so that a script's stderr shows no traceback
            f"{topic} doesn't exist: no task {task} is deployed or served there. The job stays "
            "PENDING, and the sweep wakes it when there is one."
        )
    log_problem("ucam_faas_wake_failed", topic=topic, error=error)


_GATHERED = _Gathered()
reset_in_child(_GATHERED)
