"""Keys of the configuration for a container: databases, volumes, CPU, audiences and parts.

Sources of the limits: Google's pages "Billing settings for services", "Use custom audiences", "Set
task count" and "Set parallelism" of Cloud Run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ucam_faas.deploy import telemetry
from ucam_faas.deploy.sidecars import check_sidecars, terraform_sidecars
from ucam_faas.deploy.value_checks import IS_SWITCH, IS_TABLE, IS_TEXT, holds, matches
from ucam_faas.exceptions import TaskDefinitionError
from ucam_faas.tasks.mounts import check_volumes, volume_of
from ucam_faas.tasks.option import Option
from ucam_faas.tasks.resources import MIN_MEMORY_2ND_GENERATION, cpu_count, memory_bytes


def _terraform_volumes(volumes: Mapping[str, str]) -> dict[str, Any]:
    return {path: volume_of(text, path)._asdict() for path, text in volumes.items()}


def _check_annotations(annotations: Mapping[str, Any]) -> None:
    for name, value in annotations.items():
        if not isinstance(value, str):
            raise TaskDefinitionError(f"the value of {name!r}: expected text")
        if "googleapis.com/" in name or "knative.dev/" in name:
            raise TaskDefinitionError(f"{name!r} is Cloud Run's own, and has an option of its own")


def check_container(options: Mapping[str, Any]) -> None:
    """Refuse options that Cloud Run refuses together.

    Raises:
        TaskDefinitionError: with the rule.
    """
    cpu, memory = options["cpu"], options["memory"]
    is_small = cpu_count(cpu) < 1 or memory_bytes(memory) < MIN_MEMORY_2ND_GENERATION
    if not options["cpu_idle"] and is_small:
        raise TaskDefinitionError(
            f"cpu_idle=false needs at least one CPU and 512Mi: found cpu={cpu!r} and "
            f"memory={memory!r}"
        )
    count, at_a_time = options["task_count"] or 1, options["parallelism"]
    if at_a_time is not None and at_a_time > count:
        raise TaskDefinitionError(
            f"parallelism={at_a_time} is more than task_count={count}: expected at most as many"
        )


_IS_COUNT = holds(
    lambda value: type(value) is int and 1 <= value <= 10000, "a whole number from 1 to 10000"
)
CONTAINER = {
    "cloud_sql": Option(
        doc="Cloud SQL instances whose sockets are in `/cloudsql`: the task is granted the access",
        takes="`P:R:I`, an instance's connection name",
        check=matches(
            "([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]:[a-z]+-[a-z]+[0-9]+:[a-z][a-z0-9-]*",
            "PROJECT:REGION:INSTANCE, the instance's connection name",
        ),
        merge="list",
        configurable="anywhere",
        terraform="function.cloud_sql",
    ),
    "volumes": Option(
        doc="folders in memory, and buckets as folders: the task is granted the access",
        takes='path to `"256Mi"` (in memory, less than `memory`), `"gs://B"` or `"gs://B:ro"`: '
        "read only",
        check=check_volumes,
        merge="map",
        configurable="anywhere",
        terraform="function.volumes",
        express=_terraform_volumes,
    ),
    "sidecars": Option(
        doc="containers beside the task's, by name: they share its network and its account",
        takes="name to a table of `image`, `args`, `environment`, `cpu` (default 1), `memory` "
        "(default `512Mi`) and `port`, which it opens when it is ready: the task starts after that",
        check=check_sidecars,
        merge="map",
        configurable="anywhere",
        terraform="function.sidecars",
        express=terraform_sidecars,
    ),
    "telemetry": Option(
        doc="spans and metrics of OpenTelemetry, through a collector beside the task's container",
        takes=f"table of {', '.join(f'`{name}`' for name in telemetry.OPTIONS)}",
        check=IS_TABLE,
        merge="table",
        options={name: option._replace(name=name) for name, option in telemetry.OPTIONS.items()},
        configurable="anywhere",
        terraform="function.telemetry",
        computed=True,
    ),
    "cpu_idle": Option(
        doc="an instance has its CPUs during requests only; with false always, at a cost",
        takes="`true`; or `false`, with at least one CPU and `512Mi`",
        check=IS_SWITCH,
        default=True,
        configurable="anywhere",
        concerns="requests",
        terraform="function.cpu_idle",
    ),
    "custom_audiences": Option(
        doc="audiences of callers' tokens that Cloud Run takes beside the service's address",
        takes="texts, such as `https://orders.example.org`",
        check=IS_TEXT,
        merge="list",
        configurable="anywhere",
        concerns="requests",
        terraform="function.custom_audiences",
    ),
    "annotations": Option(
        doc="annotations of the service, worker pool or Cloud Run job, for tools of your own",
        takes="name to text; Cloud Run refuses its own, `run.googleapis.com/…`",
        check=_check_annotations,
        merge="map",
        configurable="anywhere",
        terraform="function.annotations",
    ),
    "task_count": Option(
        doc="instances that each start of a Cloud Run job runs, each with a CLOUD_RUN_TASK_INDEX",
        takes="1 to 10000; default: 1",
        check=_IS_COUNT,
        configurable="anywhere",
        concerns="starts",
        terraform="function.task_count",
    ),
    "parallelism": Option(
        doc="the most instances of a Cloud Run job that run at a time",
        takes="1 to 10000; default: `task_count`",
        check=_IS_COUNT,
        configurable="anywhere",
        concerns="starts",
        terraform="function.parallelism",
    ),
}
