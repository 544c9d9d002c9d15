"""The tasks that a test names, and one execution of one of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ucam_faas.clock import SystemClock
from ucam_faas.config import Settings
from ucam_faas.events import envelopes
from ucam_faas.events.deliveries import Delivery
from ucam_faas.events.execution_info import ExecutionInfo
from ucam_faas.exceptions import UCAMFAASCouldNotLoadTarget
from ucam_faas.execution.execution import Conclusion, Execution
from ucam_faas.execution.pipeline import execute
from ucam_faas.execution.runtime import CURRENT, Runtime
from ucam_faas.outcomes import Outcome
from ucam_faas.tasks import environment, registry
from ucam_faas.tasks.task import Kind, Task
from ucam_faas.testing.events import make_push, to_bytes


def run(task: Any, event: Any = b"") -> ExecutionInfo:
    """Run a task on an event and return its report; a failure of the task isn't raised.

    The report of a failed run has the exception in `execution.exception`, and raises it as the
    cause where a test asks for the `result`. `conclude` returns the outcome, too.

    Args:
        task: a decorated function.
        event: a PubsubMessage, a CloudEvent, or message data as `make_message` takes it; for a
            raw task its body.

    Raises:
        UCAMFAASCouldNotLoadTarget: it isn't a task, or it is an HTTP task.
    """
    return conclude(task, event).info


def conclude(task: Any, event: Any = b"", *, runtime: Runtime | None = None) -> Conclusion:
    """Run a task on an event and return the conclusion: `outcome`, `info`, `value` and `error`."""
    task = task_of(task)
    if task.kind is Kind.HTTP:
        raise UCAMFAASCouldNotLoadTarget(
            f"{task.name!r} is an HTTP task and needs a request: use serve(), or call it."
        )
    execution = Execution(task, _delivery(task, event), runtime or _runtime())
    with environment.HERE.during([task]):
        return execute(execution)


def run_batch(task: Any, *events: Any) -> list[Outcome]:
    """Run a task of batches on messages, as a worker does, and return the outcome of each.

    Args:
        task: a function with `@batch_handler`.
        events: the messages, each as `run` takes it.

    Raises:
        UCAMFAASCouldNotLoadTarget: the task takes no batches.

    >>> import ucam_faas
    >>> from ucam_faas import BatchMessage, BatchResult, DeadLetter
    >>> @ucam_faas.batch_handler
    ... def store(numbers: list[BatchMessage[int]]) -> BatchResult:
    ...     return BatchResult({each: DeadLetter("odd") for each in numbers if each.payload % 2})
    >>> [type(outcome).__name__ for outcome in run_batch(store, 1, 2, b"three")]
    ['DeadLetter', 'Done', 'InvalidPayload']
    """
    from ucam_faas.execution.message_batch import execution_of

    task = task_of(task)
    if task.batch is None:
        raise UCAMFAASCouldNotLoadTarget(f"{task.name!r} takes one message at a time: use run().")
    if not events:
        return []
    deliveries = [_delivery(task, event).with_message() for event in events]
    runtime, is_ordered = _runtime(), task.trigger is not None and task.trigger.ordered
    keys = [each.message.ordering_key if each.message else "" for each in deliveries]
    members = [Execution(task, delivery, runtime) for delivery in deliveries]
    execution = execution_of(task, members, [key if is_ordered else "" for key in keys])
    with environment.HERE.during([task]):
        conclusion = execute(execution)
    assert execution.batch is not None, "it was made with one"
    return list(execution.batch.outcomes or [conclusion.outcome] * len(members))


def _delivery(task: Task, event: Any) -> Delivery:
    if task.kind is Kind.RAW:
        return envelopes.raw(to_bytes(event), {})
    if hasattr(event, "get_attributes"):
        return envelopes.of_cloud_event(event)
    push = make_push(event)
    return envelopes.decode(push.body, {"content-type": "application/json"})


def _runtime() -> Runtime:
    return CURRENT.get() or Runtime(Settings(), SystemClock())


def task_of(function: Any) -> Task:
    """Return the task of a decorated function, or the task itself.

    Raises:
        UCAMFAASCouldNotLoadTarget: it isn't a task.
    """
    task = function if isinstance(function, Task) else registry.task_of(function)
    if task is None:
        raise UCAMFAASCouldNotLoadTarget(f"{function!r} is not a task: decorate it.")
    return task


def tasks_of(sources: tuple[Any, ...]) -> list[Task]:
    """Return the tasks of decorated functions, or of one source (a path or a module name).

    Raises:
        UCAMFAASCouldNotLoadTarget: one isn't a task, or two have one name.
    """
    if len(sources) == 1 and isinstance(sources[0], str | Path):
        return registry.load(str(sources[0]))
    tasks: dict[str, Task] = {}
    for task in map(task_of, sources):
        if tasks.setdefault(task.name, task) is not task:
            raise UCAMFAASCouldNotLoadTarget(f"There are two tasks named {task.name!r}.")
    return list(tasks.values())
