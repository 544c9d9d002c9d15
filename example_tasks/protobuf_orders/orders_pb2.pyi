from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import (
    ClassVar as _ClassVar,
)

from google.protobuf import descriptor as _descriptor, message as _message
from google.protobuf.internal import containers as _containers

DESCRIPTOR: _descriptor.FileDescriptor

class Order(_message.Message):
    __slots__ = ("lines", "order_id")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    lines: _containers.RepeatedCompositeFieldContainer[Line]
    def __init__(
        self,
        order_id: str | None = ...,
        lines: _Iterable[Line | _Mapping] | None = ...,
    ) -> None: ...

class Line(_message.Message):
    __slots__ = ("quantity", "sku", "unit_price_pence")
    SKU_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    UNIT_PRICE_PENCE_FIELD_NUMBER: _ClassVar[int]
    sku: str
    quantity: int
    unit_price_pence: int
    def __init__(
        self,
        sku: str | None = ...,
        quantity: int | None = ...,
        unit_price_pence: int | None = ...,
    ) -> None: ...
