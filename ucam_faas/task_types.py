"""The types of decorated functions and of decorators, as type checkers and editors show them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar, Unpack, overload

from ucam_faas.events.execution_info import ExecutionInfo
from ucam_faas.tasks.task import Task

if TYPE_CHECKING:
    from cloudevents.abstract import CloudEvent as AnyCloudEvent

    from ucam_faas.jobs.handle import Job
    from ucam_faas.jobs.send_options import BatchOptions, SendOptions
    from ucam_faas.sending.batches import Batch, BatchEnded
    from ucam_faas.tasks.message_batches import BatchMessage

PayloadT = TypeVar("PayloadT")
PayloadT_contra = TypeVar("PayloadT_contra", contravariant=True)
ResultT = TypeVar("ResultT")
InfoT = TypeVar("InfoT", bound=ExecutionInfo)
ResultT_co = TypeVar("ResultT_co", covariant=True)
ParametersT = ParamSpec("ParametersT")


class TaskFunction(Protocol[ParametersT, ResultT_co]):
    """A decorated function."""

    __name__: str
    task: Task

    def __call__(self, *args: ParametersT.args, **kwargs: ParametersT.kwargs) -> ResultT_co:
        """Run the function itself."""

    def execute(self, cloud_event: AnyCloudEvent) -> ExecutionInfo:
        """Run the pipeline on an event; an aborted run raises ExecutionAbortedException."""

    def execute_for_result(self, cloud_event: AnyCloudEvent) -> ExecutionInfo:
        """Run the pipeline on an event, and return the report, also of a failed run."""


class PayloadReader(Protocol[PayloadT_contra]):
    """Takes payloads by messages."""

    def publish(
        self,
        payload: PayloadT_contra,
        *,
        attributes: Mapping[str, str] | None = None,
        ordering_key: str = "",
    ) -> str:
        """Publish a payload to the task's topic, and return the message's id.

        It is serialised by the task's message type, and checked by the task's parser. The call
        waits for Pub/Sub: in an async task, await `asyncio.to_thread(other_task.publish, payload)`.

        Args:
            payload: a value of the task's message type; bytes are taken as the message's data.
            attributes: the message's attributes.
            ordering_key: messages with the same key are delivered in order.

        Raises:
            TypeError: the payload can't be serialised for the task.
            ValueError: the task's parser rejects the payload, or Pub/Sub would the message.
            TaskDefinitionError: the task has no topic.
            PublishError: it was not published, or it isn't known whether it was.
        """


class PayloadReceiver(PayloadReader[PayloadT_contra], Protocol[PayloadT_contra, ResultT_co]):
    """Takes payloads by messages and jobs."""

    @overload
    def send(
        self: PayloadReceiver[PayloadT_contra, Coroutine[Any, Any, ResultT]],
        payload: PayloadT_contra,
        **options: Unpack[SendOptions],
    ) -> Job[ResultT]: ...
    @overload
    def send(self, payload: PayloadT_contra, **options: Unpack[SendOptions]) -> Job[ResultT_co]: ...
    def send(self, payload: PayloadT_contra, **options: Any) -> Job[Any]:
        """Send a payload to this task alone, and return the job.

        Args:
            payload: as `publish` takes it.
            options: see `ucam_faas.jobs.send_options.SendOptions`.

        Raises:
            TypeError: the payload can't be serialised for the task, or an option has another type.
            ValueError: the task's parser rejects the payload, or an option can't be used.
            TaskDefinitionError: the task gets no messages.
            JobConflictError: the id is that of another payload.
            QueueFull: as many jobs wait as the task's max_pending.
            NoJobStoreError: an option needs a store, and there is none.
            JobStoreError: it isn't known whether the job was stored.
        """

    @overload
    async def send_async(
        self: PayloadReceiver[PayloadT_contra, Coroutine[Any, Any, ResultT]],
        payload: PayloadT_contra,
        **options: Unpack[SendOptions],
    ) -> Job[ResultT]: ...
    @overload
    async def send_async(
        self, payload: PayloadT_contra, **options: Unpack[SendOptions]
    ) -> Job[ResultT_co]: ...
    async def send_async(self, payload: PayloadT_contra, **options: Any) -> Job[Any]:
        """Send a payload to this task alone; see `send`."""

    @overload
    def send_many(
        self: PayloadReceiver[PayloadT_contra, Coroutine[Any, Any, ResultT]],
        payloads: Iterable[PayloadT_contra],
        *,
        id: Callable[[Any], object] | None = None,
        **options: Unpack[BatchOptions],
    ) -> Sequence[Job[ResultT]]: ...
    @overload
    def send_many(
        self: PayloadReceiver[PayloadT_contra, Coroutine[Any, Any, ResultT]],
        payloads: Iterable[PayloadT_contra],
        *,
        then: PayloadTask[BatchEnded, Any] | str,
        id: Callable[[Any], object] | None = None,
        **options: Unpack[BatchOptions],
    ) -> Batch[ResultT]: ...
    @overload
    def send_many(
        self,
        payloads: Iterable[PayloadT_contra],
        *,
        id: Callable[[Any], object] | None = None,
        **options: Unpack[BatchOptions],
    ) -> Sequence[Job[ResultT_co]]: ...
    @overload
    def send_many(
        self,
        payloads: Iterable[PayloadT_contra],
        *,
        then: PayloadTask[BatchEnded, Any] | str,
        id: Callable[[Any], object] | None = None,
        **options: Unpack[BatchOptions],
    ) -> Batch[ResultT_co]: ...
    def send_many(self, payloads: Iterable[PayloadT_contra], **options: Any) -> Sequence[Job[Any]]:
        """Send a job for each payload, in batches, and return them in order.

        Args:
            payloads: as `publish` takes them.
            then: a task, or its name, that gets a `BatchEnded` when all of them have ended.
            id: from a payload to the id of its job: then the same call again sends only those that
                weren't sent.
            options: of each job; see `ucam_faas.jobs.send_options.BatchOptions`.

        Raises:
            BatchSendError: some weren't sent, and the others were; it lists them.
            JobError: and others, see `send`; none was sent.
        """

    @overload
    async def send_many_async(
        self: PayloadReceiver[PayloadT_contra, Coroutine[Any, Any, ResultT]],
        payloads: Iterable[PayloadT_contra],
        *,
        id: Callable[[Any], object] | None = None,
        **options: Unpack[BatchOptions],
    ) -> Sequence[Job[ResultT]]: ...
    @overload
    async def send_many_async(
        self: PayloadReceiver[PayloadT_contra, Coroutine[Any, Any, ResultT]],
        payloads: Iterable[PayloadT_contra],
        *,
        then: PayloadTask[BatchEnded, Any] | str,
        id: Callable[[Any], object] | None = None,
        **options: Unpack[BatchOptions],
    ) -> Batch[ResultT]: ...
    @overload
    async def send_many_async(
        self,
        payloads: Iterable[PayloadT_contra],
        *,
        id: Callable[[Any], object] | None = None,
        **options: Unpack[BatchOptions],
    ) -> Sequence[Job[ResultT_co]]: ...
    @overload
    async def send_many_async(
        self,
        payloads: Iterable[PayloadT_contra],
        *,
        then: PayloadTask[BatchEnded, Any] | str,
        id: Callable[[Any], object] | None = None,
        **options: Unpack[BatchOptions],
    ) -> Batch[ResultT_co]: ...
    async def send_many_async(
        self, payloads: Iterable[PayloadT_contra], **options: Any
    ) -> Sequence[Job[Any]]:
        """Send a job for each payload; see `send_many`."""


class PayloadTask(
    PayloadReceiver[PayloadT_contra, ResultT_co],
    TaskFunction[[PayloadT_contra], ResultT_co],
    Protocol[PayloadT_contra, ResultT_co],
):
    """A decorated function of a payload."""

    @overload
    def execute(self: PayloadTask[Any, InfoT], cloud_event: AnyCloudEvent) -> InfoT: ...
    @overload
    def execute(self, cloud_event: AnyCloudEvent) -> ExecutionInfo: ...
    def execute(self, cloud_event: AnyCloudEvent) -> ExecutionInfo:
        """Run the pipeline on an event; an aborted run raises ExecutionAbortedException."""


class DependentTask(
    PayloadReceiver[PayloadT_contra, ResultT_co],
    TaskFunction[Concatenate[PayloadT_contra, ParametersT], ResultT_co],
    Protocol[PayloadT_contra, ParametersT, ResultT_co],
):
    """A decorated function of a payload, and of parameters with markers such as `Depends`."""

    @overload
    def execute(self: DependentTask[Any, ..., InfoT], cloud_event: AnyCloudEvent) -> InfoT: ...
    @overload
    def execute(self, cloud_event: AnyCloudEvent) -> ExecutionInfo: ...
    def execute(self, cloud_event: AnyCloudEvent) -> ExecutionInfo:
        """Run the pipeline on an event; an aborted run raises ExecutionAbortedException."""


class PlainTask(TaskFunction[[], ResultT_co], Protocol[ResultT_co]):
    """A decorated function without a parameter."""

    @overload
    def execute(self: PlainTask[InfoT], cloud_event: AnyCloudEvent) -> InfoT: ...
    @overload
    def execute(self, cloud_event: AnyCloudEvent) -> ExecutionInfo: ...
    def execute(self, cloud_event: AnyCloudEvent) -> ExecutionInfo:
        """Run the pipeline on an event; an aborted run raises ExecutionAbortedException."""

    def publish(
        self, *, attributes: Mapping[str, str] | None = None, ordering_key: str = ""
    ) -> str:
        """Publish a message without data to the task's topic, and return its id."""

    @overload
    def send(
        self: PlainTask[Coroutine[Any, Any, ResultT]], **options: Unpack[SendOptions]
    ) -> Job[ResultT]: ...
    @overload
    def send(self, **options: Unpack[SendOptions]) -> Job[ResultT_co]: ...
    def send(self, **options: Any) -> Job[Any]:
        """Send a job without a payload to this task alone, and return it; see `PayloadTask`."""

    @overload
    async def send_async(
        self: PlainTask[Coroutine[Any, Any, ResultT]], **options: Unpack[SendOptions]
    ) -> Job[ResultT]: ...
    @overload
    async def send_async(self, **options: Unpack[SendOptions]) -> Job[ResultT_co]: ...
    async def send_async(self, **options: Any) -> Job[Any]:
        """Send a job without a payload to this task alone; see `send`."""


