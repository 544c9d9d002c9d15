"""Keys of the configuration for a task's container: databases and volumes."""

from __future__ import annotations

from ucam_faas.deploy.value_checks import matches
from ucam_faas.tasks.option import Option

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
}
