"""When telemetry is on, and the errors of a start with a variable that can't be used."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from tests.integration.processes import HANG_SECONDS, environment
from ucam_faas.config import Settings
from ucam_faas.exceptions import ConfigurationError, MissingExtraError
from ucam_faas.telemetry.switch import telemetry_of

ENDPOINT = "http://localhost:4318"


def is_on(**settings: Any) -> bool:
    return telemetry_of(Settings(**settings)) is not None


def test_it_is_off_without_an_endpoint() -> None:
    assert not is_on()


@pytest.mark.parametrize("name", ["otel_endpoint", "otel_traces_endpoint", "otel_metrics_endpoint"])
def test_an_endpoint_turns_it_on(name: str) -> None:
    assert is_on(**{name: ENDPOINT})


@pytest.mark.parametrize(
    "settings",
    [
        {"otel_disabled": True},
        {"otel_traces_exporter": "none", "otel_metrics_exporter": "none"},
    ],
    ids=str,
)
def test_the_standard_variables_turn_it_off(settings: dict[str, Any]) -> None:
    assert not is_on(otel_endpoint=ENDPOINT, **settings)


def test_a_provider_of_user_code_turns_it_on(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)

    assert is_on()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"otel_protocol": "grpc"}, "OTEL_EXPORTER_OTLP_PROTOCOL is 'grpc'"),
        ({"otel_traces_protocol": "grpc"}, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL is 'grpc'"),
        ({"otel_metrics_exporter": "nonne"}, "OTEL_METRICS_EXPORTER is 'nonne'; expected otlp"),
        ({"otel_traces_endpoint": "me:secret@host"}, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT isn't"),
    ],
    ids=str,
)
def test_values_with_which_all_would_be_lost_are_refused(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        is_on(otel_endpoint=ENDPOINT, **settings)

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("signal", ["", "TRACES_", "METRICS_"])
@pytest.mark.parametrize(
    "value", ["Bearer hidden", "authorization: Bearer hidden", "a=1,hidden", "a=hidden;b"]
)
def test_headers_that_cannot_be_read_are_refused_and_not_shown(
    signal: str,
    value: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """OpenTelemetry would log them, and export without them."""
    variable = f"OTEL_EXPORTER_OTLP_{signal}HEADERS"
    monkeypatch.setenv(variable, value)

    with pytest.raises(ConfigurationError, match=f"{variable} can't be read") as caught:
        is_on(otel_endpoint=ENDPOINT)

    assert "hidden" not in str(caught.value) + caplog.text


@pytest.mark.parametrize("value", ["", " ", "a=1", "a = 1 ,, b=Bearer%20x", "a=Bearer x,", "a="])
def test_headers_that_can_be_read_are_taken(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", value)

    assert is_on(otel_endpoint=ENDPOINT)


@pytest.mark.slow
def test_a_value_that_the_sdk_refuses_is_an_error_of_the_configuration(tmp_path: Path) -> None:
    """It reads the limits of spans when it is imported."""
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": ENDPOINT,
        "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "many",
    }

    program = (
        "from ucam_faas.config import Settings\n"
        "from ucam_faas.telemetry.switch import telemetry_of\n"
        "telemetry_of(Settings.from_environ())"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(tmp_path, **variables),
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
    )

    assert "ConfigurationError: A variable of OpenTelemetry: OTEL_SPAN_ATTR" in ended.stderr


def test_they_are_left_to_the_providers_of_user_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with opentelemetry-instrument, which may export over gRPC."""
    provider = TracerProvider(shutdown_on_exit=False)
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)

    assert is_on(
        otel_endpoint=ENDPOINT,
        otel_protocol="grpc",
        otel_traces_exporter="console",
        otel_metrics_exporter="none",
    )


def test_without_the_extra_the_start_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(sys.modules):
        if name.startswith("opentelemetry.exporter"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter", None)

    with pytest.raises(MissingExtraError, match=r"ucam-faas\[otel\]"):
        is_on(otel_endpoint=f"{ENDPOINT}/another")


def test_a_process_has_one_for_a_receiver() -> None:
    """Two would be two threads, and two instances in the metrics."""
    settings = Settings(otel_endpoint=f"{ENDPOINT}/one")

    assert telemetry_of(settings) is telemetry_of(replace(settings, grace_seconds=1.0))
