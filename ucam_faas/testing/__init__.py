"""Testing tasks without a server, and their HTTP side without a socket.

>>> import ucam_faas
>>> from ucam_faas import testing
>>> @ucam_faas.message_handler(message_type=None)
... def measure(data: bytes) -> dict[str, int]:
...     return {"bytes": len(data)}
>>> testing.run(measure, b"four").result
{'bytes': 4}
>>> with testing.serve(measure) as client:
...     client.push("measure", b"four").status
200
"""

from __future__ import annotations

import heapq
import itertools
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import BaseModel

from ucam_faas.clock import Clock, SystemClock
from ucam_faas.config import Settings
from ucam_faas.events import envelopes
from ucam_faas.events.execution_info import ExecutionInfo
from ucam_faas.events.messages import PUBSUB_MSG_PUBLISHED_CLOUD_EVENT_TYPE, PubsubMessage
from ucam_faas.exceptions import UCAMFAASCouldNotLoadTarget
from ucam_faas.execution.execution import Conclusion, Execution
from ucam_faas.execution.pipeline import execute
from ucam_faas.execution.runtime import Runtime
from ucam_faas.publishing import Publisher
from ucam_faas.publishing.memory import MemoryPublisher
from ucam_faas.serving.app import App
from ucam_faas.serving.background import BackgroundLoop, call
from ucam_faas.tasks import environment, registry, startup
from ucam_faas.tasks.task import Kind, Task
from ucam_faas.testing.of_1_0 import CreateEventAppClientFn, cloud_event_factory

if TYPE_CHECKING:
    from cloudevents.http import CloudEvent
    from polyfactory.factories.pydantic_factory import ModelFactory

    class CloudEventFactory(ModelFactory[Any]):
        """Makes CloudEvents of random attributes and data, as in 1.0; see `make_cloud_event`."""


__all__ = [
    "Client",
    "ClientFactory",
    "ClientResponse",
    "CreateEventAppClientFn",
    "ManualClock",
    "MemoryPublisher",
    "Push",
    "conclude",
    "make_cloud_event",
    "make_message",
    "make_message_event",
    "make_push",
    "run",
    "serve",
]

SUBSCRIPTION = "projects/test-project/subscriptions/test-subscription"
PUBLISH_TIME = datetime(2026, 1, 31, 9, 0, tzinfo=UTC)
_ids = itertools.count(1)


def make_message(
    data: Any = b"",
    *,
    attributes: Mapping[str, str] | None = None,
    message_id: str | None = None,
    publish_time: datetime = PUBLISH_TIME,
    ordering_key: str = "",
) -> PubsubMessage:
    """Make a Pub/Sub message.

    Args:
        data: bytes; a str, as UTF-8; a protobuf message, in its binary form; or a pydantic model
            or other JSON value, as JSON.
    """
    return PubsubMessage(
        data=to_bytes(data),
        attributes=dict(attributes or {}),
        message_id=message_id or str(next(_ids)),
        publish_time=publish_time,
        ordering_key=ordering_key,
    )


def to_bytes(data: Any) -> bytes:
    """Return message data in its wire form; see `make_message`."""
    if isinstance(data, bytes):
        return data
    if isinstance(data, str):
        return data.encode()
    if isinstance(data, BaseModel):
        return data.model_dump_json().encode()
    if hasattr(data, "SerializeToString"):
        return bytes(data.SerializeToString())
    return json.dumps(data).encode()


def make_cloud_event(
    data: Any = None,
    *,
    type: str = "com.example.test",
    source: str = "//example.com/test",
    **attributes: str,
) -> CloudEvent:
    """Make a CloudEvent; `id`, `subject`, `time` and extensions are keyword arguments."""
    from cloudevents.http import CloudEvent

    return CloudEvent({"type": type, "source": source, **attributes}, data)


def make_message_event(message: Any = b"", *, subscription: str = SUBSCRIPTION) -> CloudEvent:
    """Make the CloudEvent that Eventarc delivers for a message, or for message data."""
    return make_cloud_event(
        _wrapped(_as_message(message), subscription, None),
        type=PUBSUB_MSG_PUBLISHED_CLOUD_EVENT_TYPE,
        source="//pubsub.googleapis.com/projects/test-project/topics/test-topic",
    )


