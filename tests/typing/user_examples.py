"""Users' code, with the types that they get: `test_typing.py` has mypy check it."""

import sqlite3
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import timedelta
from typing import Annotated, assert_type

from cloudevents.http import CloudEvent
from flask import Request
from google.protobuf.wrappers_pb2 import StringValue
from pydantic import BaseModel

import ucam_faas
from ucam_faas import (
    CLOUD_EVENT_CONTEXT,
    MESSAGE_CONTEXT,
    AbortedExecutionReason,
    AbortedExecutionResult,
    Attribute,
    BatchMessage,
    BatchResult,
    CloudEventType,
    DeadLetter,
    Depends,
    ExecutionAbortedException,
    ExecutionInfo,
    ExecutionResult,
    HandlerExecutionOptions,
    HttpResponseCreator,
    Ignore,
    JsonRepresentation,
    MessageHandlerExecutionInfo,
    MessageParserFn,
    PubsubMessage,
    Retry,
    RetryPolicy,
    Schedule,
    StructlogJsonExecutionResultLogger,
    TaskCollection,
    testing,
)
from ucam_faas.local_testing import EmbeddedCloud, EmbeddedPubsub, LocalCloudFactory
from ucam_faas.outcomes import Outcome
from ucam_faas.testing import (
    Client,
    ClientFactory,
    ClientResponse,
    ManualClock,
    MemoryPublisher,
    make_message_event,
    run,
    serve,
)


class Order(BaseModel):
    number: int


class Report(MessageHandlerExecutionInfo):
    stored: int = 0


# Names


@ucam_faas.message_handler(name="import-orders", message_type=Order)
def import_them(order: Order) -> int:
    return order.number


@ucam_faas.http(path="/orders/<int:number>", name="orders", invokers=["allUsers"])
def order_page(number: int) -> str:
    return str(number)


assert_type(import_them(Order(number=1)), int)
assert_type(order_page(1), str)


# Messages


@ucam_faas.message_handler(message_type=Order)
def store(order: Order) -> None:
    assert_type(MESSAGE_CONTEXT.get().pubsub_message, PubsubMessage)
    assert_type(MESSAGE_CONTEXT.get().delivery_attempt, int | None)
    if order.number < 0:
        raise DeadLetter("a negative number")
    if order.number == 0:
        raise Retry(after=timedelta(minutes=1))
    if order.number == 1:
        raise Ignore("known already")


@ucam_faas.message_handler
def store_by_annotation(order: Order) -> int:
    return order.number


@ucam_faas.message_handler(topic="orders", concurrency=2)
async def store_all_by_annotation(orders: list[Order] | None) -> None: ...


@ucam_faas.batch_handler
def store_batch(orders: list[BatchMessage[Order]]) -> BatchResult | None:
    assert_type(orders[0].payload, Order)
    assert_type(orders[0].attributes, Mapping[str, str])
    rejected = [each for each in orders if each.payload.number < 0]
    return BatchResult({each: DeadLetter("a negative number") for each in rejected})


@ucam_faas.batch_handler(message_type=Order, max_messages=500, max_wait=timedelta(seconds=2))
async def store_batch_async(orders: list[BatchMessage[Order]]) -> BatchResult:
    return BatchResult({orders[0]: Retry, orders[1]: ValueError("no such room")})


assert_type(store_batch([BatchMessage(Order(number=1))]), BatchResult | None)
store_batch.publish(Order(number=1), ordering_key="1")
assert_type(testing.run_batch(store_batch, Order(number=1)), list[Outcome])


@ucam_faas.message_handler(schedule="0 3 * * *")
def tidy_up() -> int:
    return 0


@ucam_faas.message_handler(message_type=Order, topic="orders")
def count_orders() -> None: ...


@ucam_faas.raw_event(schedule=["0 3 * * *", Schedule("0 4 * * SUN")])
def rebuild() -> str:
    return "done"


@ucam_faas.raw_event(run_as="cloud-run-job", timeout=timedelta(hours=1))
async def rebuild_all() -> None: ...


@ucam_faas.cloud_event
def notice() -> None: ...


@ucam_faas.message_handler(
    message_type=Order,
    create_default_info=Report,
    options=HandlerExecutionOptions(make_http_response=HttpResponseCreator()),
    timeout=timedelta(seconds=30),
    concurrency=2,
    dead_letter_topic="orders-dead",
)
def store_and_report(order: Order) -> Report:
    return Report(stored=order.number)


@ucam_faas.message_handler(
    message_type=Order,
    topic="projects/shop/topics/orders",
    filter='attributes.kind = "order"',
    schedule=Schedule(
        "0 3 * * *",
        time_zone="Europe/London",
        data=b'{"number": 1}',
        attributes={"kind": "order"},
        paused=True,
    ),
    retry=RetryPolicy(
        max_attempts=7, min_backoff=timedelta(seconds=1), max_backoff=timedelta(minutes=1)
    ),
    ordered=True,
)
def store_in_order(order: Order) -> int:
    return order.number


