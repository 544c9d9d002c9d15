"""Why an export failed: in one word, of few, without texts of the receiver."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics.export import MetricsData
from opentelemetry.sdk.trace.export import SpanExportResult

from ucam_faas.telemetry.connection import Connection

from .receiver import Receiver, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def connection_to(endpoint: str, timeout: float = 0.5) -> Connection:
    """Return one whose time is too short for another try."""

    def connect(session: Any) -> Any:
        return OTLPSpanExporter(f"{endpoint}/v1/traces", timeout=timeout, session=session)

    return Connection(connect)


@pytest.mark.parametrize("status", [401, 404, 503])
def test_a_status_is_the_cause(receiver: Receiver, status: int) -> None:
    receiver.status = status

    assert connection_to(receiver.endpoint).export([]) == f"HTTP {status}"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_the_cause_and_is_not_followed(receiver: Receiver, status: int) -> None:
    """OpenTelemetry takes it for a success."""
    receiver.status, receiver.location = status, "/login"

    assert connection_to(receiver.endpoint).export([]) == f"HTTP {status}"
    assert receiver.requests == 1


def test_a_redirect_is_not_followed_by_older_exporters(receiver: Receiver) -> None:
    """They would ask for the other page, without the spans, and take that for a success."""
    receiver.status, receiver.location = 301, "/login"

    class Older:
        def __init__(self, session: requests.Session) -> None:
            self.session = session

        def export(self, spans: object) -> SpanExportResult:
            self.session.post(f"{receiver.endpoint}/v1/traces", b"", timeout=10)
            return SpanExportResult.SUCCESS

    assert Connection(Older).export([]) == "HTTP 301"


def test_after_a_success_there_is_none(receiver: Receiver) -> None:
    connection = connection_to(receiver.endpoint)
    receiver.status = 401
    connection.export([])

    receiver.status = 200

    assert connection.export([]) == ""


def test_a_receiver_that_does_not_run_is_the_cause() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

        assert connection_to(f"http://127.0.0.1:{port}").export([]) == "ConnectionRefusedError"


def test_a_receiver_that_does_not_answer_is_the_cause(receiver: Receiver) -> None:
    receiver.answers.clear()

    assert connection_to(receiver.endpoint, 0.2).export([]) == "TimeoutError"


def test_a_receiver_without_tls_is_the_cause(receiver: Receiver) -> None:
    endpoint = receiver.endpoint.replace("http:", "https:")

    assert connection_to(endpoint).export([]) == "SSLError"


def test_a_name_that_is_not_known_is_the_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(*_: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "the name")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)

    assert connection_to("http://collector:4318").export([]) == "gaierror"


def test_metrics_have_a_cause_too(receiver: Receiver) -> None:
    receiver.status = 403

    def connect(session: Any) -> Any:
        return OTLPMetricExporter(f"{receiver.endpoint}/v1/metrics", session=session)

    assert Connection(connect).export(MetricsData([])) == "HTTP 403"


def test_a_session_of_the_users_credentials_stays(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenTelemetry makes it, as with its provider of Google's credentials."""
    monkeypatch.setenv("OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER", "gcp")
    sessions = []

    class Exporter(OTLPSpanExporter):
        def __init__(self, session: Any) -> None:
            sessions.append(session)
            monkeypatch.undo()  # no such provider is installed
            super().__init__(f"{receiver.endpoint}/v1/traces", session=session)

    receiver.status = 401

    assert Connection(Exporter).export([]) == "unknown"
    assert sessions == [None]
