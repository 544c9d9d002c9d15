"""The decorators that make tasks out of functions.

A decorated function stays a function: called with its own argument, it just runs. Called with
what functions-framework passes (a Flask request, or a CloudEvent that is not its own argument),
it goes through the pipeline and answers as our own server would.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import os
import sys
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast, overload

from ucam_faas import envelopes, registry, runtime
from ucam_faas.exceptions import ExecutionAbortedException, TaskDefinitionError
from ucam_faas.execution import Conclusion, Execution, execute
from ucam_faas.execution_info import ExecutionInfo, ExecutionStatus
from ucam_faas.parsers import message_parser
from ucam_faas.policies import Policy
from ucam_faas.task import HandlerExecutionOptions, Kind, Task, check_function

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


@overload
def raw_event(function: Callable[[bytes], ResultT], /) -> TaskFunction[bytes, ResultT]: ...
@overload
def raw_event(
    *,
    timeout: timedelta | None = None,
    concurrency: int | None = None,
    dead_letter_topic: str | None = None,
) -> Decorator[bytes]: ...
def raw_event(
    function: Any = None,
    /,
    *,
    timeout: timedelta | None = None,
    concurrency: int | None = None,
    dead_letter_topic: str | None = None,
) -> Any:
    """Make a task that gets the request's body as bytes, and whose return value is the response.

    >>> @raw_event
    ... def shout(body: bytes) -> str:
    ...     return body.decode().upper()
    >>> shout(b"hello")
    'HELLO'
    """
    policy = Policy(timeout=timeout, concurrency=concurrency, dead_letter_topic=dead_letter_topic)
    return _decorate(function, Kind.RAW, policy)


@overload
def cloud_event(
    function: Callable[[CloudEvent], ResultT], /
) -> TaskFunction[CloudEvent, ResultT]: ...
@overload
def cloud_event(
    *,
    timeout: timedelta | None = None,
    concurrency: int | None = None,
    dead_letter_topic: str | None = None,
) -> Decorator[CloudEvent]: ...
def cloud_event(
    function: Any = None,
    /,
    *,
    timeout: timedelta | None = None,
    concurrency: int | None = None,
    dead_letter_topic: str | None = None,
) -> Any:
    """Make a task that gets the CloudEvent as it is, of any type."""
    policy = Policy(timeout=timeout, concurrency=concurrency, dead_letter_topic=dead_letter_topic)
    return _decorate(function, Kind.CLOUD_EVENT, policy)


def cloud_event_handler(
    *,
    event_data_parser: Callable[[Any], PayloadT],
    create_default_info: Callable[..., ExecutionInfo] | None = None,
    options: HandlerExecutionOptions | None = None,
    timeout: timedelta | None = None,
    concurrency: int | None = None,
    dead_letter_topic: str | None = None,
) -> Decorator[PayloadT]:
    """Make a task that gets what a parser makes of a CloudEvent.

    Args:
        event_data_parser: from CloudEvent to payload; a `CloudEventType`, or any function.
        create_default_info: makes the report when the function returns none; called with
            `execution=` an ExecutionResult.
        options: replacements for the log line and the HTTP response.
        timeout: from arrival to answer; default 5 minutes.
        concurrency: executions at a time in one process.
        dead_letter_topic: overrides UCAM_FAAS_DEAD_LETTER_TOPIC.

    Raises:
        TaskDefinitionError: an argument can never work.
    """
    if not callable(event_data_parser):
        raise TaskDefinitionError(
            f"event_data_parser={event_data_parser!r}: expected CloudEventType(event_type=…, "
            "event_data_model=…) or a function (CloudEvent) -> T."
        )
    policy = Policy(timeout=timeout, concurrency=concurrency, dead_letter_topic=dead_letter_topic)
    fields = {
        "parse": event_data_parser,
        "create_default_info": create_default_info,
        "options": _checked_options(create_default_info, options),
    }
    return cast("Decorator[PayloadT]", _decorate(None, Kind.EVENT_DATA, policy, **fields))


ModelT = TypeVar("ModelT")


@overload
def message_handler(
    *,
    message_type: None,
    create_default_info: Callable[..., ExecutionInfo] | None = None,
    options: HandlerExecutionOptions | None = None,
    timeout: timedelta | None = None,
    concurrency: int | None = None,
    dead_letter_topic: str | None = None,
) -> Decorator[bytes]: ...
@overload
def message_handler(
    *,
    message_type: type[ModelT] | Callable[[bytes], ModelT],
    create_default_info: Callable[..., ExecutionInfo] | None = None,
    options: HandlerExecutionOptions | None = None,
    timeout: timedelta | None = None,
    concurrency: int | None = None,
    dead_letter_topic: str | None = None,
) -> Decorator[ModelT]: ...
def message_handler(
    function: None = None,
    /,
    *,
    message_type: Any = _NOT_GIVEN,
    create_default_info: Callable[..., ExecutionInfo] | None = None,
    options: HandlerExecutionOptions | None = None,
    timeout: timedelta | None = None,
    concurrency: int | None = None,
    dead_letter_topic: str | None = None,
) -> Any:
    """Make a task that gets the parsed data of a Pub/Sub message.

    Args:
        message_type: a pydantic model, a dataclass or a type such as list[int] (JSON data), a
            protobuf message class (binary data), any function `(bytes) -> T`, or None for bytes.
        create_default_info: makes the report when the function returns none; called with
            `execution=` an ExecutionResult.
        options: replacements for the log line and the HTTP response.
        timeout: from arrival to answer; default 5 minutes. The subscription's ack deadline
            should be at least as long.
        concurrency: executions at a time in one process.
        dead_letter_topic: overrides UCAM_FAAS_DEAD_LETTER_TOPIC.

    Raises:
        TaskDefinitionError: an argument can never work.

    >>> @message_handler(message_type=int)
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
    policy = Policy(timeout=timeout, concurrency=concurrency, dead_letter_topic=dead_letter_topic)
    fields = {
        "parse": message_parser(message_type),
        "message_type": message_type,
        "create_default_info": create_default_info,
        "options": _checked_options(create_default_info, options),
    }
    return _decorate(None, Kind.MESSAGE, policy, **fields)


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
    policy = Policy(timeout=timeout, concurrency=concurrency)
    fields = {"path": path, "methods": tuple(method.upper() for method in methods)}
    return cast("Decorator[Request]", _decorate(None, Kind.HTTP, policy, **fields))