NIGHTLY = Schedule("0 3 * * *", data=b"{}")


@ucam_faas.message_handler(
    message_type=None,
    topic=None,
    schedule=[NIGHTLY, Schedule("0 4 * * SUN", attributes={"kind": "weekly"})],
    retry=RetryPolicy(max_attempts=None),
)
def clean_up(data: bytes) -> None: ...


@ucam_faas.message_handler(message_type=None)
def measure(data: bytes) -> int:
    return len(data)


@ucam_faas.message_handler(message_type=StringValue)
def greet(name: StringValue) -> str:
    return f"Hello, {name.value}"


def parse_number(data: bytes) -> int:
    return int(data)


parse: MessageParserFn[int] = parse_number


@ucam_faas.message_handler(message_type=parse_number)
def double(number: int) -> int:
    return number * 2


@ucam_faas.message_handler(message_type=parse)
def halve(number: int) -> float:
    return number / 2


@ucam_faas.message_handler(message_type=lambda data: data.decode())
def shout(text: str) -> str:
    return text.upper()


@ucam_faas.message_handler(message_type=Order)
async def store_later(order: Order) -> int:
    return order.number


@ucam_faas.message_handler(limit=ucam_faas.Limit(lambda order: order.number, n=2))
def store_two_at_a_time(order: Order) -> None: ...


@ucam_faas.message_handler(lanes=["default", ucam_faas.Lane("bulk", max_concurrency=2)])
def store_in_lanes(order: Order) -> None:
    store_in_lanes.send(order, lane="bulk")
    store_in_lanes.send_many([order], lane=1)
    store_by_priority.send(order, lane=ucam_faas.Priority.HIGH)


@ucam_faas.message_handler(lanes=ucam_faas.Priority, propagate_lane=False)
def store_by_priority(order: Order) -> None: ...


@ucam_faas.message_handler(limit=ucam_faas.Limit("all"))
def store_one_at_a_time(order: Order) -> None: ...


billing = TaskCollection(
    lanes=3,
    memory="1Gi",
    cpu=0.5,
    timeout=timedelta(minutes=2),
    run_as="service",
    retry=RetryPolicy(max_attempts=9),
    environment={"MODE": "careful"},
    init=[list],
)
TaskCollection().include(billing)


def connect(host: str, *, port: int = 80) -> Order:
    return Order(number=port)


client = ucam_faas.Defer(connect, "example.org", port=81)
connected: Order = client.value


@ucam_faas.Defer
def numbers() -> list[int]:
    return [client().number, client.execute().number]


def warm_up(task: str) -> None: ...


@ucam_faas.message_handler(init=[client.execute, numbers, warm_up, list])
def total(order: Order) -> int:
    return sum(numbers.value)


@billing.message_handler(message_type=Order, memory="2Gi")
def charge(order: Order) -> int:
    return order.number


# Events


@ucam_faas.cloud_event_handler(
    event_data_parser=CloudEventType(event_type="com.example.order", event_data_model=Order)
)
def handle(order: Order) -> ExecutionInfo | None:
    assert_type(CLOUD_EVENT_CONTEXT.get().attributes.event_id, str)
    if order.number:
        return ExecutionInfo(
            execution=AbortedExecutionResult(reason=AbortedExecutionReason.USER_DATA_INVALID)
        )
    return None


def subject_of(event: CloudEvent) -> str:
    return str(event["subject"])


@ucam_faas.cloud_event_handler(event_data_parser=subject_of)
async def handle_subject(subject: str) -> None: ...


@ucam_faas.cloud_event
def take(event: CloudEvent) -> None: ...


@ucam_faas.cloud_event_handler(
    event_data_parser=subject_of,
    create_default_info=ExecutionInfo,
    topic="subjects",
    schedule=(NIGHTLY,),
)
def handle_subject_of_topic(subject: str) -> int:
    return len(subject)


@ucam_faas.cloud_event(timeout=timedelta(seconds=5), topic="events", schedule=NIGHTLY)
def take_soon(event: CloudEvent) -> str:
    return str(event["id"])


# Requests


@ucam_faas.raw_event
def reverse(body: bytes) -> bytes:
    return body[::-1]


@ucam_faas.raw_event(timeout=timedelta(seconds=5), concurrency=1, topic="bytes", ordered=True)
def count(body: bytes) -> dict[str, int]:
    return {"bytes": len(body)}


@ucam_faas.raw_event
async def wait(body: bytes) -> str:
    return body.decode()