class BatchTask(
    PayloadReader[PayloadT],
    TaskFunction[["list[BatchMessage[PayloadT]]"], ResultT_co],
    Protocol[PayloadT, ResultT_co],
):
    """A decorated function of a list of messages."""


class DependentBatchTask(
    PayloadReader[PayloadT_contra],
    TaskFunction[Concatenate[Any, ParametersT], ResultT_co],
    Protocol[PayloadT_contra, ParametersT, ResultT_co],
):
    """A decorated function of a list of messages, and of parameters with markers."""


CloudEventHandlerExecutorFn = PayloadTask
"""The name in 1.0."""


class Decorator(Protocol[PayloadT]):
    """Makes a task of a function that takes `PayloadT`, or nothing, and parameters with markers."""

    @overload
    def __call__(
        self, function: Callable[[PayloadT], ResultT], /
    ) -> PayloadTask[PayloadT, ResultT]: ...
    @overload
    def __call__(self, function: Callable[[], ResultT], /) -> PlainTask[ResultT]: ...
    @overload
    def __call__(  # type: ignore[overload-cannot-match]  # it is, for functions of more parameters
        self, function: Callable[Concatenate[PayloadT, ParametersT], ResultT], /
    ) -> DependentTask[PayloadT, ParametersT, ResultT]: ...