def _checked_options(create_default_info: Any, options: Any) -> HandlerExecutionOptions:
    signature = "(*, execution: ExecutionResult) -> ExecutionInfo"
    check_function("create_default_info", create_default_info, signature)
    if options is not None and not isinstance(options, HandlerExecutionOptions):
        raise TaskDefinitionError(f"options={options!r}: expected HandlerExecutionOptions(…).")
    return options or HandlerExecutionOptions()


def _decorate(function: Any, kind: Kind, policy: Policy, **fields: Any) -> Any:
    """Return the task function, or the decorator that makes it when there is no function yet."""
    if function is not None:
        return _make(function, kind, policy, fields)
    return lambda function: _make(function, kind, policy, fields)


def _make(function: Any, kind: Kind, policy: Policy, fields: dict[str, Any]) -> Any:
    name = _checked_name(function)
    task = Task(
        name=name,
        module=function.__module__ or "__main__",
        module_spec=function.__globals__.get("__spec__"),
        kind=kind,
        function=function,
        policy=policy,
        **fields,
    )

    @functools.wraps(function)
    def task_function(*args: Any, **kwargs: Any) -> Any:
        if len(args) == 1 and not kwargs:
            if _is_flask_request(args[0], task):
                # By name, as with any entry point: front doors are above this module.
                door = importlib.import_module("ucam_faas.serving.functions_framework")
                return door.respond(task, args[0])
            if _is_foreign_event(args[0], task):
                return _execute(args[0])
        return function(*args, **kwargs)

    def _conclude(event: AnyCloudEvent) -> Conclusion:
        envelope = envelopes.of_cloud_event(event)
        return execute(Execution(task, envelope, runtime.of_environment()))

    def _execute(event: AnyCloudEvent) -> ExecutionInfo:
        found = _conclude(event)
        if found.info.execution.status is ExecutionStatus.COMPLETED:
            return found.info
        raise ExecutionAbortedException(
            f"The execution of task {name!r} was aborted", execution_info=found.info
        ) from found.error

    attributes: Any = task_function
    attributes.task = task
    attributes.execute = _execute
    attributes.execute_for_result = lambda event: _conclude(event).info
    attributes.__ucam_wrapped__ = function
    registry.register(task, function.__qualname__)
    _tell_functions_framework(name)
    return task_function


def _checked_name(function: Any) -> str:
    if registry.task_of(function) is not None:
        raise TaskDefinitionError(
            f"{function.__name__!r} is a task already: use one decorator for one function."
        )
    if not inspect.isfunction(function):
        raise TaskDefinitionError(
            f"{function!r} cannot be a task: expected a function. A decorator with options is "
            "called with keyword arguments only, such as @message_handler(message_type=MyModel)."
        )
    if function.__name__ == "<lambda>":
        raise TaskDefinitionError("A lambda cannot be a task: it has no name. Use def.")
    inner = inspect.unwrap(function)
    if inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner):
        raise TaskDefinitionError(
            f"{function.__name__!r} cannot be a task: it yields, so calling it would run nothing."
        )
    try:
        inspect.signature(function).bind(None)
    except TypeError as error:
        raise TaskDefinitionError(
            f"{function.__name__}{inspect.signature(function)} cannot be a task: it is called "
            "with one argument, the payload."
        ) from error
    if function.__name__ in RESERVED_NAMES:
        raise TaskDefinitionError(
            f"A task cannot be named {function.__name__!r}: the path /{function.__name__} answers "
            "health checks."
        )
    return str(function.__name__)


RESERVED_NAMES = frozenset({"healthy", "status"})


def _is_flask_request(value: Any, task: Task) -> bool:
    """Tell whether functions-framework calls: with a Flask request, for this target."""
    flask = sys.modules.get("flask")
    if flask is None or not isinstance(value, flask.Request):
        return False
    return task.kind is not Kind.HTTP or (
        # An HTTP task's own argument is a Flask request, too.
        "functions_framework" in sys.modules and os.environ.get("FUNCTION_TARGET") == task.name
    )


def _is_foreign_event(value: Any, task: Task) -> bool:
    """Tell whether the value is a CloudEvent that the function itself does not take."""
    if task.kind in (Kind.CLOUD_EVENT, Kind.HTTP):
        return False
    cloudevents = sys.modules.get("cloudevents.abstract")
    return cloudevents is not None and isinstance(value, cloudevents.CloudEvent)


def _tell_functions_framework(name: str) -> None:
    """Ask functions-framework, if it loads this module, for the request as it is."""
    if "functions_framework" in sys.modules:
        functions = importlib.import_module("functions_framework._function_registry")
        functions.REGISTRY_MAP[name] = functions.HTTP_SIGNATURE_TYPE
