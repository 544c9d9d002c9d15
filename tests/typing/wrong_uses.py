"""Wrong uses: `test_typing.py` expects of mypy the errors named, and no others.

In functions, so that the module can be imported: the decorators refuse some of it by themselves.
"""

from typing import Annotated

from flask import Request
from pydantic import BaseModel

import ucam_faas
from ucam_faas import (
    BatchMessage,
    BatchResult,
    CloudEventType,
    ExecutionInfo,
    Retry,
    RetryPolicy,
    Schedule,
)


class Order(BaseModel):
    number: int


@ucam_faas.message_handler(message_type=Order)
def store(order: Order) -> None: ...


@ucam_faas.batch_handler
def store_batch(orders: list[BatchMessage[Order]]) -> None: ...


@ucam_faas.message_handler
def tidy_up() -> None: ...


@ucam_faas.message_handler
def store_more(order: Order, more: Annotated[str, ucam_faas.Depends(str)]) -> None: ...


def decorate() -> None:
    @ucam_faas.message_handler(message_type=Order)  # E: arg-type
    def takes_another_payload(text: str) -> None: ...

    @ucam_faas.message_handler(message_type=None)  # E: arg-type
    def takes_no_bytes(order: Order) -> None: ...

    @ucam_faas.message_handler(message_type=int.from_bytes)  # E: arg-type
    def takes_no_number(text: str) -> None: ...

    @ucam_faas.message_handler(message_type=Order)  # E: arg-type
    def takes_another_payload_and_more(text: str, more: str) -> None: ...

    ucam_faas.TaskCollection(middleware=[lambda delivery: None])  # E: misc, list-item

    @ucam_faas.message_handler(message_type=3)  # E: call-overload
    def has_a_wrong_message_type(order: Order) -> None: ...

    @ucam_faas.message_handler(message_type=Order, timeout=30)  # E: call-overload
    def has_no_unit(order: Order) -> None: ...

    @ucam_faas.message_handler(message_type=Order, schedule=3)  # E: call-overload
    def has_no_schedule(order: Order) -> None: ...

    @ucam_faas.message_handler(message_type=Order, schedules=[])  # E: call-overload
    def has_a_misspelt_option(order: Order) -> None: ...

    @ucam_faas.message_handler(message_type=Order, retry=Retry())  # E: call-overload
    def has_no_policy(order: Order) -> None: ...

    @ucam_faas.message_handler(message_type=Order, topic=b"orders")  # E: call-overload
    def has_no_topic(order: Order) -> None: ...

    @ucam_faas.raw_event(create_default_info=ExecutionInfo)  # E: call-overload
    def has_an_option_of_handlers(body: bytes) -> None: ...

    @ucam_faas.cloud_event(filter=True)  # E: call-overload
    def has_no_filter(event: object) -> None: ...

    @ucam_faas.cloud_event_handler(event_data_parser=str, retry=5)  # E: arg-type
    def has_a_number_of_retries(text: str) -> None: ...

    @ucam_faas.cloud_event_handler(event_data_parser=str, schedules=[])  # E: call-arg
    def has_another_misspelt_option(text: str) -> None: ...

    @ucam_faas.http(path="/", topic="orders")  # E: call-arg
    def has_a_topic(request: Request) -> str:
        return ""

    @ucam_faas.raw_event  # E: arg-type
    def takes_text(body: str) -> None: ...

    @ucam_faas.raw_event(timeout=30)  # E: call-overload
    def has_no_unit_either(body: bytes) -> None: ...

    ucam_faas.Defer(int, base="8")  # E: arg-type

    @ucam_faas.raw_event(init=[lambda task, mode: None])  # E: list-item
    def has_start_up_code_of_two_arguments(body: bytes) -> None: ...

    @ucam_faas.raw_event(run_as="jop")  # E: call-overload
    def runs_as_something_else(body: bytes) -> None: ...

    @ucam_faas.cloud_event_handler(  # E: arg-type
        event_data_parser=CloudEventType(event_type="t", event_data_model=Order)
    )
    def takes_other_data(text: str) -> None: ...

    @ucam_faas.http(methods=["GET"])  # E: call-arg
    def has_no_path(request: object) -> None: ...

    @ucam_faas.batch_handler  # E: arg-type
    def takes_one(order: Order) -> None: ...

    @ucam_faas.batch_handler(message_type=Order)  # E: arg-type
    def takes_a_list_of_others(orders: list[BatchMessage[str]]) -> None: ...

    @ucam_faas.batch_handler(max_messages="5")  # E: call-overload
    def counts_in_texts(orders: list[BatchMessage[Order]]) -> None: ...

    @ucam_faas.batch_handler(lanes=3)  # E: call-overload
    def has_lanes(orders: list[BatchMessage[Order]]) -> None: ...


def end_batches(messages: list[BatchMessage[Order]]) -> None:
    BatchResult({"1": Retry})  # E: dict-item
    BatchResult({messages[0]: "retry"})  # E: dict-item


def call() -> None:
    store_batch.send(Order(number=1))  # E: attr-defined
    store_batch.publish("order")  # E: arg-type
    store_batch([Order(number=1)])  # E: list-item
    store("order")  # E: arg-type
    store(Order(number=1), 2)  # E: call-arg
    store_more(Order(number=1))  # E: call-arg
    store_more(Order(number=1), 2)  # E: arg-type
    store_more.send(Order(number=1), more="more")  # E: call-arg
    tidy_up(b"")  # E: call-arg
    store.publish("order")  # E: arg-type
    store.publish()  # E: call-arg
    store.execute(b"")  # E: arg-type
    store.run(b"")  # E: attr-defined
    count: int = store(Order(number=1))  # E: assignment
    print(count)
    raise ucam_faas.DeadLetter()  # E: call-arg


def report() -> None:
    raise ucam_faas.Retry(30)  # E: arg-type


def set_policies() -> None:
    Schedule("0 3 * * *", "Europe/London")  # E: call-arg
    Schedule("0 3 * * *", data="{}")  # E: arg-type
    Schedule("0 3 * * *", attributes={"number": 1})  # E: dict-item
    Schedule(expression=5)  # E: arg-type
    RetryPolicy(5)  # E: call-arg
    RetryPolicy(min_backoff=10)  # E: arg-type
    RetryPolicy().max_attempts = 6  # E: misc
    Retry(max_attempts=5)  # E: call-arg


def abort(info: ExecutionInfo) -> None:
    raise ucam_faas.ExecutionAbortedException(info)  # E: call-arg
