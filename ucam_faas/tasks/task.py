"""A task: a decorated function, how its payload is made, and its policy."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, get_origin

from ucam_faas.events.execution_info import ExecutionInfo
from ucam_faas.exceptions import TaskDefinitionError
from ucam_faas.gcp.limits import MAX_ACK_DEADLINE_SECONDS
from ucam_faas.tasks.arguments import takes_nothing
from ucam_faas.tasks.job_policy import JobPolicy
from ucam_faas.tasks.lanes import DEFAULT_LANE, Lane
from ucam_faas.tasks.policies import MAX_ATTEMPTS, MAX_JOB_ATTEMPTS, MIN_ATTEMPTS, Policy
from ucam_faas.tasks.resources import RunAs, cpu_count
from ucam_faas.tasks.triggers import Trigger

if TYPE_CHECKING:
    from ucam_faas.tasks.message_batches import BatchLimits

ExecutionResultLoggerFn = Callable[[ExecutionInfo], None]
"""Logs the report of an execution."""
CreateExecutionResultHttpResponseFn = Callable[[ExecutionInfo], Any]
"""Returns any Flask response value, or None for 200 `OK`."""

HEALTH_PATHS = ("/healthy", "/status")
"""The paths that answer health checks; a task can have neither."""
_MODULES = re.compile(r"""('[^']*'|"[^"]*")|(?:[\w<>]+\.)+""")
"""A quoted text of a literal type, or the modules and functions before a name."""


class Kind(StrEnum):
    """The argument of a task's function."""

    RAW = "raw event"
    CLOUD_EVENT = "CloudEvent"
    EVENT_DATA = "CloudEvent data"
    MESSAGE = "message"
    HTTP = "HTTP request"


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerExecutionOptions:
    """Replacements for the log line and the HTTP response of an execution.

    Args:
        log_execution_result: gets the ExecutionInfo instead of the log line of this package.
        make_http_response: makes the HTTP response of a completed or aborted execution; None, for
            either, is 200 `OK`, which acknowledges a message.
    """

    log_execution_result: ExecutionResultLoggerFn | None = None
    make_http_response: CreateExecutionResultHttpResponseFn | None = None

    def __post_init__(self) -> None:
        for name in ("log_execution_result", "make_http_response"):
            check_function(name, getattr(self, name), "(ExecutionInfo) -> …")


def check_function(name: str, value: Any, signature: str) -> None:
    """Refuse a value that is neither a function nor None.

    Raises:
        TaskDefinitionError: with the value.
    """
    if value is not None and not callable(value):
        raise TaskDefinitionError(f"{name}={value!r}: expected a function {signature}, or None.")


def check_name(name: Any) -> None:
    """Refuse a name that no task can have: it is part of paths and of names in the cloud.

    Raises:
        TaskDefinitionError: with the rule.
    """
    if not (isinstance(name, str) and re.fullmatch("[A-Za-z][A-Za-z0-9_-]*", name)):
        raise TaskDefinitionError(
            f"name={name!r}: expected letters, digits, - and _, a letter first, such as "
            'name="import-orders".'
        )


RESOURCES: dict[RunAs, str] = {
    "service": "Cloud Run service",
    "worker": "worker pool",
    "cloud-run-job": "Cloud Run job",
}


