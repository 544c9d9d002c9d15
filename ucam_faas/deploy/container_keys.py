"""Keys of the configuration for a task's container: databases and volumes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ucam_faas.deploy.value_checks import matches
from ucam_faas.tasks.mounts import check_volumes, volume_of
from ucam_faas.tasks.option import Option


def _terraform_volumes(volumes: Mapping[str, str]) -> dict[str, Any]:
    return {path: volume_of(text, path)._asdict() for path, text in volumes.items()}


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
}
