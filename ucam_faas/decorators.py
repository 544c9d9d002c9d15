"""The decorators that make tasks out of functions: their options, and the types that users see."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import (
    TYPE_CHECKING,
    Any,
    Protocol,
    TypedDict,
    TypeVar,
    Unpack,
    cast,
    overload,
)

from ucam_faas.exceptions import TaskDefinitionError
from ucam_faas.execution_info import ExecutionInfo
from ucam_faas.parsers import message_parser
from ucam_faas.policies import Policy, RetryPolicy
from ucam_faas.task import HandlerExecutionOptions, Kind, Task, check_function
from ucam_faas.task_functions import RESERVED_NAMES, make
from ucam_faas.triggers import Schedule, trigger_maker

if TYPE_CHECKING:
    from cloudevents.abstract import CloudEvent as AnyCloudEvent
    from cloudevents.http import CloudEvent
    from flask import Request

_NOT_GIVEN: Any = object()

PayloadT = TypeVar("PayloadT")
PayloadT_contra = TypeVar("PayloadT_contra", contravariant=True)
ResultT = TypeVar("ResultT")
ResultT_co = TypeVar("ResultT_co", covariant=True)


class TaskFunction(Protocol[PayloadT_contra, ResultT_co]):
    """A decorated function."""

    __name__: str
    task: Task

    def __call__(self, payload: PayloadT_contra, /) -> ResultT_co:
        """Run the function itself."""

    def execute(self, cloud_event: AnyCloudEvent) -> ExecutionInfo:
        """Run the pipeline on an event; what aborts it is raised as ExecutionAbortedException."""

    def execute_for_result(self, cloud_event: AnyCloudEvent) -> ExecutionInfo:
        """Run the pipeline on an event, and report what happened; never raises for that."""


class Decorator(Protocol[PayloadT]):
    """Makes a task of a function that takes `PayloadT`."""

    def __call__(
        self, function: Callable[[PayloadT], ResultT], /
    ) -> TaskFunction[PayloadT, ResultT]:
        """Decorate."""


class TaskOptions(TypedDict, total=False):
    """What every decorator but `http` takes; `message_handler` says what each is."""

    topic: str | None
    filter: str | None
    schedule: Schedule | Sequence[Schedule] | None
    ordered: bool
    retry: RetryPolicy | None
    dead_letter_topic: str | None
    timeout: timedelta | None
    concurrency: int | None


class HandlerOptions(TaskOptions, total=False):
    """What the decorators of handlers take besides."""

    create_default_info: Callable[..., ExecutionInfo] | None
    options: HandlerExecutionOptions | None


@overload
def raw_event(function: Callable[[bytes], ResultT], /) -> TaskFunction[bytes, ResultT]: ...
@overload
def raw_event(**given: Unpack[TaskOptions]) -> Decorator[bytes]: ...
def raw_event(function: Any = None, /, **given: Any) -> Any:
    """Make a task that gets the request's body as bytes, and whose return value is the response.

    Options are those of `message_handler`, without `message_type`, `create_default_info` and
    `options`.

    >>> @raw_event
    ... def shout(body: bytes) -> str:
    ...     return body.decode().upper()
    >>> shout(b"hello")
    'HELLO'
    """
    make = _decorator(Kind.RAW, _checked("raw_event", TaskOptions, given))
    return make if function is None else make(function)


@overload
def cloud_event(
    function: Callable[[CloudEvent], ResultT], /
) -> TaskFunction[CloudEvent, ResultT]: ...
@overload
def cloud_event(**given: Unpack[TaskOptions]) -> Decorator[CloudEvent]: ...
def cloud_event(function: Any = None, /, **given: Any) -> Any:
    """Make a task that gets the CloudEvent as it is, of any type.

    Options are those of `message_handler`, without `message_type`, `create_default_info` and
    `options`.
    """
    make = _decorator(Kind.CLOUD_EVENT, _checked("cloud_event", TaskOptions, given))
    return make if function is None else make(function)


def cloud_event_handler(
    *, event_data_parser: Callable[[Any], PayloadT], **given: Unpack[HandlerOptions]
) -> Decorator[PayloadT]:
    """Make a task that gets what a parser makes of a CloudEvent.

    Args:
        event_data_parser: from CloudEvent to payload; a `CloudEventType`, or any function.
        given: the options of `message_handler`, without `message_type`.

    Raises:
        TaskDefinitionError: an argument can never work.
    """
    if not callable(event_data_parser):
        raise TaskDefinitionError(
            f"event_data_parser={event_data_parser!r}: expected CloudEventType(event_type=…, "
            "event_data_model=…) or a function (CloudEvent) -> T."
        )
    options = _checked("cloud_event_handler", HandlerOptions, given)
    return cast(
        "Decorator[PayloadT]", _decorator(Kind.EVENT_DATA, options, parse=event_data_parser)
    )


ModelT = TypeVar("ModelT")


@overload
def message_handler(*, message_type: None, **given: Unpack[HandlerOptions]) -> Decorator[bytes]: ...
@overload
def message_handler(
    *, message_type: type[ModelT] | Callable[[bytes], ModelT], **given: Unpack[HandlerOptions]
) -> Decorator[ModelT]: ...
def message_handler(
    function: None = None, /, *, message_type: Any = _NOT_GIVEN, **given: Any
) -> Any:
    """Make a task that gets the parsed data of a Pub/Sub message.

    Args:
        message_type: a pydantic model, a dataclass or a type such as list[int] (JSON data), a
            protobuf message class (binary data), any function `(bytes) -> T`, or None for bytes.
        topic: whose messages the task gets: the short name of a topic of ours, or
            `projects/P/topics/T`, one that exists; default: a topic named after the task.
        filter: which of them, by their attributes, in Pub/Sub's filter language; default: all.
        schedule: a `Schedule` that publishes to the topic, or a list of them.
        ordered: messages with one ordering key are delivered one after the other.
        retry: a `RetryPolicy`: how often and how soon a message is delivered again; default:
            5 deliveries, 10 to 600 seconds apart, then the dead-letter topic.
        dead_letter_topic: overrides UCAM_FAAS_DEAD_LETTER_TOPIC.
        timeout: from arrival to answer; default 5 minutes. The subscription's ack deadline
            should be at least as long.
        concurrency: executions at a time in one process.
        create_default_info: makes the report when the function returns none; called with
            `execution=` an ExecutionResult.
        options: replacements for the log line and the HTTP response.

    Raises:
        TaskDefinitionError: an argument can never work, or is outside Google's limits.

    >>> @message_handler(message_type=int, schedule=Schedule("0 3 * * *", data=b"21"))
    ... def double(number: int) -> int:
    ...     return number * 2
    >>> double(21)
    42
    """
    if function is not None or message_type is _NOT_GIVEN:
        raise TaskDefinitionError(
            "@ucam_faas.message_handler needs to know the type of its messages: write "
            "@ucam_faas.message_handler(message_type=…), with a pydantic model, a protobuf message "
            "class, a function (bytes) -> T, or None for bytes."
        )
    options = _checked("message_handler", HandlerOptions, given)
    parse = message_parser(message_type)
    return _decorator(Kind.MESSAGE, options, parse=parse, message_type=message_type)


def http(
    *,
    path: str,
    methods: Sequence[str] = ("GET",),
    timeout: timedelta | None = None,
    concurrency: int | None = None,
) -> Decorator[Request]:
    """Make a task that gets a Flask request and returns any Flask response value.

    Args:
        path: the route in Flask's syntax; what it captures is in `request.view_args`.
        methods: the HTTP methods that it answers.
        timeout: from arrival to answer; default 5 minutes.
        concurrency: executions at a time in one process.

    Raises:
        TaskDefinitionError: an argument can never work.
    """
    if not isinstance(path, str) or not path.startswith("/"):
        raise TaskDefinitionError(
            f"path={path!r}: expected a path that starts with /, such as /users/<id>."
        )
    if path.strip("/") in RESERVED_NAMES:
        raise TaskDefinitionError(f"path={path!r} answers health checks: choose another.")
    if isinstance(methods, str) or not methods:
        raise TaskDefinitionError(
            f"methods={methods!r}: expected a list of HTTP methods, such as ['GET', 'POST']."
        )
    run = {"timeout": timeout, "concurrency": concurrency}
    captured = {"path": path, "methods": tuple(method.upper() for method in methods)}
    return cast("Decorator[Request]", _decorator(Kind.HTTP, run, **captured))


def _checked(decorator: str, kind: Any, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Refuse options that a decorator does not have: `**given` would take any."""
    known = sorted(kind.__optional_keys__)
    for name in given.keys() - known:
        import difflib

        like = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {like[0]!r}?" if like else f"it has {', '.join(known)}."
        raise TaskDefinitionError(f"{decorator} has no option {name!r}: {hint}")
    signature = "(*, execution: ExecutionResult) -> ExecutionInfo"
    check_function("create_default_info", given.get("create_default_info"), signature)
    options = given.get("options")
    if options is not None and not isinstance(options, HandlerExecutionOptions):
        raise TaskDefinitionError(f"options={options!r}: expected HandlerExecutionOptions(…).")
    return given


def _decorator(kind: Kind, given: Mapping[str, Any], **fields: Any) -> Any:
    """Return what makes a task function of a function; the options are checked now."""
    options = {name: value for name, value in given.items() if value is not None}
    in_policy = options.keys() & Policy.__dataclass_fields__.keys()
    fields["policy"] = Policy(**{name: options.pop(name) for name in in_policy})
    in_task = options.keys() & Task.__dataclass_fields__.keys()
    fields |= {name: options.pop(name) for name in in_task}
    trigger_of = None if kind is Kind.HTTP else trigger_maker(**options)
    return lambda function: make(function, kind, trigger_of, fields)
