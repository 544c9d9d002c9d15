"""Uses of the module to test: its examples, and a service and a Cloud Run job with all options."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .attached import ROOT

MODULE = ROOT / "terraform"

PROJECT = "my-project"
IMAGE = "europe-docker.pkg.dev/my-project/tasks/tasks:1"
KEY = "projects/my-project/locations/europe-west2/keyRings/tasks/cryptoKeys/tasks"
CHANNEL = "projects/my-project/notificationChannels/1"

EXAMPLE_VARIABLES = {"project": PROJECT, "container_image": IMAGE}
"""The variables that the examples don't set."""

SERVICE: dict[str, Any] = {
    "name": "orders",
    "project": PROJECT,
    "region": "europe-west2",
    "function": {
        "container_image": IMAGE,
        "target": "take_order",
        "timeout_seconds": 120,
        "environment": {"CURRENCY": "GBP"},
        "secrets": {
            "API_KEY": {"secret": "api-key", "version": "3"},
            "/etc/keys/new.pem": {"secret": "signing-key"},
            "/etc/keys/old.pem": {"secret": "signing-key", "version": "1"},
        },
        "sidecars": {
            "proxy": {"image": "proxy:1", "args": ["--quiet"], "port": 5433},
            "cache": {"image": "cache:1", "environment": {"LEVEL": "warn"}, "cpu": "1"},
        },
        "telemetry": {"image": "otel:1"},
        "cpu_idle": False,
        "custom_audiences": ["https://orders.example.org"],
        "annotations": {"example.org/owner": "accounts"},
        "volumes": {
            "/mnt/scratch": {"memory": "128Mi"},
            "/mnt/reports": {"bucket": "my-reports"},
            "/mnt/prices": {"bucket": "my-prices", "read_only": True},
        },
        "vpc_access": {"network": "default", "subnetwork": "default", "tags": ["tasks"]},
        "cloud_sql": ["my-project:europe-west2:shop", "my-project:europe-west2:old"],
        "publishes_to": ["invoices"],
        "invokers": ["group:team@example.org"],
    },
    "concurrency": {"max_concurrent_functions_per_instance": 8, "max_instances": 10},
    "triggers": {
        "subscriptions": {
            "orders": {"create_topic": True, "filter": "attributes:kind", "dead_letter": {}},
            "refunds": {
                "topic": "projects/other-project/topics/refunds",
                "wrapped": False,
                "ordered": True,
                "retry": {"min_backoff_seconds": 30, "max_backoff_seconds": 60},
                "dead_letter": {"max_attempts": 8, "topic": "failed-refunds"},
            },
        },
        "cron_schedules": {
            "orders-nightly": {"schedule": "0 3 * * *", "topic": "orders", "paused": True},
        },
    },
    "alerting": {"notification_channels": [CHANNEL]},
    "labels": {"team": "accounts"},
    "kms_key": KEY,
    "dead_letter_archive": "my-dead-letters",
    "topic_retention_seconds": 86400,
    "allowed_persistence_regions": ["europe-west1", "europe-west2"],
    "topic_schema": {"type": "AVRO", "definition": '"string"', "encoding": "BINARY"},
}
"""A service with every option that the module has for services."""

WORKER: dict[str, Any] = {
    **SERVICE,
    "function": {
        **SERVICE["function"],
        "run_as": "worker",
        "timeout_seconds": 36000,
        "invokers": [],
    },
    "concurrency": {"min_instances": 2},
}
"""A worker with every option that the module has for workers."""

JOB: dict[str, Any] = {
    "name": "yearly-report",
    "project": PROJECT,
    "region": "europe-west2",
    "function": {
        "container_image": IMAGE,
        "target": "report",
        "run_as": "cloud-run-job",
        "timeout_seconds": 7200,
        "secrets": {"API_KEY": {"secret": "api-key"}},
        "cloud_sql": ["my-project:europe-west2:shop"],
        "annotations": {"example.org/owner": "accounts"},
        "task_count": 12,
        "parallelism": 4,
        "publishes_to": ["reports"],
        "roles": [
            {"role": f"roles/{role}", "on": on}
            for role, on in (
                ("storage.objectUser", "gs://reports"),
                ("pubsub.viewer", "projects/my-project/topics/orders"),
                ("pubsub.subscriber", "projects/other-project/subscriptions/orders"),
                ("secretmanager.viewer", "projects/my-project/secrets/api-key"),
                ("bigquery.dataEditor", "projects/my-project/datasets/sales"),
                ("run.invoker", "projects/my-project/locations/europe-west2/services/shop"),
                ("run.invoker", "projects/my-project/locations/europe-west2/jobs/count"),
                ("cloudtasks.viewer", "projects/my-project/locations/europe-west2/queues/later"),
                ("cloudkms.cryptoKeyDecrypter", KEY),
                (
                    "iam.serviceAccountTokenCreator",
                    "projects/my-project/serviceAccounts/sign@my-project.iam.gserviceaccount.com",
                ),
            )
        ],
    },
    "triggers": {
        "cron_schedules": {"yearly-report": {"schedule": "0 4 1 1 *", "time_zone": "Europe/London"}}
    },
    "alerting": {},
}
"""A Cloud Run job with every option that the module has for jobs."""


@dataclass(frozen=True, slots=True)
class Use:
    """A folder with a use of the module, and its variables."""

    folder: str
    variables: dict[str, Any]
    name: str


def examples() -> list[str]:
    """Return the names of the examples."""
    return sorted(path.parent.name for path in Path(MODULE, "examples").glob("*/main.tf"))


USES = [
    Use(".", SERVICE, "service"),
    Use(".", WORKER, "worker"),
    Use(".", JOB, "job"),
    *(Use(f"examples/{name}", EXAMPLE_VARIABLES, name) for name in examples()),
]