class AnyDecorator(Protocol):
    """Makes a task of a function that takes any payload, or nothing; see `Decorator`."""

    @overload
    def __call__(
        self, function: Callable[[PayloadT], ResultT], /
    ) -> PayloadTask[PayloadT, ResultT]: ...
    @overload
    def __call__(self, function: Callable[[], ResultT], /) -> PlainTask[ResultT]: ...
    @overload
    def __call__(
        self, function: Callable[Concatenate[PayloadT, ParametersT], ResultT], /
    ) -> DependentTask[PayloadT, ParametersT, ResultT]: ...


class BatchDecorator(Protocol[PayloadT]):
    """Makes a task of a function that takes a list of messages, and parameters with markers."""

    @overload
    def __call__(
        self, function: Callable[[list[BatchMessage[PayloadT]]], ResultT], /
    ) -> BatchTask[PayloadT, ResultT]: ...
    @overload
    def __call__(  # type: ignore[overload-cannot-match]  # it is, for functions of more parameters
        self, function: Callable[Concatenate[list[BatchMessage[PayloadT]], ParametersT], ResultT], /
    ) -> DependentBatchTask[PayloadT, ParametersT, ResultT]: ...


class AnyBatchDecorator(Protocol):
    """Makes a task of a function that takes a list of any messages; see `BatchDecorator`."""

    @overload
    def __call__(
        self, function: Callable[[list[BatchMessage[PayloadT]]], ResultT], /
    ) -> BatchTask[PayloadT, ResultT]: ...
    @overload
    def __call__(
        self, function: Callable[Concatenate[list[BatchMessage[PayloadT]], ParametersT], ResultT], /
    ) -> DependentBatchTask[PayloadT, ParametersT, ResultT]: ...


class RouteDecorator(Protocol):
    """Makes a task of a function of a request and of the values that a path captures."""

    def __call__(
        self, function: Callable[ParametersT, ResultT], /
    ) -> TaskFunction[ParametersT, ResultT]:
        """Decorate."""
