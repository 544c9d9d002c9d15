"""Rules of telemetry: a task that exports without the packages for it, or to nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from ucam_faas.deploy.checks.inputs import Inputs, configured
from ucam_faas.deploy.checks.rule import rule
from ucam_faas.deploy.dependencies import Dependencies, read
from ucam_faas.deploy.findings import Finding
from ucam_faas.deploy.telemetry import ENDPOINTS
from ucam_faas.deploy.terraform_variables import PlannedTask

_EXTRA, _EXPORTER = "otel", "opentelemetry-exporter-otlp-proto-http"
_HERE = ("127.0.0.1", "localhost", "::1")


@rule("telemetry-without-extra", why="The container ends when it starts.")
def without_extra(inputs: Inputs) -> Iterator[Finding]:
    """A task that exports spans and metrics, and dependencies without the extra `otel`."""
    exporting = [planned for planned in inputs.planned if _exports(planned)]
    if not exporting:
        return
    dependencies = _installed(exporting[0])
    if dependencies is None or dependencies.have("ucam-faas", extra=_EXTRA):
        return
    if not dependencies.have(_EXPORTER):
        tasks = ", ".join(repr(planned.name) for planned in exporting)
        yield Finding(
            dependencies.place("ucam-faas"),
            f"{dependencies.file} installs ucam-faas without the extra {_EXTRA}, and with it the "
            f"packages with which {tasks} would export spans and metrics.",
            f"Write ucam-faas[{_EXTRA}] there; in a requirements.txt that leaves ucam-faas out, "
            f"{_EXPORTER} and opentelemetry-sdk.",
        )


@rule("telemetry-unheard", why="All spans and metrics are lost.")
def unheard(inputs: Inputs) -> Iterator[Finding]:
    """An address of a collector in the container itself, where none runs."""
    for planned in inputs.planned:
        if planned.telemetry or planned.merged["sidecars"]:
            continue
        for name in ENDPOINTS:
            address = planned.merged["environment"].get(name, "")
            if urlsplit(address).hostname in _HERE:
                yield Finding(
                    configured(planned, "environment", name),
                    f"{name} of the task {planned.name!r} is {address}, and no collector runs "
                    "beside it.",
                    'Set telemetry = { collector = "google-cloud" } instead of the variable.',
                    planned.name,
                )


def _exports(planned: PlannedTask) -> bool:
    variables = planned.merged["environment"]
    is_on = planned.telemetry or not {*variables, *planned.merged["secrets"]}.isdisjoint(ENDPOINTS)
    return bool(is_on) and variables.get("OTEL_SDK_DISABLED", "").lower() != "true"


def _installed(planned: PlannedTask) -> Dependencies | None:
    """Return the packages that an image gets: those beside the tasks, or else beside the build."""
    file, _ = planned.task.place
    folders = dict.fromkeys(Path(os.path.relpath(folder)) for folder in (Path(file).parent, Path()))
    return next((listed for folder in folders if (listed := read(folder))), None)


RULES = (without_extra, unheard)
