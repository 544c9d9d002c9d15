"""The whole way: a real process, and a receiver of OTLP on the loopback interface."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.processes import serving
from ucam_faas.testing import make_message, make_push

from .receiver import Receiver, receiving, values

pytestmark = pytest.mark.slow

TASKS = """
import ucam_faas
from pydantic import BaseModel


class Order(BaseModel):
    number: int


@ucam_faas.message_handler(message_type=Order)
def store(order: Order) -> None:
    pass
"""
PUBLISHED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
REQUESTED = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "main.py").write_text(TASKS)
    return tmp_path


def test_a_push_makes_a_span_with_the_message_as_its_parent(
    folder: Path, receiver: Receiver
) -> None:
    message = make_message({"number": 1}, attributes={"googclient_traceparent": PUBLISHED})
    push = make_push(message, delivery_attempt=2)
    environ = {"FUNCTION_SOURCE": "main.py", "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint}

    with serving(folder=folder, **environ) as server:
        headers = {**push.headers, "traceparent": REQUESTED}
        assert server.post("/store", push.body, headers=headers).status == 200
        (line,) = server.logged("ucam_faas_function_completed")
        server.signal(signal.SIGTERM)
        assert server.wait() == 0

    (span,) = receiver.spans
    assert span.trace_id.hex() == PUBLISHED.split("-")[1]
    assert span.parent_span_id.hex() == PUBLISHED.split("-")[2]
    assert [link.span_id.hex() for link in span.links] == [REQUESTED.split("-")[2]]
    assert values(span.attributes)["messaging.system"] == "gcp_pubsub"
    assert line["logging.googleapis.com/spanId"] == span.span_id.hex()
    assert line["logging.googleapis.com/trace"].endswith(span.trace_id.hex())
