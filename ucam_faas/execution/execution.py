"""The values that the pipeline's stages pass on: an execution, its decision, its conclusion."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass
from logging import LogRecord
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from ucam_faas.config import Settings
from ucam_faas.events.context import CloudEventHandlerContext, MessageHandlerContext
from ucam_faas.events.deliveries import Delivery
from ucam_faas.events.execution_info import ExecutionInfo
from ucam_faas.execution.fingerprints import Fault
from ucam_faas.execution.runtime import Runtime
from ucam_faas.logs.context import LogContext
from ucam_faas.outcomes import Outcome, Sleeping
from ucam_faas.tasks.lanes import DEFAULT_LANE
from ucam_faas.tasks.task import Task

if TYPE_CHECKING:
    from ucam_faas.jobs.rows import Key, Row


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome of the function, or of the refusal of its payload."""

    outcome: Outcome
    value: Any = None
    """The function's return value."""
    error: BaseException | None = None
    info: ExecutionInfo | None = None
    """The function's own report."""
    unstored: str = ""
    """The reason for which a job's store can't keep the value."""
    fault: Fault | None = None
    """Of a failure whose traceback isn't here any more; see `decisions.fault`."""


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The end of an execution. Its holder writes `line` to the log."""

    outcome: Outcome
    """The decision's; or DeadLettered, when the message is on the dead-letter topic."""
    info: ExecutionInfo
    value: Any = None
    error: BaseException | None = None
    line: LogRecord | None = None


class JobNews(NamedTuple):
    """The facts about a job that the process of its function knows beside the decision.

    Args:
        completed: its row, if the task has completed it by its own hand.
        is_tried: the task has begun to, as far as is known.
        sleeping: the sleep that ends this execution.
        steps_bytes: of its steps.
    """

    completed: Row | None = None
    is_tried: bool = False
    sleeping: Sleeping | None = None
    steps_bytes: int = 0


class Claim(Protocol):
    """The job of an execution; see `job_runs.job_run`. Its methods block."""

    key: Key

    @property
    def row(self) -> Row | None:
        """As it was claimed; None: this execution doesn't hold the job."""

    def open(self, execution: Execution) -> Any:
        """Claim the job, and return its payload.

        Raises:
            Unclaimed: it can't run now.
        """

    @property
    def timeout_seconds(self) -> float | None:
        """The timeout that this job has, if it isn't its task's."""

    def seconds_left(self, execution: Execution) -> float:
        """Return how long the claim lasts."""

    def learn(self, news: JobNews) -> None:
        """Take the facts that the process of its function has sent."""

    def settle(self, execution: Execution, decision: Decision) -> Outcome:
        """Store the end of the run, and return the outcome."""


class Elsewhere(Protocol):
    """Runs the function of an execution outside of this process."""

    def run(self, execution: Execution) -> Decision | None:
        """Make the payload, call the function, and return its decision; None: it was stopped."""

    def stop(self) -> bool:
        """End the function now; False: it runs nowhere."""


class Batch(Protocol):
    """The messages of an execution that has several; see `message_batch`."""

    outcomes: Sequence[Outcome]
    """Of the messages, when they are settled."""

    @property
    def size_bytes(self) -> int:
        """The size of all messages' data."""

    @property
    def deliveries(self) -> Sequence[Delivery]:
        """Those of the messages."""

    def open(self, execution: Execution) -> Any:
        """Set the contexts, and return the function's list."""

    def may_publish(self, decision: Decision) -> bool:
        """Return True if `settle` may publish dead letters."""

    def settle(self, execution: Execution, decision: Decision, *, publish: bool) -> Conclusion:
        """Settle and report the messages, and return the conclusion of the execution."""


class Unclaimed(Exception):
    """The job of an execution can't run now.

    Args:
        outcome: the end of the execution.
        value: the job's result, if it has one already.
    """

    def __init__(self, outcome: Outcome, value: Any = None) -> None:
        super().__init__()
        self.outcome = outcome
        self.value = value


