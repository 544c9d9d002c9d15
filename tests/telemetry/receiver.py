"""A receiver of OTLP over HTTP on the loopback interface: it parses requests, refuses, or hangs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.integration.processes import wait_until


class Receiver:
    """Keeps what it got, in the order of arrival."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.metrics: list[Metric] = []
        self.resources: list[dict[str, Any]] = []
        self.requests = 0
        self.status = 200
        """Of its answers."""
        self.location = ""
        """To which a redirect leads."""
        self.answers = threading.Event()
        """Cleared: it takes requests, and doesn't answer."""
        self.answers.set()
        self.endpoint = ""

    def named(self, name: str, count: int = 1) -> list[Span]:
        """Return the spans of a name, as soon as there are so many."""
        wait_until(lambda: len(self._named(name)) >= count, f"{count} spans {name!r}")
        return self._named(name)

    def metric(self, name: str) -> Metric:
        """Return a metric as it was exported last, as soon as it was."""
        wait_until(lambda: self._metrics(name), f"the metric {name!r}")
        return self._metrics(name)[-1]

    def _named(self, name: str) -> list[Span]:
        return [span for span in list(self.spans) if span.name == name]

    def _metrics(self, name: str) -> list[Metric]:
        return [metric for metric in list(self.metrics) if metric.name == name]

    def take(self, path: str, body: bytes) -> bytes:
        """Parse a request, and return the body of its answer."""
        if path == "/v1/traces":
            traces = ExportTraceServiceRequest.FromString(body)
            for of_resource in traces.resource_spans:
                self.resources.append(values(of_resource.resource.attributes))
                for of_scope in of_resource.scope_spans:
                    self.spans += of_scope.spans
            return ExportTraceServiceResponse().SerializeToString()
        metrics = ExportMetricsServiceRequest.FromString(body)
        for each in metrics.resource_metrics:
            self.resources.append(values(each.resource.attributes))
            for scope in each.scope_metrics:
                self.metrics += scope.metrics
        return ExportMetricsServiceResponse().SerializeToString()


def values(attributes: Any) -> dict[str, Any]:
    """Return attributes as Python has them."""
    pairs: dict[str, Any] = {}
    each: KeyValue
    for each in attributes:
        kind = each.value.WhichOneof("value")
        pairs[each.key] = getattr(each.value, kind) if kind else None
    return pairs


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Run a receiver."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            receiver.requests += 1
            receiver.answers.wait()
            content = receiver.take(self.path, body) if receiver.status == 200 else b""
            try:
                self.send_response(receiver.status)
                self.send_header("content-length", str(len(content)))
                if receiver.location:
                    self.send_header("location", receiver.location)
                self.end_headers()
                self.wfile.write(content)
            except OSError:
                self.close_connection = True  # the client has gone

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), name="ucam-faas-receiver")
    thread.start()
    receiver.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield receiver
    finally:
        receiver.answers.set()
        server.shutdown()
        thread.join()
        server.server_close()
