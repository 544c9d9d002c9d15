from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from ucam_faas import DeadLetter, testing

from .main import total_order
from .orders_pb2 import DESCRIPTOR, Line, Order

ORDER = Order(
    order_id="o-1",
    lines=[
        Line(sku="A1", quantity=2, unit_price_pence=250),
        Line(sku="B2", quantity=1, unit_price_pence=1999),
    ],
)


def test_the_total_is_that_of_all_lines() -> None:
    assert total_order(ORDER) == {"lines": 2, "total_pence": 2499}


def test_a_run_reports_the_total() -> None:
    assert testing.run(total_order, ORDER).result == {"lines": 2, "total_pence": 2499}


def test_an_empty_message_is_a_dead_letter() -> None:
    assert isinstance(testing.conclude(total_order, b"").outcome, DeadLetter)


@pytest.mark.parametrize(("data", "status"), [(ORDER, 200), (b"\xff not protobuf", 400)])
def test_a_push_is_decoded(
    data: object, status: int, ucam_faas_client: Callable[..., testing.Client]
) -> None:
    client = ucam_faas_client(total_order)

    assert client.push("total_order", data).status == status


def test_the_generated_code_is_that_of_the_proto_file() -> None:
    text = Path(__file__).with_name("orders.proto").read_text()
    written = set(re.findall(r"(\w+) = (\d+);", text))

    generated = {
        (field.name, str(field.number))
        for message in DESCRIPTOR.message_types_by_name.values()
        for field in message.fields
    }

    assert generated == written
