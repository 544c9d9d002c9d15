"""Whether telemetry is on, from the settings and from the providers that user code has set."""

from __future__ import annotations

import logging
import os
from dataclasses import fields
from typing import TYPE_CHECKING

from ucam_faas._optional import check
from ucam_faas.config import Settings
from ucam_faas.exceptions import ConfigurationError
from ucam_faas.telemetry.of_user import provider_of_user

if TYPE_CHECKING:
    from ucam_faas.telemetry.telemetry import Telemetry

_PROTOCOL, _EXPORTERS = "http/protobuf", ("otlp", "none")
_HEADERS = tuple(f"OTEL_EXPORTER_OTLP_{signal}HEADERS" for signal in ("", "TRACES_", "METRICS_"))
"""Not in the settings, which are shown and sent to other processes: their values may be secrets."""
_OPEN: dict[tuple[str | None, ...], Telemetry] = {}
"""By the receivers: a worker, and a script beside a local cloud, change other settings."""


def telemetry_of(settings: Settings) -> Telemetry | None:
    """Return the telemetry of this process; None: it is off.

    Raises:
        ConfigurationError: a variable of OpenTelemetry can't be used.
        MissingExtraError: a receiver is named, and the extra `otel` isn't installed.
    """
    if settings.otel_disabled:
        return None
    theirs = provider_of_user("trace"), provider_of_user("metrics")
    wanted = _wants_traces(settings), _wants_metrics(settings)
    if not any(theirs) and not any(wanted):
        return None
    if any(want and not provider for want, provider in zip(wanted, theirs, strict=True)):
        _check(settings)
    key = (
        settings.otel_endpoint,
        settings.otel_traces_endpoint,
        settings.otel_metrics_endpoint,
        settings.otel_traces_exporter,
        settings.otel_metrics_exporter,
    )
    if key not in _OPEN:
        try:
            from ucam_faas.telemetry.telemetry import Telemetry  # it imports OpenTelemetry
        except ValueError as error:  # its SDK reads the limits of spans then
            raise ConfigurationError(f"A variable of OpenTelemetry: {error}.") from error
        _OPEN.setdefault(key, Telemetry(settings, traces=wanted[0], metrics=wanted[1]))
    return _OPEN[key]


def _wants_traces(settings: Settings) -> bool:
    named = settings.otel_traces_endpoint or settings.otel_endpoint
    return bool(named) and settings.otel_traces_exporter != "none"


def _wants_metrics(settings: Settings) -> bool:
    named = settings.otel_metrics_endpoint or settings.otel_endpoint
    return bool(named) and settings.otel_metrics_exporter != "none"


def _check(settings: Settings) -> None:
    """Refuse values with which all would be lost. Values of endpoints may have credentials."""
    for field in fields(settings):
        variable, value = field.metadata["variable"], getattr(settings, field.name)
        if not variable.startswith("OTEL_") or value is None:
            continue
        if variable.endswith("_PROTOCOL") and value != _PROTOCOL:
            raise ConfigurationError(
                f"{variable} is {value!r}; expected {_PROTOCOL}, which receivers take on port 4318."
            )
        if variable.endswith("_EXPORTER") and value not in _EXPORTERS:
            raise ConfigurationError(f"{variable} is {value!r}; expected otlp or none.")
        if variable.endswith("_ENDPOINT") and not value.startswith(("http://", "https://")):
            raise ConfigurationError(
                f"{variable} isn't a URL that begins with http:// or https://, such as "
                "http://localhost:4318."
            )
    check(
        "opentelemetry.exporter.otlp.proto.http",
        extra="otel",
        purpose="send traces and metrics to OTEL_EXPORTER_OTLP_ENDPOINT",
    )
    for variable in _HEADERS:
        if not _are_headers(os.environ.get(variable, "")):
            raise ConfigurationError(
                f"{variable} can't be read as headers; expected NAME=VALUE, comma-separated, with "
                "%2C for a comma in a value. The value isn't shown, because it may be a secret."
            )


def _are_headers(text: str) -> bool:
    """Return True if OpenTelemetry can read headers; it logs those that it can't read."""
    pieces = [piece for piece in text.split(",") if piece.strip()]
    if not pieces:
        return True
    from opentelemetry.util.re import parse_env_headers

    logger = logging.getLogger(parse_env_headers.__module__)
    was_disabled, logger.disabled = logger.disabled, True
    try:
        return all(parse_env_headers(piece, liberal=True) for piece in pieces)
    finally:
        logger.disabled = was_disabled