@dataclass(frozen=True, slots=True)
class Push:
    """The body and headers of an HTTP request that delivers a message."""

    body: bytes
    headers: dict[str, str]


def make_push(
    message: Any = b"",
    *,
    subscription: str = SUBSCRIPTION,
    delivery_attempt: int | None = None,
    wrapped: bool = True,
) -> Push:
    """Make the request of a push subscription for a message, or for message data.

    Args:
        delivery_attempt: sent by subscriptions with a dead-letter policy only.
        wrapped: False: payload unwrapping, with metadata as headers.
    """
    made = _as_message(message)
    if wrapped:
        body = json.dumps(_wrapped(made, subscription, delivery_attempt)).encode()
        return Push(body, {"Content-Type": "application/json"})
    headers = {
        "x-goog-pubsub-subscription-name": subscription,
        "x-goog-pubsub-message-id": made.message_id,
        **made.attributes,
    }
    if made.publish_time is not None:
        headers["x-goog-pubsub-publish-time"] = made.publish_time.isoformat()
    if delivery_attempt is not None:
        headers["x-goog-pubsub-delivery-attempt"] = str(delivery_attempt)
    if made.ordering_key:
        headers["x-goog-pubsub-ordering-key"] = made.ordering_key
    return Push(made.data, headers)


def _as_message(message: Any) -> PubsubMessage:
    return message if isinstance(message, PubsubMessage) else make_message(message)


def _wrapped(message: PubsubMessage, subscription: str, attempt: int | None) -> dict[str, Any]:
    found = message.model_dump(mode="json", exclude={"type"})
    found |= {"messageId": found["message_id"], "publishTime": found["publish_time"]}
    ordering_key = found.pop("ordering_key")
    if ordering_key:
        found["orderingKey"] = ordering_key
    push: dict[str, Any] = {"message": found, "subscription": subscription}
    return push if attempt is None else {**push, "deliveryAttempt": attempt}


def run(task: Any, event: Any = b"") -> ExecutionInfo:
    """Run a task on an event, to its report; nothing is raised for a failed run.

    The report of a failed run has the exception in `execution.exception`, and raises it as the
    cause where a test asks for the `result`. `conclude` tells the outcome, too.

    Args:
        task: a decorated function.
        event: a PubsubMessage, a CloudEvent, or message data as `make_message` takes it; for a
            raw task its body.
    """
    return conclude(task, event).info


def conclude(task: Any, event: Any = b"", *, runtime: Runtime | None = None) -> Conclusion:
    """Run a task on an event, to its conclusion: `outcome`, `info`, `value` and `error`."""
    found = _task(task)
    if found.kind is Kind.HTTP:
        raise UCAMFAASCouldNotLoadTarget(
            f"{found.name!r} is an HTTP task and needs a request: use serve(), or call it."
        )
    if found.kind is Kind.RAW:
        envelope = envelopes.raw(to_bytes(event), {})
    elif hasattr(event, "get_attributes"):
        envelope = envelopes.of_cloud_event(event)
    else:
        push = make_push(event)
        envelope = envelopes.decode(push.body, {"content-type": "application/json"})
    execution = Execution(found, envelope, runtime or Runtime(Settings(), SystemClock()))
    with environment.HERE.during([found]):
        return execute(execution)


def _task(function: Any) -> Task:
    if isinstance(function, Task):
        return function
    found = registry.task_of(function)
    if found is None:
        raise UCAMFAASCouldNotLoadTarget(f"{function!r} is not a task: decorate it.")
    return found


class ClientFactory(Protocol):
    """The type of the fixture `ucam_faas_client`."""

    def __call__(
        self,
        *tasks: Any,
        settings: Settings | None = None,
        clock: Clock | None = None,
        publisher: Publisher | None = None,
    ) -> Client:
        """Serve tasks until the test ends; see `serve`."""


