"""The size of an instance, with all its containers, and the instances that a region's quotas allow.

Source of the quotas: Google's page "Cloud Run quotas and limits".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any, NamedTuple

from ucam_faas.deploy.telemetry import has_collector
from ucam_faas.exceptions import TaskDefinitionError
from ucam_faas.gcp.limits import QUOTA_GIBIBYTES_FOR_A_CPU
from ucam_faas.tasks.resources import (
    MAX_MEMORY,
    MEBIBYTE,
    WHOLE_CPUS,
    cpu_count,
    memory_bytes,
)

USUAL_MAX_INSTANCES = 100
"""Of a service that doesn't say, where the quota allows more."""
SIDECAR_CPU, SIDECAR_MEMORY = "1", "512Mi"
"""Of a container beside the task's that doesn't say."""


class Size(NamedTuple):
    """CPUs, and memory in bytes."""

    cpus: Fraction
    memory: int

    def __str__(self) -> str:
        number = f"{float(self.cpus):g}"
        return f"{number} CPU{'' if number == '1' else 's'} and {self.memory / MEBIBYTE:g} MiB"


def size_of(options: Mapping[str, Any]) -> Size:
    """Return the size of an instance: the task's container and those beside it.

    Args:
        options: the merged options of a task.
    """
    sizes = [(options["cpu"], options["memory"]), *_beside(options)]
    return Size(
        sum((cpu_count(cpu) for cpu, _ in sizes), Fraction()),
        sum(memory_bytes(memory) for _, memory in sizes),
    )


def _beside(options: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    telemetry = options["telemetry"]
    collectors = [telemetry] if has_collector(telemetry) else []
    for sidecar in [*options["sidecars"].values(), *collectors]:
        yield sidecar.get("cpu", SIDECAR_CPU), sidecar.get("memory", SIDECAR_MEMORY)


def check_size(options: Mapping[str, Any]) -> None:
    """Refuse containers that are too large together for one instance.

    Raises:
        TaskDefinitionError: with the sum and the limit.
    """
    size, most = size_of(options), Size(Fraction(WHOLE_CPUS[-1]), MAX_MEMORY)
    if size.cpus > most.cpus or size.memory > most.memory:
        raise TaskDefinitionError(
            f"cpu={options['cpu']!r} and memory={options['memory']!r}, with the containers of "
            f"sidecars= and telemetry= beside it, are {size}: expected at most {most}, Cloud Run's "
            "limit for an instance"
        )


def most_instances(options: Mapping[str, Any]) -> int:
    """Return the most instances that the quotas of a region allow to a task; 0: not even one.

    Args:
        options: the merged options of the task; `cpu_quota` is the region's number of CPUs, and its
            quota of memory follows from that.
    """
    quota: int = options["cpu_quota"]
    size = size_of(options)
    memory = QUOTA_GIBIBYTES_FOR_A_CPU * 1024 * MEBIBYTE * quota
    return min(int(quota / size.cpus), memory // size.memory)


def usual_max_instances(options: Mapping[str, Any]) -> int:
    """Return the most instances of a service that doesn't say."""
    return max(1, min(USUAL_MAX_INSTANCES, most_instances(options)))
