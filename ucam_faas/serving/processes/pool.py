"""The children of a task: started when they are needed, and used again."""

from __future__ import annotations

import sys
import threading

from ucam_faas.events.context import MESSAGE_ACCEPTED
from ucam_faas.exceptions import UCAMFAASCouldNotLoadTarget
from ucam_faas.execution import traces
from ucam_faas.execution.execution import Decision, Execution, JobNews
from ucam_faas.execution.preparation import accept
from ucam_faas.execution.runtime import Runtime
from ucam_faas.logs import setup
from ucam_faas.logs.problems import log_problem
from ucam_faas.outcomes import Crashed, Failed
from ucam_faas.serving.processes.child import Child, ChildEndedError
from ucam_faas.serving.processes.wire import Answer, Call, Hello, decision_of
from ucam_faas.tasks import registry
from ucam_faas.tasks.task import Task


class ProcessPool:
    """Children of one task, as many as its gate lets run at a time.

    Args:
        task: theirs.
        runtime: has their settings.

    Raises:
        UCAMFAASCouldNotLoadTarget: nothing has the task that they could import.
    """

    def __init__(self, task: Task, runtime: Runtime) -> None:
        self.task = task
        sources = registry.sources_of(task)
        if not sources:
            raise UCAMFAASCouldNotLoadTarget(
                f"The task {task.name!r} has no import, by which its processes could load it: "
                "define it at the top level of its file, not in a function."
            )
        self._hello = Hello(task.name, sources, sys.path, runtime.settings, setup.is_configured())
        self._lock = threading.Lock()
        self._idle = [Child(self._hello)]
        """Those that wait, or start. The first proves that the task can start."""
        self._is_closed = False

    def wait(self) -> None:
        """Wait until the first child is ready.

        Raises:
            UCAMFAASCouldNotLoadTarget: it can't import the task, or its start-up code fails.
        """
        child = self._idle[0]
        try:
            child.wait()
        except ChildEndedError as error:
            raise UCAMFAASCouldNotLoadTarget(
                f"The start of task {self.task.name!r} failed: {error}."
            ) from error

    def place(self) -> Place:
        """Return the way of an execution."""
        return Place(self)

    def take(self) -> Child:
        """Return a child that is free; a new one, if there is none."""
        with self._lock:
            while self._idle:
                child = self._idle.pop()
                if child.is_alive:
                    return child
                child.end()
        return Child(self._hello)

    def put(self, child: Child) -> None:
        """Take a child back; another in its place, if it has ended."""
        if not child.is_alive:
            child.end()
            if self._is_closed:
                return
            try:
                child = Child(self._hello)
            except OSError as error:  # of no concern to the execution that has ended
                self.log_failure(error)
                return
        with self._lock:
            is_closed = self._is_closed
            if not is_closed:
                self._idle.append(child)
        if is_closed:
            child.end()

    def close(self) -> None:
        """End the children that wait; the others when they have."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
        for child in idle:
            child.dismiss()
        for child in idle:  # their exit handlers run side by side
            child.end()

    def log_failure(self, error: Exception) -> None:
        """Log that a child couldn't start."""
        log_problem("ucam_faas_task_process_failed", task=self.task.name, reason=str(error))


class Place:
    """The way of an execution through a child; `execution.Elsewhere`.

    Args:
        pool: has the children.
    """

    def __init__(self, pool: ProcessPool) -> None:
        self._pool = pool
        self._lock = threading.Lock()
        self._child: Child | None = None
        self._is_stopped = False

    def run(self, execution: Execution) -> Decision | None:
        """Run the function in a child, and return its decision; None: it was stopped."""
        child = self._pool.take()
        try:
            with self._lock:
                if self._is_stopped:
                    return None
                self._child = child
            try:
                answer = child.call(_call(execution))
            except ChildEndedError as error:
                return self._lost(execution, str(error))
            except UCAMFAASCouldNotLoadTarget as error:
                child.kill()
                self._pool.log_failure(error)
                return Decision(Failed("its process could not start"))
            finally:
                with self._lock:
                    self._child = None
        finally:
            self._pool.put(child)
        _note(execution, answer)
        return decision_of(answer)

    def stop(self) -> bool:
        """Kill the child; False: none has the execution, and its thread may be stuck."""
        with self._lock:
            self._is_stopped = True
            if self._child is None:
                return False
            self._child.kill()
            return True

    def _lost(self, execution: Execution, reason: str) -> Decision | None:
        if self._is_stopped:
            return None
        log_problem("ucam_faas_task_process_ended", task=execution.task.name, reason=reason)
        if execution.job is not None:
            execution.job.learn(JobNews(is_tried=True))
        return Decision(Crashed(reason))


def _call(execution: Execution) -> Call:
    job = execution.job
    row, seconds_left = (None, 0.0) if job is None else (job.row, job.seconds_left(execution))
    return Call(
        execution.delivery,
        execution.lane,
        execution.elapsed_seconds(),
        row,
        seconds_left,
        traces.current(execution.runtime),
    )


def _note(execution: Execution, answer: Answer) -> None:
    """Note in this process how far the execution came."""
    execution.is_started = answer.is_started
    if answer.is_event_accepted:
        accept(execution)
    if answer.is_message_accepted and execution.message is not None:
        execution.message.handler = MESSAGE_ACCEPTED
    if execution.job is not None and answer.job is not None:
        execution.job.learn(answer.job)
