"""What users get wrong: `test_typing.py` expects of mypy the errors named, and no others.

In functions, so that the module can be imported: the decorators refuse some of it by themselves.
"""

from pydantic import BaseModel

import ucam_faas
from ucam_faas import CloudEventType, ExecutionInfo


class Order(BaseModel):
    number: int


@ucam_faas.message_handler(message_type=Order)
def store(order: Order) -> None: ...


def decorate() -> None:
    @ucam_faas.message_handler(message_type=Order)  # E: arg-type
    def takes_another_payload(text: str) -> None: ...

    @ucam_faas.message_handler(message_type=None)  # E: arg-type
    def takes_no_bytes(order: Order) -> None: ...

    @ucam_faas.message_handler(message_type=int.from_bytes)  # E: arg-type
    def takes_no_number(text: str) -> None: ...

    @ucam_faas.message_handler(message_type=Order)  # E: arg-type
    def takes_two(order: Order, more: str) -> None: ...

    @ucam_faas.message_handler()  # E: call-overload
    def has_no_message_type(order: Order) -> None: ...

    @ucam_faas.message_handler(message_type=3)  # E: call-overload
    def has_a_wrong_message_type(order: Order) -> None: ...

    @ucam_faas.message_handler(message_type=Order, timeout=30)  # E: call-overload
    def has_no_unit(order: Order) -> None: ...

    @ucam_faas.raw_event  # E: arg-type
    def takes_text(body: str) -> None: ...

    @ucam_faas.raw_event(timeout=30)  # E: call-overload
    def has_no_unit_either(body: bytes) -> None: ...

    @ucam_faas.cloud_event_handler(  # E: arg-type
        event_data_parser=CloudEventType(event_type="t", event_data_model=Order)
    )
    def takes_other_data(text: str) -> None: ...

    @ucam_faas.http(methods=["GET"])  # E: call-arg
    def has_no_path(request: object) -> None: ...

    @ucam_faas.http(path="/", methods=["GET"])  # E: arg-type
    def takes_no_request(body: bytes) -> None: ...


def call() -> None:
    store("order")  # E: arg-type
    store(Order(number=1), 2)  # E: call-arg
    store.execute(b"")  # E: arg-type
    store.run(b"")  # E: attr-defined
    count: int = store(Order(number=1))  # E: assignment
    print(count)
    raise ucam_faas.DeadLetter()  # E: call-arg


def report() -> None:
    raise ucam_faas.Retry(30)  # E: arg-type


def abort(info: ExecutionInfo) -> None:
    raise ucam_faas.ExecutionAbortedException(info)  # E: call-arg, arg-type
