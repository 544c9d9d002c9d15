"""The options of a task's Cloud Run resource: its time, size, environment and callers.

They are entries of the table of options; see `option_table`.
"""

# The annotations are read at run time, so they are not postponed.
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any, TypedDict

from ucam_faas.tasks import mounts, resources
from ucam_faas.tasks.option import Option


def _terraform_secrets(secrets: Mapping[str, str]) -> dict[str, Any]:
    return {
        variable: resources.secret_version(secret, variable)._asdict()
        for variable, secret in secrets.items()
    }


class ResourceOptions(TypedDict, total=False):
    """The options of a resource, which every decorator and a TaskCollection take."""

    timeout: Annotated[
        timedelta | None,
        Option(
            doc="longest time from the arrival of a message or request to the answer",
            takes="`timedelta`: up to 10 minutes, the longest that Pub/Sub waits; default 5. "
            "`http`: up to an hour. Workers and Cloud Run jobs: up to 7 days; the default of Cloud "
            "Run jobs is 1 hour",
            terraform="function.timeout_seconds",
            computed=True,
        ),
    ]
    concurrency: Annotated[
        int | None,
        Option(
            doc="executions at a time",
            takes="1 to 1000 in one process; 1 with less than one CPU. Default: `THREADS`; async "
            "tasks: 80",
            concerns="services",
            terraform="concurrency.max_concurrent_functions_per_instance",
            computed=True,
        ),
    ]
    memory: Annotated[
        str | None,
        Option(
            doc="memory of an instance",
            takes="`128Mi` to `32Gi`; workers and Cloud Run jobs: from `512Mi`. Over 4, 8, 16 "
            "and 24 GiB it needs 2, 4, 6 and 8 CPUs",
            check=resources.memory_bytes,
            default="512Mi",
            configurable="anywhere",
            terraform="function.memory",
        ),
    ]
    cpu: Annotated[
        float | str | None,
        Option(
            doc="CPUs of an instance",
            takes="1, 2, 4, 6, 8; or 0.08 to 1, which is one execution at a time. 4 needs `2Gi`, 6 "
            "and 8 need `4Gi`",
            check=resources.cpu_count,
            default=1,
            configurable="anywhere",
            terraform="function.cpu",
            express=lambda cpu: f"{float(resources.cpu_count(cpu)):g}",
        ),
    ]
    min_instances: Annotated[
        int | None,
        Option(
            doc="instances that are kept warm and cost also when idle; for a worker, their number",
            takes="whole number; default of a worker: 1",
            check=lambda value: resources.check_instances("min_instances", value, least=0),
            default=0,
            configurable="anywhere",
            concerns="services",
            terraform="concurrency.min_instances",
        ),
    ]
    max_instances: Annotated[
        int | None,
        Option(
            doc="the most instances at a time; for a worker, the most that an autoscaler sets",
            takes="whole number, from 1; default: as many as `cpu_quota` allows, at most 100; of a "
            "worker: `min_instances`",
            check=lambda value: resources.check_instances("max_instances", value, least=1),
            configurable="anywhere",
            concerns="services",
            terraform="concurrency.max_instances",
        ),
    ]
    environment: Annotated[
        Mapping[str, str] | None,
        Option(
            doc="environment variables that are not secret",
            takes="variable to text",
            check=lambda value: resources.check_variables("environment", value),
            merge="map",
            configurable="anywhere",
            terraform="function.environment",
            computed=True,
        ),
    ]
    secrets: Annotated[
        Mapping[str, str] | None,
        Option(
            doc="environment variables, and files, from Secret Manager",
            takes='variable, or path such as `/etc/keys/api`, to `"SECRET"` (the latest version), '
            '`"SECRET:VERSION"` or `"projects/P/secrets/S/versions/V"`. A name that begins like a '
            "token (`ghp_`, `sk-`, …) is taken for the secret itself, unless it is written in full",
            check=mounts.check_secrets,
            merge="map",
            configurable="anywhere",
            terraform="function.secrets",
            express=_terraform_secrets,
        ),
    ]
    invokers: Annotated[
        Sequence[str] | None,
        Option(
            doc="IAM members that may call the service or run the Cloud Run job",
            takes="`user:E`, `group:E`, `serviceAccount:E` with an email E, `domain:D`, "
            "`principal:…`, `principalSet:…`, `allUsers`, `allAuthenticatedUsers`",
            check=resources.check_member,
            merge="list",
            configurable="anywhere",
            concerns="calls",
            terraform="function.invokers",
        ),
    ]