_LONGEST_PUSH = (
    MAX_ACK_DEADLINE_SECONDS,
    "the longest that Pub/Sub waits for a push's answer before it delivers again",
    'Let a worker pull it, run_as="worker"; run it as a Cloud Run job, run_as="cloud-run-job"; or '
    "split the work into shorter messages.",
)
_LONGEST_REQUEST = (3600, "the longest that Cloud Run lets a request take", "Split the work.")
_LONGEST_PULL = (
    7 * 24 * 3600,
    "the longest that Pub/Sub keeps a message by default",
    "Split the work.",
)
_LONGEST_JOB = (
    7 * 24 * 3600,
    "the longest that a Cloud Run job's task may take",
    "Split the work.",
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Task:
    """A decorated function, its trigger and its policy. Two are never equal."""

    name: str
    function_name: str
    """The name that its module has for it; the same, unless the decorator says `name=`."""
    module: str
    kind: Kind
    function: Callable[..., Any]
    parse: Callable[[Any], Any] | None = None
    """From message data (MESSAGE) or a CloudEvent (EVENT_DATA) to the payload."""
    message_type: Any = None
    module_spec: Any = None
    """Another object each time that the module is executed: so a reload is not a clash of names."""
    batch: BatchLimits | None = None
    """Its function takes a list of messages, within these limits; None: one message."""
    trigger: Trigger | None = None
    """None: requests to its path only, as for HTTP tasks."""
    policy: Policy = field(default_factory=Policy)
    jobs: JobPolicy = field(default_factory=JobPolicy)
    own_options: Mapping[str, Any] = field(default_factory=dict)
    """The options on its decorator, by name; its collections and the configuration have more."""
    collection_options: Mapping[str, Any] = field(default_factory=dict)
    """The options of its collections."""
    run_as: RunAs = "service"
    """A service, which is called; a worker, which pulls; or a Cloud Run job, which runs once."""
    lanes: tuple[Lane, ...] = ()
    """Its lanes, as its options state them; none: it has `default` alone, without a limit."""
    propagate_lane: bool = True
    """Sends stay in the lane from which it runs."""
    run_in_process: bool = False
    """The function runs in a process of its own."""
    init: tuple[Callable[..., Any], ...] = ()
    """Run once in each process that serves the task, before its first execution."""
    publishes: tuple[Any, ...] = ()
    """The tasks and topics that it publishes to."""
    sends: tuple[Any, ...] = ()
    """The tasks that it sends jobs to, or their names."""
    middleware: tuple[Any, ...] = ()
    """Functions around the function, the first outermost; or pairs of a sync and an async one."""
    create_default_info: Callable[..., ExecutionInfo] | None = None
    options: HandlerExecutionOptions = field(default_factory=HandlerExecutionOptions)
    path: str | None = None
    """Of an HTTP task: the route, in Flask's syntax."""
    methods: tuple[str, ...] = ("POST",)
    serves_jobs: bool = False
    """It serves jobs over HTTP: errors are problem+json, and its callers' tokens are verified."""
    written_at: tuple[str, int] | None = None
    """The file and the line of a task whose function is the package's; None: the function's."""

    is_async: bool = field(init=False)
    """The function is a coroutine function."""
    call: Callable[[Any], Any] = field(init=False)
    """The function in its middleware."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "is_async", inspect.iscoroutinefunction(self.function))
        object.__setattr__(self, "call", self._in_middleware())
        self._check_attempts()
        self._check_deadline()
        self._check_share()
        self._check_adoption()
        self._check_process()
        self._check_batch()

    def __repr__(self) -> str:
        topic = f" topic={self.trigger.topic!r}" if self.trigger else ""
        return f"<Task {self.name!r} of {self.module}: {self.kind.value}{topic}>"

    def _in_middleware(self) -> Callable[[Any], Any]:
        if not self.middleware:
            return self.function
        from ucam_faas.tasks.middleware import around  # kept off the start

        return around(self)

    def _check_attempts(self) -> None:
        """Refuse a number of attempts that neither Google nor the task can count to."""
        attempts, problem = self.policy.retry.max_attempts, ""
        if self.run_as == "cloud-run-job":
            if attempts is None or attempts > MAX_JOB_ATTEMPTS:
                problem = f"1 to {MAX_JOB_ATTEMPTS}: Cloud Run runs a Cloud Run job no more often"
        elif self.kind is Kind.RAW and attempts is not None and attempts < MIN_ATTEMPTS:
            problem = (
                f"{MIN_ATTEMPTS} to {MAX_ATTEMPTS} (Pub/Sub's limits), or None for no dead "
                "letters: a raw task doesn't get the number of the attempt. Use message_handler"
            )
        if problem:
            raise TaskDefinitionError(
                f"max_attempts={attempts!r} of {self.name!r}: expected {problem}."
            )

    def _check_deadline(self) -> None:
        """Refuse a timeout that is longer than Pub/Sub or Cloud Run waits."""
        seconds, why, hint = _LONGEST_PUSH
        if self.run_as == "cloud-run-job":
            if self.kind is Kind.HTTP:
                raise TaskDefinitionError(
                    f"{self.name!r} answers requests, and a Cloud Run job gets none: leave "
                    'run_as="cloud-run-job" out.'
                )
            seconds, why, hint = _LONGEST_JOB
        elif self.run_as == "worker":
            if self.kind is Kind.HTTP:
                raise TaskDefinitionError(
                    f"{self.name!r} answers requests, and a worker gets none: leave "
                    'run_as="worker" out.'
                )
            seconds, why, hint = _LONGEST_PULL
        elif self.kind is Kind.HTTP:
            seconds, why, hint = _LONGEST_REQUEST
        if self.policy.timeout is not None and self.policy.timeout.total_seconds() > seconds:
            raise TaskDefinitionError(
                f"timeout={self.policy.timeout!r} of {self.name!r} is over {seconds} s, {why}. "
                f"{hint}"
            )

    def _check_adoption(self) -> None:
        """Refuse jobs of messages where a message has no identity, or its order would be lost."""
        if not self.jobs.adopts:
            return
        problem = ""
        if self.kind not in (Kind.MESSAGE, Kind.RAW):
            problem = "it takes events: only messages become jobs. Use message_handler"
        elif self.kind is Kind.RAW and self.jobs.id is None:
            problem = (
                "it gets the data alone, without the message's id. Use message_handler, or id="
            )
        elif self.trigger is not None and self.trigger.ordered:
            problem = "a failed job waits for its retry, and the next message overtakes it. Leave "
            problem += "ordered=True out"
        if problem:
            raise TaskDefinitionError(f"{self.jobs.adopting} of {self.name!r}: {problem}.")

    def _check_process(self) -> None:
        """Refuse a process for a function that can't run in one, or has no use of it."""
        if not self.run_in_process:
            return
        problem = ""
        if self.is_async:
            problem = "an async function runs on the event loop: write a plain def"
        elif self.returns_response:
            problem = (
                "its return value is an HTTP response: use message_handler or cloud_event_handler"
            )
        if problem:
            raise TaskDefinitionError(
                f"run_in_process=True of {self.name!r}: {problem}, or say run_in_process=False."
            )

    def _check_batch(self) -> None:
        """Refuse options that a batch can't have, whether its own or those of its collections."""
        if self.batch is None:
            return
        problem = ""
        if self.run_as != "worker":
            problem = f'run_as="{self.run_as}": Pub/Sub pushes messages one by one'
        elif self.jobs.adopts:
            problem = f"{self.jobs.adopting}: a job runs alone. Use message_handler"
        elif self.run_in_process:
            problem = "run_in_process=True: a process takes one message. Use message_handler"
        if problem:
            raise TaskDefinitionError(f"{self.name!r} takes batches, and has {problem}.")

    def _check_share(self) -> None:
        """Refuse several executions at a time on a part of a CPU."""
        cpu = self.own_options.get("cpu", self.collection_options.get("cpu"))
        limit = self.policy.concurrency
        if cpu is not None and cpu_count(cpu) < 1 and limit is not None and limit > 1:
            raise TaskDefinitionError(
                f"concurrency={limit} of {self.name!r} with cpu={cpu!r}: expected concurrency=1, "
                "because Cloud Run gives an instance with less than one CPU one request at a time."
            )

    @property
    def route(self) -> str:
        """The path at which it is served, in Flask's syntax."""
        return (self.path or "/") if self.kind is Kind.HTTP else f"/{self.name}"

    @property
    def lane_names(self) -> tuple[str, ...]:
        """The names of its lanes, `default` first."""
        return tuple(lane.name for lane in self.lanes) or (DEFAULT_LANE,)

    @property
    def takes_jobs(self) -> bool:
        """Jobs can be sent to it."""
        gets_messages = self.trigger is not None and self.run_as != "cloud-run-job"
        return gets_messages and self.batch is None

    @property
    def resource(self) -> str:
        """The kind of its resource, for people."""
        return RESOURCES[self.run_as]

    @property
    def takes(self) -> str:
        """The name of its payload's type."""
        if self.takes_nothing:
            return "nothing"
        kind = self.message_type
        if kind is None:
            return "bytes" if self.kind in (Kind.RAW, Kind.MESSAGE) else self.kind.value
        if get_origin(kind) is not None:  # list[int] has the name of list
            return _MODULES.sub(lambda match: match[1] or "", str(kind))
        return str(getattr(kind, "__name__", None) or type(kind).__name__)

    @property
    def takes_nothing(self) -> bool:
        """Its function has no parameter: a message to it needs no data."""
        return self.kind is not Kind.HTTP and takes_nothing(self.function)

    @property
    def takes_messages(self) -> bool:
        """Its payload is made of a Pub/Sub message."""
        return self.kind is Kind.MESSAGE

    @property
    def takes_events(self) -> bool:
        """Its requests carry events: CloudEvents, or pushes of messages."""
        return self.kind not in (Kind.RAW, Kind.HTTP)

    @property
    def returns_response(self) -> bool:
        """The function's return value is the HTTP response."""
        return self.kind in (Kind.RAW, Kind.CLOUD_EVENT, Kind.HTTP)

    @property
    def payload_type(self) -> Any:
        """The type that the payload is checked against; None where only a function knows it."""
        return getattr(self.parse, "event_data_model", self.message_type)

    @property
    def place(self) -> tuple[str, int]:
        """The file and the line of the user's function, whatever wraps it."""
        if self.written_at is not None:
            return self.written_at
        code = inspect.unwrap(self.function).__code__
        return code.co_filename, code.co_firstlineno

    @property
    def package(self) -> str:
        """The top package, or the module, of the user's function."""
        module: str = inspect.unwrap(self.function).__module__
        return module.partition(".")[0]

    @property
    def summary(self) -> str:
        """The first line of the function's docstring."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0]