@dataclass(frozen=True, slots=True)
class ClientResponse:
    """An answer; names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


class Client:
    """Makes requests to the application that would be served, in this process."""

    def __init__(self, app: App, loop: BackgroundLoop) -> None:
        self.app = app
        self.loop = loop

    def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | str = b"",
        json: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> ClientResponse:
        """Make a request; `path` may hold a query."""
        sent = {"host": "localhost", **(headers or {})}
        if json is not None:
            body = to_bytes(json) if not isinstance(json, str) else json.encode()
            sent.setdefault("content-type", "application/json")
        content = to_bytes(body)
        sent["content-length"] = str(len(content))
        path, _, query = path.partition("?")
        found = call(
            self.loop,
            self.app,
            method,
            path,
            headers=sent,
            body=content,
            query=query.encode(),
        )
        return ClientResponse(found.status, dict(found.headers), found.body)

    def get(self, path: str, **options: Any) -> ClientResponse:
        """Make a GET request."""
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> ClientResponse:
        """Make a POST request."""
        return self.request("POST", path, **options)

    def push(self, task: str, message: Any = b"", **options: Any) -> ClientResponse:
        """Deliver a message, or message data, as a push subscription does; see `make_push`."""
        made = make_push(message, **options)
        return self.post(f"/{task}", body=made.body, headers=made.headers)


@contextmanager
def serve(
    *tasks: Any,
    settings: Settings | None = None,
    clock: Clock | None = None,
    publisher: Publisher | None = None,
) -> Iterator[Client]:
    """Run the start-up code of tasks, and serve them in this process, without a socket.

    Args:
        tasks: decorated functions, their tasks, or one source (a path or a module name).
        settings: default: the defaults, whatever the environment says.
        clock: default: the system's.
        publisher: takes dead letters; default: none.

    The variables that tasks declare with `environment=` are set meanwhile, unless they are set
    already.

    Raises:
        UCAMFAASCouldNotLoadTarget: a task cannot be served, or its start-up code fails.
        ConfigurationError: two tasks declare different values of one variable.
    """
    if len(tasks) == 1 and isinstance(tasks[0], str | Path):
        found = registry.load(str(tasks[0]))
    else:
        found = [_task(task) for task in tasks]
    runtime = Runtime(settings or Settings(), clock or SystemClock(), publisher)
    app, loop = App(found, runtime), BackgroundLoop()
    try:
        with environment.HERE.during(found):
            loop.run(lambda: startup.run(found, runtime.clock))
            yield Client(app, loop)
    finally:
        app.service.runner.close()
        loop.close()


@dataclass(order=True)
class _Due:
    at: float
    number: int
    callback: Callable[[], None] = field(compare=False)
    cancelled: bool = field(default=False, compare=False)

    def cancel(self) -> None:
        self.cancelled = True


class ManualClock:
    """A clock that stands still until `advance` is called."""

    def __init__(self, start: datetime = PUBLISH_TIME) -> None:
        self._start = start
        self._elapsed = 0.0
        self._due: list[_Due] = []
        self._numbers = itertools.count()
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """Return the wall-clock time."""
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        """Return the seconds since the start."""
        return self._elapsed

    def call_later(self, delay_seconds: float, callback: Callable[[], None]) -> _Due:
        """Call `callback` when the clock has been advanced that far."""
        with self._lock:
            timer = _Due(self._elapsed + delay_seconds, next(self._numbers), callback)
            heapq.heappush(self._due, timer)
        return timer

    def advance(self, by: timedelta) -> None:
        """Let time pass, and call in order what becomes due; call it where the timers belong."""
        until = self._elapsed + by.total_seconds()
        while (timer := self._next_due(until)) is not None:
            if not timer.cancelled:
                timer.callback()
        self._elapsed = max(self._elapsed, until)

    def _next_due(self, until: float) -> _Due | None:
        with self._lock:
            if not self._due or self._due[0].at > until:
                return None
            timer = heapq.heappop(self._due)
            self._elapsed = max(self._elapsed, timer.at)
            return timer


def __getattr__(name: str) -> Any:
    if name == "CloudEventFactory":  # it needs an extra
        return cloud_event_factory()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
