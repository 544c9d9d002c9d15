"""OpenTelemetry's collector beside a task: the table `telemetry` of the configuration.

The library exports spans and metrics if OTEL_EXPORTER_OTLP_ENDPOINT is set; the Terraform module
runs the collector, and sets the variable to its address.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ucam_faas.deploy.value_checks import holds
from ucam_faas.exceptions import ConfigurationError, TaskDefinitionError
from ucam_faas.tasks.option import Option
from ucam_faas.tasks.resources import cpu_count, memory_bytes

TO_GOOGLE, NONE = "google-cloud", "none"
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
ENDPOINTS = (ENDPOINT, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT")
"""The variables that turn the export on."""
COLLECTOR = "collector"
"""The name of the collector's container."""
PORTS = (4318, 13133)
"""The collector's: for spans and metrics, and for Cloud Run's question whether it is ready."""
MOST_SIDECARS = 9
"""Cloud Run's limit beside the task's container."""
ROLES = {
    "roles/cloudtrace.agent": ("roles/telemetry.tracesWriter", "roles/telemetry.writer"),
    "roles/monitoring.metricWriter": ("roles/telemetry.metricsWriter", "roles/telemetry.writer"),
}
"""Roles on the project that the collector for Google Cloud needs, with others that suffice."""


def _is_collector(value: Any) -> bool:
    return isinstance(value, str) and (
        value in (TO_GOOGLE, NONE) or value.endswith((".yaml", ".yml"))
    )


OPTIONS = {
    "collector": Option(
        doc="configuration of the collector",
        takes=f"`{TO_GOOGLE}`: to Cloud Trace and Cloud Monitoring; `{NONE}`, the default; or the "
        "path of a `.yaml` file, from the folder of the configuration file",
        check=holds(_is_collector, f"{TO_GOOGLE}, {NONE}, or the path of a .yaml file"),
    ),
    "image": Option(
        doc="image of the collector",
        takes="image; default: the Google-built OpenTelemetry Collector",
        check=holds(lambda value: isinstance(value, str) and value.split() == [value], "an image"),
    ),
    "cpu": Option(
        doc="CPUs of the collector, beside the task's",
        takes="as `cpu`; default: 1",
        check=cpu_count,
    ),
    "memory": Option(
        doc="memory of the collector, beside the task's",
        takes="as `memory`; default: `512Mi`",
        check=memory_bytes,
    ),
}


def has_collector(table: Mapping[str, Any]) -> bool:
    """Return True if a merged `telemetry` asks for a collector."""
    return bool(table.get("collector", NONE) != NONE)


def check_telemetry(options: Mapping[str, Any]) -> None:
    """Refuse options that can't go with the collector.

    Raises:
        TaskDefinitionError: with the two.
    """
    if not has_collector(options["telemetry"]):
        return
    sidecars = options["sidecars"]
    if COLLECTOR in sidecars:
        raise TaskDefinitionError(
            f"sidecars= has a container of the name {COLLECTOR}, which the collector of telemetry= "
            "has: rename yours, or remove one of them"
        )
    for name, sidecar in sidecars.items():
        if sidecar.get("port") in PORTS:
            raise TaskDefinitionError(
                f"sidecars= has {name} with the port {sidecar['port']}, which the collector of "
                "telemetry= uses: give it another"
            )
    if len(sidecars) >= MOST_SIDECARS:
        raise TaskDefinitionError(
            f"sidecars= has {len(sidecars)} containers: expected at most {MOST_SIDECARS - 1} with "
            "the collector of telemetry="
        )
    for key in ("environment", "secrets"):
        if ENDPOINT in options[key]:
            raise TaskDefinitionError(
                f"{key}= sets {ENDPOINT}, and telemetry= sets it to the collector's address: "
                "remove one of them"
            )


def in_terraform(task: str, table: Mapping[str, Any], folder: Path) -> dict[str, Any] | None:
    """Return a task's `telemetry` as the Terraform module has it; None: without a collector.

    Args:
        task: its name, for the error.
        table: the merged `telemetry`.
        folder: of the configuration file; the path of the collector's configuration begins there.

    Raises:
        ConfigurationError: the collector's configuration cannot be read.
    """
    if not has_collector(table):
        return None
    collector = table["collector"]
    if collector != TO_GOOGLE:
        try:
            collector = (folder / collector).read_text()
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"telemetry of the task {task!r}: {collector} cannot be read: {error}."
            ) from error
    cpu = {"cpu": f"{float(cpu_count(table['cpu'])):g}"} if "cpu" in table else {}
    return {**table, **cpu, "collector": collector}
