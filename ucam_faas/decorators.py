"""The decorators that make tasks out of functions."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, Unpack, cast, overload

from ucam_faas.exceptions import TaskDefinitionError
from ucam_faas.function import make
from ucam_faas.task_types import (
    AnyBatchDecorator,
    AnyDecorator,
    BatchDecorator,
    BatchTask,
    Decorator,
    DependentBatchTask,
    DependentTask,
    PayloadTask,
    PlainTask,
    RouteDecorator,
)
from ucam_faas.tasks.annotations import check_agrees, check_parsed, message_type_of
from ucam_faas.tasks.cloud_event_payloads import payload_parser
from ucam_faas.tasks.option_table import (
    BatchOptions,
    HandlerOptions,
    HttpOptions,
    TaskOptions,
)
from ucam_faas.tasks.options import TriggerOf, check_options, task_fields
from ucam_faas.tasks.parsers import check_event_parser, message_parser
from ucam_faas.tasks.payload_types import plain
from ucam_faas.tasks.task import Kind

if TYPE_CHECKING:
    from ucam_faas.tasks.message_batches import BatchMessage

_NOT_GIVEN: Any = object()
_Read = Callable[[Any], Mapping[str, Any]]

ModelT = TypeVar("ModelT")
PayloadT = TypeVar("PayloadT")
ResultT = TypeVar("ResultT")
ParametersT = ParamSpec("ParametersT")


def _needs(
    option: str, example: str
) -> Callable[[Callable[ParametersT, ResultT]], Callable[ParametersT, ResultT]]:
    """Make a decorator say how it is written when it is used without an option that it needs."""

    def wrap(method: Callable[ParametersT, ResultT]) -> Callable[ParametersT, ResultT]:
        @functools.wraps(method)
        def checked(*args: ParametersT.args, **kwargs: ParametersT.kwargs) -> ResultT:
            if len(args) > 1 or option not in kwargs:
                name = f"@ucam_faas.{method.__name__}"
                raise TaskDefinitionError(f"{name} needs {option}=: write {name}({example}).")
            return method(*args, **kwargs)

        return checked

    return wrap


class Decorators:
    """The decorators. Those of a TaskCollection have its defaults."""

    @overload
    def raw_event(self, function: Callable[[bytes], ResultT], /) -> PayloadTask[bytes, ResultT]: ...
    @overload
    def raw_event(self, function: Callable[[], ResultT], /) -> PlainTask[ResultT]: ...
    @overload
    def raw_event(  # type: ignore[overload-cannot-match]  # it is, for functions of more parameters
        self, function: Callable[Concatenate[bytes, ParametersT], ResultT], /
    ) -> DependentTask[bytes, ParametersT, ResultT]: ...
    @overload
    def raw_event(self, /, **options: Unpack[TaskOptions]) -> Decorator[bytes]: ...
    def raw_event(self, function: Any = None, /, **options: Any) -> Any:
        """Make a task that gets the request's body as bytes; what it returns is the response.

        Its options are in `TaskOptions`: those of `message_handler`, except `message_type`,
        `create_default_info` and `options`.

        >>> @raw_event
        ... def shout(body: bytes) -> str:
        ...     return body.decode().upper()
        >>> shout(b"hello")
        'HELLO'
        """
        decorate = self._decorator(Kind.RAW, options)
        return decorate if function is None else decorate(function)

    @overload
    def cloud_event(
        self, function: Callable[[PayloadT], ResultT], /
    ) -> PayloadTask[PayloadT, ResultT]: ...
    @overload
    def cloud_event(self, function: Callable[[], ResultT], /) -> PlainTask[ResultT]: ...
    @overload
    def cloud_event(
        self, function: Callable[Concatenate[PayloadT, ParametersT], ResultT], /
    ) -> DependentTask[PayloadT, ParametersT, ResultT]: ...
    @overload
    def cloud_event(self, /, **options: Unpack[TaskOptions]) -> AnyDecorator: ...
    def cloud_event(self, function: Any = None, /, **options: Any) -> Any:
        """Make a task that gets a CloudEvent of any type, or its data: the annotation decides.

        A function whose parameter is annotated with `CloudEvent` gets the event; any other gets the
        event's data, such as the value of its JSON.

        Its options are in `TaskOptions`: those of `message_handler`, except `message_type`,
        `create_default_info` and `options`.

        >>> @cloud_event
        ... def count(data: list[str]) -> int:
        ...     return len(data)
        >>> count(["a", "b"])
        2
        """
        decorate = self._decorator(
            Kind.CLOUD_EVENT, options, lambda task: {"parse": payload_parser(task)}
        )
        return decorate if function is None else decorate(function)

    @_needs("event_data_parser", "event_data_parser=CloudEventType(…)")
    def cloud_event_handler(
        self, *, event_data_parser: Callable[[Any], PayloadT], **options: Unpack[HandlerOptions]
    ) -> Decorator[PayloadT]:
        """Make a task that gets what a parser makes of a CloudEvent.

        Args:
            event_data_parser: from CloudEvent to payload; a `CloudEventType`, or any function.
            options: the options of `message_handler`, without `message_type`.

        Raises:
            TaskDefinitionError: an argument can never work.
        """

        def read(task: Any) -> dict[str, Any]:
            check_event_parser(event_data_parser)
            check_parsed(task, event_data_parser)
            return {"parse": event_data_parser}

        return cast("Decorator[PayloadT]", self._decorator(Kind.EVENT_DATA, options, read))

    @overload
    def message_handler(
        self, function: Callable[[PayloadT], ResultT], /
    ) -> PayloadTask[PayloadT, ResultT]: ...
    @overload
    def message_handler(self, function: Callable[[], ResultT], /) -> PlainTask[ResultT]: ...
    @overload
    def message_handler(
        self, function: Callable[Concatenate[PayloadT, ParametersT], ResultT], /
    ) -> DependentTask[PayloadT, ParametersT, ResultT]: ...
    @overload
    def message_handler(self, /, **options: Unpack[HandlerOptions]) -> AnyDecorator: ...
    @overload
    def message_handler(
        self, /, *, message_type: None, **options: Unpack[HandlerOptions]
    ) -> Decorator[bytes]: ...
    @overload
    def message_handler(
        self,
        /,
        *,
        message_type: type[ModelT] | Callable[[bytes], ModelT],
        **options: Unpack[HandlerOptions],
    ) -> Decorator[ModelT]: ...
    def message_handler(
        self, function: Any = None, /, *, message_type: Any = _NOT_GIVEN, **options: Any
    ) -> Any:
        """Make a task that gets the parsed data of a Pub/Sub message.

        Args:
            message_type: a pydantic model, a dataclass or a type such as list[int] (JSON data),
                a protobuf message class (binary data), any function `(bytes) -> T`, or None for
                bytes; default: the annotation of the function's parameter.
            options: the options in `HandlerOptions`, such as `topic`, `schedule`, `retry`,
                `timeout`, `memory` and `init`. Their limits are in docs/tasks.md.

        Raises:
            TaskDefinitionError: an argument can never work, or is outside Google's limits.

        >>> from ucam_faas import Schedule
        >>> @message_handler(schedule=Schedule("0 3 * * *", data=b"21"))
        ... def double(number: int) -> int:
        ...     return number * 2
        >>> double(21)
        42
        """

        def read(task: Any) -> dict[str, Any]:
            if message_type is _NOT_GIVEN:
                return _message_fields(message_type_of(task))
            fields = _message_fields(message_type)
            check_agrees(task, fields["message_type"])
            check_parsed(task, message_type)
            return fields

        decorate = self._decorator(Kind.MESSAGE, options, read)
        return decorate if function is None else decorate(function)

    @overload
    def batch_handler(
        self, function: Callable[[list[BatchMessage[PayloadT]]], ResultT], /
    ) -> BatchTask[PayloadT, ResultT]: ...
    @overload
    def batch_handler(
        self, function: Callable[Concatenate[list[BatchMessage[PayloadT]], ParametersT], ResultT], /
    ) -> DependentBatchTask[PayloadT, ParametersT, ResultT]: ...
    @overload
    def batch_handler(
        self,
        /,
        *,
        max_messages: int = ...,
        max_wait: timedelta = ...,
        **options: Unpack[BatchOptions],
    ) -> AnyBatchDecorator: ...
    @overload
    def batch_handler(
        self,
        /,
        *,
        message_type: None,
        max_messages: int = ...,
        max_wait: timedelta = ...,
        **options: Unpack[BatchOptions],
    ) -> BatchDecorator[bytes]: ...
    @overload
    def batch_handler(
        self,
        /,
        *,
        message_type: type[ModelT] | Callable[[bytes], ModelT],
        max_messages: int = ...,
        max_wait: timedelta = ...,
        **options: Unpack[BatchOptions],
    ) -> BatchDecorator[ModelT]: ...
    def batch_handler(
        self,
        function: Any = None,
        /,
        *,
        message_type: Any = _NOT_GIVEN,
        max_messages: Any = None,
        max_wait: Any = None,
        **options: Any,
    ) -> Any:
        """Make a task that gets a list of Pub/Sub messages at a time; a worker runs it.

        The list's elements are `BatchMessage`s. The function returns None if all of them succeeded,
        or a `BatchResult` with those that failed: only these are delivered again. An exception
        fails all.

        Args:
            message_type: of each message, as for `message_handler`; default: as the annotation
                says, `list[BatchMessage[Reading]]`.
            max_messages: in a list, 1 to 1000; default: 100.
            max_wait: from a list's first message until it is run with those that have come, 0 to 10
                minutes; default: a second.
            options: the options in `BatchOptions`. `timeout` is that of the whole list, and
                `concurrency` counts lists: 1 by default.

        Raises:
            TaskDefinitionError: an argument can never work, or is outside Google's limits.

        >>> from ucam_faas import BatchMessage, BatchResult, Retry
        >>> @batch_handler(max_messages=500)
        ... def store(readings: list[BatchMessage[int]]) -> BatchResult:
        ...     return BatchResult({each: Retry for each in readings if each.payload < 0})
        """
        limits = {"max_messages": max_messages, "max_wait": max_wait}
        said = {name: value for name, value in limits.items() if value is not None}

        def read(task: Any) -> dict[str, Any]:
            from ucam_faas.tasks.message_batches import BatchLimits, message_type_of_batch

            kind = message_type_of_batch(
                task, message_type, is_given=message_type is not _NOT_GIVEN
            )
            return {**_message_fields(kind), "batch": BatchLimits(**said)}

        decorate = self._decorator(Kind.MESSAGE, options, read, in_batches=True)
        return decorate if function is None else decorate(function)

    @_needs("path", 'path="/users/<id>"')
    def http(
        self,
        *,
        path: str,
        methods: Sequence[str] = ("GET",),
        **options: Unpack[HttpOptions],
    ) -> RouteDecorator:
        """Make a task that gets a Flask request and returns any Flask response value.

        The function's first parameter takes the request, and may be left out. The values that the
        path captures are arguments of their names.

        Args:
            path: the route in Flask's syntax, such as "/rooms/<int:room_id>".
            methods: the HTTP methods that it answers.
            options: the options in `HttpOptions`, such as `timeout` (at most an hour) and `memory`.

        Raises:
            TaskDefinitionError: an argument can never work; or the function's parameters aren't
                those that the path captures, or are annotated with other types.

        >>> @http(path="/rooms/<int:room_id>")
        ... def room(request, room_id: int) -> str:
        ...     return f"Room {room_id}"
        >>> room(None, 5)
        'Room 5'
        """

        def read(_: Any) -> dict[str, Any]:
            from ucam_faas.tasks.http_routes import route_fields  # HTTP tasks only

            return route_fields(path, methods)

        return cast("RouteDecorator", self._decorator(Kind.HTTP, options, read))

    def _decorator(
        self,
        kind: Kind,
        options: Mapping[str, Any],
        read: _Read = lambda _: {},
        *,
        in_batches: bool = False,
    ) -> Callable[[Any], Any]:
        """Return the decorator of one function. Its options are checked with the function, so that
        errors name the task.

        Args:
            read: from the function to the fields of its task that depend on it.
            in_batches: it takes lists of messages.
        """

        def chosen() -> tuple[TriggerOf, dict[str, Any]]:
            check_options("batch_handler" if in_batches else _NAMES[kind], options)
            return task_fields(kind, options, self._defaults(), in_batches=in_batches)

        def decorate(function: Any) -> Any:
            task_function = make(
                function, kind, options.get("name"), chosen, read, in_batches=in_batches
            )
            self._made(task_function, options)
            return task_function

        return decorate

    def _defaults(self) -> list[Mapping[str, Any]]:
        return []

    def _made(self, task_function: Any, options: Mapping[str, Any]) -> None:
        """Take note of a task."""


def _message_fields(message_type: Any) -> dict[str, Any]:
    kind = plain(message_type)
    return {"parse": message_parser(kind), "message_type": None if kind is bytes else kind}


_NAMES = {
    Kind.RAW: "raw_event",
    Kind.CLOUD_EVENT: "cloud_event",
    Kind.EVENT_DATA: "cloud_event_handler",
    Kind.MESSAGE: "message_handler",
    Kind.HTTP: "http",
}

_DECORATORS = Decorators()
raw_event = _DECORATORS.raw_event
cloud_event = _DECORATORS.cloud_event
cloud_event_handler = _DECORATORS.cloud_event_handler
message_handler = _DECORATORS.message_handler
batch_handler = _DECORATORS.batch_handler
http = _DECORATORS.http