class SleepSignal(BaseException):
    """The job of an execution sleeps: no `except Exception` of a task catches this.

    Args:
        outcome: the end of the execution.
    """

    def __init__(self, outcome: Sleeping) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome


class Execution:
    """One run of a task on a delivery.

    Its end and a stop (deadline, shutdown) may come at once: whichever takes the claim concludes.

    Args:
        call: calls the task's function with the payload, in surroundings of its own; for HTTP
            tasks, with the Flask request instead.
        convert: turns the function's return value into another, such as an HTTP response, as a
            part of the run: a generator may still have to make the body.
        started_at: by the monotonic clock; default: now.
        job: its claim on a job; None: the delivery isn't a job's.
        lane: the lane of the task from which it comes.
    """

    __slots__ = (
        "_claim",
        "batch",
        "call",
        "context",
        "convert",
        "decide",
        "delivery",
        "elsewhere",
        "event",
        "is_started",
        "job",
        "lane",
        "log_context",
        "message",
        "on_claim",
        "processing",
        "runtime",
        "started_at",
        "task",
    )

    def __init__(
        self,
        task: Task,
        delivery: Delivery,
        runtime: Runtime,
        *,
        call: Callable[[Callable[..., Any], Any], Any] | None = None,
        convert: Callable[[Any], Any] | None = None,
        started_at: float | None = None,
        job: Claim | None = None,
        lane: str = DEFAULT_LANE,
    ) -> None:
        self.task = task
        self.delivery = delivery
        self.runtime = runtime
        self.call = call
        self.convert = convert
        self.job = job
        self.lane = lane
        self.started_at = runtime.clock.monotonic() if started_at is None else started_at
        self.context: Context = copy_context()
        """The ContextVars in which the task runs."""
        self.log_context = _log_context(task, delivery, runtime.settings)
        self.event: CloudEventHandlerContext | None = None
        self.message: MessageHandlerContext | None = None
        self.elsewhere: Elsewhere | None = None
        """The process in which the function runs; None: this one."""
        self.batch: Batch | None = None
        """The messages whose executions this one is; None: it is one message's."""
        self.decide: Callable[[Any], Decision] | None = None
        """Turns the function's return value into a decision, where it isn't a result."""
        self.on_claim: Callable[[], object] | None = None
        """Called when the job is claimed, in the thread that claims it."""
        self.processing: Any = None
        """Its span; None: it hasn't begun, or there is no telemetry. See `traces`."""
        self.is_started = False
        """The function was called."""
        self._claim = threading.Lock()

    def claim(self) -> bool:
        """Take the right to conclude; False if it is taken."""
        return self._claim.acquire(blocking=False)

    @property
    def is_claimed(self) -> bool:
        """The execution is concluded, or about to be."""
        return self._claim.locked()

    @property
    def makes_payload(self) -> bool:
        """The payload is made in this process, also if the function runs elsewhere: a message that
        becomes a job may get its id from it.
        """
        return self.elsewhere is None or getattr(self.job, "is_message", False)

    @property
    def size_bytes(self) -> int:
        """The size of the data that become its payload."""
        return len(self.delivery.body) if self.batch is None else self.batch.size_bytes

    @property
    def holds_job(self) -> bool:
        """It has claimed a job: its end has to be stored, which blocks."""
        return self.job is not None and self.job.row is not None

    def elapsed_seconds(self) -> float:
        """Return the time since the start."""
        return self.runtime.clock.monotonic() - self.started_at


def _log_context(task: Task, delivery: Delivery, settings: Settings) -> LogContext:
    trace, project = delivery.trace, settings.project
    if trace is None:
        return LogContext(task.name, delivery.execution_id)
    path = f"projects/{project}/traces/{trace.trace_id}" if project else trace.trace_id
    return LogContext(task.name, delivery.execution_id, path, trace.span_id, trace.sampled)
