"""The whole way: real processes, and a receiver of OTLP on the loopback interface."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.integration.processes import HANG_SECONDS, environment, run, serving, wait_until
from ucam_faas.testing import Push, make_message, make_push

from .receiver import Receiver, receiving, values

pytestmark = pytest.mark.slow

TASKS = """
import time
from pathlib import Path

import ucam_faas
from opentelemetry import trace
from pydantic import BaseModel


class Order(BaseModel):
    number: int


@ucam_faas.message_handler(message_type=Order)
def store(order: Order) -> None:
    with trace.get_tracer("shop").start_as_current_span("write the order"):
        pass


@ucam_faas.message_handler(message_type=Order, run_in_process=True)
def compute(order: Order) -> None:
    store(order)


@ucam_faas.raw_event
def hold(body: bytes) -> None:
    Path("held").touch()
    while not Path("let go").exists():
        time.sleep(0.01)


@ucam_faas.raw_event
def nightly(body: bytes) -> None:
    pass
"""
PUBLISHED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
REQUESTED = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
NEVER = str(10 * 60 * 1000)
"""Milliseconds until spans are exported, where only a flush should."""
ON_CLOUD_RUN = {"K_SERVICE": "shop", "K_REVISION": "shop-1", "OTEL_BSP_SCHEDULE_DELAY": NEVER}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "main.py").write_text(TASKS)
    return tmp_path


def push_of(trace: str = PUBLISHED) -> Push:
    message = make_message({"number": 1}, attributes={"googclient_traceparent": trace})
    push = make_push(message, delivery_attempt=2)
    return Push(push.body, {**push.headers, "traceparent": REQUESTED})


def environ(receiver: Receiver, **more: str) -> dict[str, str]:
    return {
        "FUNCTION_SOURCE": "main.py",
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint,
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
        **more,
    }


def test_a_push_is_a_span_below_its_message_and_is_counted(
    folder: Path, receiver: Receiver
) -> None:
    """Exported at SIGTERM, at the latest; the spans of user code, too."""
    push = push_of()

    with serving(folder=folder, **environ(receiver)) as server:
        assert server.post("/store", push.body, headers=push.headers).status == 200
        (line,) = server.logged("ucam_faas_function_completed")
        server.signal(signal.SIGTERM)
        assert server.wait() == 0

    own, span = receiver.spans
    assert (own.name, own.parent_span_id) == ("write the order", span.span_id)
    assert span.trace_id.hex() == PUBLISHED.split("-")[1]
    assert span.parent_span_id.hex() == PUBLISHED.split("-")[2]
    assert [link.span_id.hex() for link in span.links] == [
        PUBLISHED.split("-")[2],
        REQUESTED.split("-")[2],
    ]
    assert values(span.attributes)["messaging.gcp_pubsub.message.delivery_attempt"] == 2
    assert line["logging.googleapis.com/spanId"] == span.span_id.hex()
    assert line["logging.googleapis.com/trace"].endswith(span.trace_id.hex())
    (duration,) = receiver.metric("messaging.process.duration").histogram.data_points
    assert duration.count == 1
    assert values(duration.attributes) == {
        "messaging.system": "gcp_pubsub",
        "messaging.operation.name": "process",
        "ucam_faas.task": "store",
    }
    resource = receiver.resources[0]
    assert resource["service.name"] == "ucam-faas"
    assert resource["deployment.environment.name"] == "test"
    assert resource["service.instance.id"]


def test_on_cloud_run_the_span_is_exported_before_the_answer(
    folder: Path, receiver: Receiver
) -> None:
    push = push_of()

    with serving(folder=folder, **environ(receiver, **ON_CLOUD_RUN)) as server:
        assert server.post("/store", push.body, headers=push.headers).status == 200

        assert [span.name for span in receiver.spans][-1].startswith("process ")
    assert receiver.resources[0]["faas.name"] == "shop"


@pytest.mark.parametrize("answers", [False, True], ids=["hangs", "refuses"])
def test_a_receiver_that_fails_loses_spans_and_nothing_else(
    folder: Path, receiver: Receiver, answers: bool
) -> None:
    """Each delivery is answered, the process ends in order, and the loss is said once."""
    push = push_of()
    receiver.status = 500
    if not answers:
        receiver.answers.clear()

    settings = environ(
        receiver,
        **ON_CLOUD_RUN,
        UCAM_FAAS_TELEMETRY_WAIT_SECONDS="0.2",
        OTEL_EXPORTER_OTLP_TIMEOUT="600",
    )
    with serving(folder=folder, **settings) as server:
        for _ in range(30):
            assert server.post("/store", push.body, headers=push.headers).status == 200
        server.signal(signal.SIGTERM)
        assert server.wait() == 0

    *losses, last = server.log("ucam_faas_telemetry_lost")
    assert [(line["signal"], line.get("cause")) for line in losses] == (
        [("traces", "HTTP 500"), ("metrics", "HTTP 500")] if answers else [("traces", None)]
    )
    assert last["spans"] >= 1
    assert {line["severity"] for line in losses} == {"WARNING"}
    assert "opentelemetry" not in server.stdout


def test_sigterm_exports_before_running_work_ends(folder: Path, receiver: Receiver) -> None:
    """A collector in a sidecar gets the signal at the same moment."""
    push = push_of()
    never = {"OTEL_BSP_SCHEDULE_DELAY": NEVER, "OTEL_METRIC_EXPORT_INTERVAL": NEVER}
    settings = environ(receiver, **never)

    with serving(folder=folder, **settings) as server, ThreadPoolExecutor() as client:
        assert server.post("/store", push.body, headers=push.headers).status == 200
        held = client.submit(server.post, "/hold")
        wait_until((folder / "held").exists, "the other task runs")
        server.signal(signal.SIGTERM)

        assert receiver.metric("messaging.process.duration")
        assert len(receiver.spans) == 2
        (folder / "let go").touch()
        assert held.result().status == 200
        assert server.wait() == 0
    assert [span.name for span in receiver.spans][2:] == ["process hold"]


def test_workers_of_one_server_are_different_instances(folder: Path, receiver: Receiver) -> None:
    """The providers are made after the fork: their metrics would replace each other's."""
    push = push_of()
    settings = environ(receiver, WORKERS="2", OTEL_BSP_SCHEDULE_DELAY="10")

    with serving(folder=folder, **settings) as server:

        def instances() -> set[str]:
            assert server.post("/store", push.body, headers=push.headers).status == 200
            return {each["service.instance.id"] for each in list(receiver.resources)}

        wait_until(lambda: len(instances()) == 2, "both workers export")


