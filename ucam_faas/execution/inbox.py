"""Wakes: messages to a task's inbox that say only which job to look at.

The caller of `wake` doesn't wait for Pub/Sub: a thread publishes the wakes that have gathered, in
one call, and those that gather meanwhile in the next. It ends when there are no more, and the
interpreter doesn't exit before. The pipeline calls `flush` before a delivery is answered, because a
service may have no CPU afterwards.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ucam_faas.exceptions import PublishError
from ucam_faas.execution.runtime import CURRENT, Runtime
from ucam_faas.logs.problems import log_problem
from ucam_faas.publishing import MAX_PUBLISHED, Draft, Publisher
from ucam_faas.tasks.topics import inbox_of

if TYPE_CHECKING:  # tasks without jobs don't need it
    from ucam_faas.jobs.rows import Key

JOB_ATTRIBUTE, APP_ATTRIBUTE = "ucam_faas_job", "ucam_faas_app"
"""Of a wake: the id of its job, and the job's application."""

LINGER_SECONDS = 0.01
"""The thread waits this long for more: to start one takes more time than to send."""


def wake(runtime: Runtime, keys: Iterable[Key]) -> None:
    """Publish wakes soon; a failure is logged, because the sweep repeats them.

    They are published before this returns in tests, and on Cloud Run outside of executions.
    """
    publisher = runtime.outgoing()
    by_task: dict[str, list[Key]] = {}
    for key in keys:
        by_task.setdefault(key.task, []).append(key)
    is_at_once = runtime.connect is None or (runtime.settings.revision and CURRENT.get() is None)
    for task, some in by_task.items():
        topic = runtime.full_topic(inbox_of(task), task)
        if not is_at_once:
            _GATHERED.put(publisher, topic, some)
            continue
        try:
            _publish(publisher, topic, some)
        except PublishError as error:
            _log(topic, error)


def are_unpublished() -> bool:
    """Return True if `flush` has to publish wakes, or to wait for them."""
    return _GATHERED.are_unpublished()


def flush() -> None:
    """Publish the wakes of this process, and return when Pub/Sub has them, or has failed."""
    _GATHERED.publish()


class _Gathered:
    """The wakes of this process that no thread publishes yet."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start empty: in a forked process the wakes, and the thread, are the parent's."""
        self._changed = threading.Condition(threading.Lock())
        self._publishing = threading.Lock()
        self._wakes: list[tuple[Publisher, str, Sequence[Key]]] = []
        self._has_thread = False

    def put(self, publisher: Publisher, topic: str, keys: Sequence[Key]) -> None:
        """Have a thread publish wakes."""
        with self._changed:
            self._wakes.append((publisher, topic, keys))
            if self._has_thread:
                self._changed.notify()
                return
            self._has_thread = True
        try:
            threading.Thread(target=self._work, name="ucam-faas-wakes").start()
        except RuntimeError:  # the system gives no thread, or the interpreter exits
            self._work()

    def are_unpublished(self) -> bool:
        """Return True if wakes have gathered, or are being published."""
        return bool(self._wakes) or self._publishing.locked()

    def publish(self) -> None:
        """Publish the wakes that have gathered, after those that are being published."""
        with self._publishing:
            with self._changed:
                wakes, self._wakes = self._wakes, []
            by_topic: dict[tuple[int, str], tuple[Publisher, list[Key]]] = {}
            for publisher, topic, keys in wakes:
                by_topic.setdefault((id(publisher), topic), (publisher, []))[1].extend(keys)
            for (_, topic), (publisher, keys) in by_topic.items():
                try:
                    _publish(publisher, topic, keys)
                except Exception as error:  # the wakes of the other topics are published
                    _log(topic, error)

    def _work(self) -> None:
        while True:
            self.publish()
            with self._changed:
                if not self._changed.wait_for(lambda: self._wakes, LINGER_SECONDS):
                    self._has_thread = False
                    return


def _publish(publisher: Publisher, topic: str, keys: Sequence[Key]) -> None:
    for start in range(0, len(keys), MAX_PUBLISHED):
        some = keys[start : start + MAX_PUBLISHED]
        wakes = [{JOB_ATTRIBUTE: key.id, APP_ATTRIBUTE: key.app} for key in some]
        publisher.publish_many(topic, [Draft(b"", attributes) for attributes in wakes])


def _log(topic: str, error: Exception) -> None:
    log_problem("ucam_faas_wake_failed", topic=topic, error=error)


_GATHERED = _Gathered()
os.register_at_fork(after_in_child=_GATHERED.reset)