@ucam_faas.http(path="/orders/<int:number>", methods=["GET", "POST"])
def show(request: Request, number: int) -> tuple[str, int]:
    return request.path, number


@ucam_faas.http(path="/health/<part>")
async def health(part: str) -> str:
    return part


# A task called as the function that it is, and run as the task that it is


async def call_them(event: CloudEvent, request: Request) -> None:
    assert_type(store_and_report(Order(number=1)), Report)
    assert_type(store_in_order(Order(number=1)), int)
    assert_type(charge(Order(number=1)), int)
    assert_type(store_by_annotation(Order(number=1)), int)
    await store_all_by_annotation([Order(number=1)])
    assert_type(tidy_up(), int)
    assert_type(rebuild(), str)
    await rebuild_all()
    assert_type(tidy_up.execute(event), ExecutionInfo)
    assert_type(store.publish(Order(number=1), attributes={"kind": "order"}), str)
    assert_type(measure.publish(b"", ordering_key="k"), str)
    assert_type(tidy_up.publish(), str)
    assert_type(handle_subject_of_topic("s"), int)
    assert_type(measure(b""), int)
    assert_type(greet(StringValue(value="Ada")), str)
    assert_type(double(1), int)
    assert_type(halve(1), float)
    assert_type(shout("a"), str)
    assert_type(await store_later(Order(number=1)), int)
    assert_type(handle(Order(number=1)), ExecutionInfo | None)
    assert_type(take_soon(event), str)
    assert_type(reverse(b""), bytes)
    assert_type(count(b""), dict[str, int])
    assert_type(await wait(b""), str)
    assert_type(show(request, 5), tuple[str, int])
    assert_type(await health(part="disk"), str)
    assert_type(store.execute(event), ExecutionInfo)
    assert_type(store_later.execute(event), ExecutionInfo)
    assert_type(handle.execute_for_result(event), ExecutionInfo)
    assert_type(reverse.execute(event), ExecutionInfo)
    assert_type(store.__name__, str)
    assert_type(store.task.policy.retry, RetryPolicy)
    if store.task.trigger is not None:
        assert_type(store.task.trigger.topic, str)
        assert_type(store.task.trigger.schedules, tuple[Schedule, ...])


def inspect_them(event: CloudEvent) -> float | None:
    try:
        info = store.execute(event)
    except ExecutionAbortedException as error:
        assert_type(error.execution_info, ExecutionInfo)
        return None
    assert_type(info.execution, ExecutionResult)
    return info.execution.duration_seconds


# Reports and options

LOGGER = StructlogJsonExecutionResultLogger(JsonRepresentation.WIDE_FLAT)


def respond(info: ExecutionInfo) -> tuple[str, int]:
    return "kept", 202 if info.execution.status == "COMPLETED" else 500


@ucam_faas.message_handler(
    message_type=None,
    options=HandlerExecutionOptions(log_execution_result=LOGGER, make_http_response=respond),
)
def keep(data: bytes) -> None: ...


# Tests of tasks


def try_them() -> None:
    assert_type(run(store, Order(number=7)), ExecutionInfo)
    assert_type(store.execute(make_message_event({"number": 7})), ExecutionInfo)
    with serve(store, measure) as client:
        assert_type(client, Client)
        assert_type(client.push("store", {"number": 7}), ClientResponse)


def try_fixtures(
    ucam_faas_client: ClientFactory,
    ucam_faas_local: LocalCloudFactory,
    ucam_faas_pubsub: EmbeddedPubsub,
    ucam_faas_clock: ManualClock,
    ucam_faas_publisher: MemoryPublisher,
) -> None:
    client = ucam_faas_client(store, clock=ucam_faas_clock, publisher=ucam_faas_publisher)
    assert_type(client, Client)
    assert_type(ucam_faas_local(store, deliveries="hostile", seed=3), EmbeddedCloud)
    assert_type(ucam_faas_pubsub.host, str)


class CountInfo(ucam_faas.MessageHandlerExecutionInfo):
    deleted: int


@ucam_faas.message_handler(message_type=None)
def count_info(data: bytes) -> CountInfo:
    return CountInfo(deleted=len(data))


def test_what_execute_returns(event: CloudEvent) -> None:
    assert_type(count_info.execute(event), CountInfo)
    assert_type(take.execute(event), ucam_faas.ExecutionInfo)


@ucam_faas.cloud_event
def take_data(data: dict[str, int]) -> None: ...


take_data({"a": 1})
count_all = ucam_faas.message_handler(message_type=None)(lambda data: len(data))


# Jobs


@ucam_faas.message_handler(
    message_type=Order, retention=timedelta(days=30), max_pending=10, events="all"
)
def receipt(order: Order) -> int:
    return order.number


@ucam_faas.message_handler
def tidy() -> str:
    return "tidy"