def test_the_spans_of_a_process_of_a_task_are_below_the_execution(
    folder: Path, receiver: Receiver
) -> None:
    push = push_of()

    with serving(folder=folder, **environ(receiver, **ON_CLOUD_RUN)) as server:
        assert server.post("/compute", push.body, headers=push.headers).status == 200

    (own,) = receiver.named("write the order")
    (process,) = [span for span in receiver.spans if span.name.startswith("process ")]
    assert own.parent_span_id == process.span_id


def test_a_process_of_a_task_says_what_it_lost_before_it_is_killed(
    folder: Path, receiver: Receiver
) -> None:
    push = push_of()
    receiver.answers.clear()

    with serving(folder=folder, **environ(receiver)) as server:
        assert server.post("/compute", push.body, headers=push.headers).status == 200
        server.signal(signal.SIGTERM)
        assert server.wait() == 0

    spans = [line.get("spans") for line in server.log("ucam_faas_telemetry_lost")]
    assert spans == [None, 1, None, 1]


def test_a_task_that_runs_once_exports_at_its_end(folder: Path, receiver: Receiver) -> None:
    process = run("run", "nightly", folder=folder, **environ(receiver))

    assert process.popen.returncode == 0, process.output
    assert [span.name for span in receiver.spans] == ["process nightly"]


FORKS = """
import os
from opentelemetry import trace
from ucam_faas.config import Settings
from ucam_faas.telemetry.switch import telemetry_of
telemetry = telemetry_of(Settings.from_environ())
with telemetry.producing("publish", "before"):
    pass
telemetry.flush(60.0)  # the connection stays open, and is the parent's
child = os.fork()
if child == 0:
    trace.get_tracer("shop").start_span("of user code").end()
with telemetry.producing("publish", "child" if child == 0 else "parent"):
    pass
if child:
    os.waitpid(child, 0)
"""


def test_a_forked_process_exports_its_own_spans(tmp_path: Path, receiver: Receiver) -> None:
    """Each once, at the exit of the interpreter, with ids of its own."""
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKS],
        env=environment(tmp_path, **environ(receiver)),
        timeout=HANG_SECONDS,
        check=True,
    )

    assert sorted(span.name for span in receiver.spans) == [
        "of user code",
        "publish before",
        "publish child",
        "publish parent",
    ]
    assert len({span.trace_id for span in receiver.spans}) == 4


PROVIDER = """
import os
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
exporter = OTLPSpanExporter(endpoint=os.environ["THEIRS"] + "/v1/traces")
provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=600_000))
trace.set_tracer_provider(provider)
"""


def test_a_provider_of_user_code_is_used_and_flushed(folder: Path, receiver: Receiver) -> None:
    """It is made at the import, before the fork."""
    (folder / "main.py").write_text(TASKS + PROVIDER)
    push = push_of()
    settings = {"FUNCTION_SOURCE": "main.py", "K_REVISION": "shop-1", "THEIRS": receiver.endpoint}

    with serving(folder=folder, **settings) as server:
        assert server.post("/store", push.body, headers=push.headers).status == 200

        assert len(receiver.spans) == 2
    assert receiver.resources[0]["service.name"].startswith("unknown_service")