@ucam_faas.message_handler
def summarise(batch: ucam_faas.BatchEnded) -> list[str]:
    return [outcome.id for outcome in batch.outcomes()]


def send_them() -> None:
    job = receipt.send(Order(number=1), id="a", delay=timedelta(minutes=5))
    assert_type(job, ucam_faas.Job[int])
    assert_type(job.result(timeout=30), int)
    assert_type(job.status, ucam_faas.State)
    assert_type(tidy.send().result(), str)
    for one_of_many in receipt.send_many([Order(number=1)], id=lambda order: order.number):
        assert_type(one_of_many.result(), int)
    batch = receipt.send_many([Order(number=1)], then=summarise)
    assert_type(batch, ucam_faas.Batch[int])
    assert_type(batch[0].result(), int)
    assert_type(batch.progress().ended, int)


def send_in_a_transaction(connection: sqlite3.Connection) -> None:
    with ucam_faas.transaction(connection) as same:
        assert_type(same, sqlite3.Connection)
        assert_type(receipt.send(Order(number=1)), ucam_faas.Job[int])


async def send_them_async() -> None:
    job = await receipt.send_async(Order(number=1))
    assert_type(await job.result_async(), int)
    assert_type(await job.cancel_async(), ucam_faas.State)
    assert_type(await store_later(Order(number=1)), int)
    later = await store_later.send_async(Order(number=1))
    assert_type(later, ucam_faas.Job[int])
    number: int = await later.result_async()
    assert_type(store_later.send(Order(number=1)), ucam_faas.Job[int])
    assert_type(store_later.send_many([Order(number=1)])[0].result(), int)
    assert_type(store_later.send_many([Order(number=number)], then=summarise), ucam_faas.Batch[int])
    assert_type((await store_later.send_many_async([Order(number=1)]))[0].result(), int)
    assert_type(
        await store_later.send_many_async([Order(number=1)], then=summarise), ucam_faas.Batch[int]
    )
    assert_type(store_row_later.send(Order(number=1)), ucam_faas.Job[str])
    assert_type(tidy_later.send().result(), str | None)
    assert_type((await tidy_later.send_async()).result(), str | None)
    assert_type(store_all_by_annotation.send(None), ucam_faas.Job[None])


@ucam_faas.message_handler
async def tidy_later() -> str | None:
    return None


async def a_number(order: Order) -> int:
    return order.number


async def use_steps(order: Order) -> None:
    job = ucam_faas.current_job()
    assert_type(job.step("a", Order.model_dump_json, order), str)
    assert_type(await job.step_async("b", a_number, order), int)
    assert_type(await job.step_async("c", Order.model_dump_json, order), str)
    assert_type(await job.step_async("d", lambda: a_number(order)), int)


# Middleware and dependencies


def measured(delivery: ucam_faas.TaskDelivery, call_next: ucam_faas.CallNext) -> object:
    assert_type(delivery.task.name, str)
    assert_type(delivery.id, str)
    return call_next(delivery)


async def measured_async(
    delivery: ucam_faas.TaskDelivery, call_next: Callable[[ucam_faas.TaskDelivery], Awaitable[int]]
) -> int:
    return await call_next(delivery)


layered = TaskCollection(middleware=[(measured, measured_async), measured])


def connection() -> Iterator[sqlite3.Connection]:
    yield sqlite3.connect(":memory:")


Connected = Annotated[sqlite3.Connection, Depends(connection)]


@layered.message_handler
def store_row(order: Order, connection: Connected, tenant: Annotated[str, Attribute()]) -> int:
    assert_type(connection, sqlite3.Connection)
    return order.number


@ucam_faas.message_handler(message_type=Order, idempotent=True)
async def store_row_later(order: Order, *, connection: Connected) -> str:
    return ""


@ucam_faas.raw_event
def store_bytes(body: bytes, connection: Connected) -> None: ...


async def use_dependencies(order: Order, event: CloudEvent) -> None:
    connection = sqlite3.connect(":memory:")
    assert_type(store_row(order, connection, tenant="a"), int)
    assert_type(store_row.send(order), ucam_faas.Job[int])
    assert_type(store_row.publish(order), str)
    assert_type(store_row.execute(event), ExecutionInfo)
    assert_type(await store_row_later(order, connection=connection), str)
    assert_type(store_batch_of_bytes.publish(b""), str)
    with testing.overrides({connection_of_test: connection_of_test}):
        pass


@ucam_faas.batch_handler(message_type=None, ordered=True)
def store_batch_of_bytes(
    messages: list[BatchMessage[bytes]],
    database: Annotated[sqlite3.Connection, Depends(connection)],
) -> None: ...


store_batch_of_bytes.publish(b"data")


def connection_of_test() -> sqlite3.Connection:
    return sqlite3.connect(":memory:")
