"""The rest of the option table: the keys that only the configuration has, and all its keys.

Sources of the limits: Google's pages "Restrict ingress", "Labels overview", "Subscription
properties", "Bucket names" and the resource names of IAM, Cloud KMS, Monitoring and VPC access.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from ucam_faas.config import Settings
from ucam_faas.deploy.container_keys import CONTAINER
from ucam_faas.deploy.roles import check_role, in_terraform
from ucam_faas.deploy.value_checks import (
    IS_SWITCH,
    IS_TABLE,
    IS_TEXT,
    check_labels,
    holds,
    matches,
    one_of,
    shown,
)
from ucam_faas.exceptions import TaskDefinitionError
from ucam_faas.gcp.limits import CPU_QUOTA, MAX_RETENTION_SECONDS, MIN_RETENTION_SECONDS
from ucam_faas.gcp.regions import closest, is_region
from ucam_faas.tasks.option import Option
from ucam_faas.tasks.option_table import OPTIONS, SUBSCRIPTION
from ucam_faas.tasks.policies import check_topic, is_topic_name

MAX_LABELS = 64
_RETENTION = f"{MIN_RETENTION_SECONDS} to {MAX_RETENTION_SECONDS} seconds (10 minutes to 31 days)"
_IS_RETENTION = holds(
    lambda value: type(value) is int and MIN_RETENTION_SECONDS <= value <= MAX_RETENTION_SECONDS,
    f"{_RETENTION}, Pub/Sub's limits",
)
_IS_PROJECT = matches(
    "([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]",
    "a project id: 6 to 30 lower-case letters, digits and -, a letter first",
)
_INGRESS = {
    "all": "INGRESS_TRAFFIC_ALL",
    "internal": "INGRESS_TRAFFIC_INTERNAL_ONLY",
    "internal-and-cloud-load-balancing": "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER",
}
_EGRESS = {"private-ranges-only": "PRIVATE_RANGES_ONLY", "all-traffic": "ALL_TRAFFIC"}
_SHORT_TOPICS = "short names of topics"
_IS_SHORT_TOPIC = holds(is_topic_name, "the short name of a topic of this project, such as orders")
(_LEVEL,) = (spec for spec in fields(Settings) if spec.name == "log_level")


def _in_code(choices: Iterable[str]) -> str:
    return ", ".join(f"`{choice}`" for choice in choices)


def _terraform_vpc(vpc: Mapping[str, Any]) -> dict[str, Any] | None:
    return {**vpc, "egress": _EGRESS.get(vpc.get("egress", ""))} if vpc else None


def _check_region(region: Any) -> None:
    if not isinstance(region, str) or not is_region(region):
        like = closest(region) if isinstance(region, str) else None
        hint = f". Did you mean {like}?" if like else ""
        raise TaskDefinitionError(
            f"expected a region, such as europe-west2; found {shown(region)}{hint}"
        )


_VPC_ACCESS = {
    "network": Option(
        doc="network, for direct VPC egress",
        takes="name or path of a network",
        check=IS_TEXT,
    ),
    "subnetwork": Option(
        doc="subnetwork, for direct VPC egress",
        takes="name or path of a subnetwork",
        check=IS_TEXT,
    ),
    "tags": Option(
        doc="network tags for firewall rules, for direct VPC egress",
        takes="network tags",
        check=matches(
            "[a-z]([a-z0-9-]{0,61}[a-z0-9])?",
            "a network tag: at most 63 lower-case letters, digits and -, a letter first",
        ),
        merge="list",
    ),
    "connector": Option(
        doc="Serverless VPC Access connector, instead of a network",
        takes="`projects/P/locations/R/connectors/C`",
        check=matches(
            "projects/[^/]+/locations/[^/]+/connectors/[^/]+",
            "projects/P/locations/R/connectors/C",
        ),
    ),
    "egress": Option(
        doc="traffic that goes through the network",
        takes=_in_code(_EGRESS),
        check=one_of(*_EGRESS),
    ),
}

_TOPIC_SCHEMA = {
    "definition": Option(
        doc="definition of the schema",
        takes="path of a `.avsc` or `.proto` file, from the folder of the configuration file",
        check=matches(r".*\.(avsc|proto)", "the path of a .avsc or .proto file"),
    ),
    "encoding": Option(
        doc="encoding of the messages",
        takes=_in_code(("JSON", "BINARY")),
        check=one_of("JSON", "BINARY"),
    ),
}

_ALERTING = {
    "monitoring_scoping_project": Option(
        doc="project in which the policies are made, with its own notification channels",
        takes="project id",
        check=_IS_PROJECT,
    ),
    "auto_close_seconds": Option(
        doc="an incident without new data closes after this",
        takes="1800 to 604800 seconds (half an hour to a week); default: a day",
        check=holds(
            lambda value: type(value) is int and 1800 <= value <= 604_800,
            "1800 to 604800 seconds",
        ),
    ),
    "oldest_message_seconds": Option(
        doc="a message that waits longer, or for half of its retention, is an incident",
        takes="whole seconds, from 1; default: an hour",
        check=holds(lambda value: type(value) is int and value >= 1, "whole seconds from 1"),
    ),
    "error_ratio": Option(
        doc="a share of 5xx answers above this, in ten minutes, is an incident",
        takes="0 to less than 1; default: 0.1",
        check=holds(
            lambda value: type(value) in (int, float) and 0 <= value < 1, "0 to less than 1"
        ),
    ),
}

_CONFIGURATION = {
    "project": Option(
        doc="project to deploy to",
        takes="project id",
        check=_IS_PROJECT,
        configurable="for all tasks",
    ),
    "region": Option(
        doc="region of Cloud Run and Cloud Scheduler",
        takes="region",
        check=_check_region,
        configurable="for all tasks",
    ),
    "source": Option(
        doc="file, folder or module of the tasks, if neither `--source` nor `FUNCTION_SOURCE` "
        "names one; a path is relative to the configuration file",
        takes="file, folder or module",
        check=IS_TEXT,
        configurable="for all tasks",
    ),
    "name_prefix": Option(
        doc="beginning of the names of services, topics, subscriptions, schedules and accounts, so "
        "that two stages fit into one project. A deployed stage that gets another one loses its "
        "messages",
        takes="text such as `test-`: at most 20 lower-case letters, digits and -, a letter first, "
        "- last",
        check=matches(
            "(?!goog)[a-z][a-z0-9-]{0,18}-",
            "at most 20 lower-case letters, digits and -, a letter first and - last, not beginning "
            "with goog, such as test-",
        ),
        configurable="for all tasks",
    ),
    "existing_topics": Option(
        doc="topics of this project that exist elsewhere: the deployment uses them, without "
        "`name_prefix`, and never makes or deletes them. `ucam-faas dev` makes them",
        takes=_SHORT_TOPICS,
        check=_IS_SHORT_TOPIC,
        merge="list",
        configurable="for all tasks",
    ),
    "kept_topics": Option(
        doc="topics that no task uses any more, and that stay, each with a subscription that keeps "
        "its messages, until you remove them here; with `name_prefix`, if they have it",
        takes=_SHORT_TOPICS,
        check=_IS_SHORT_TOPIC,
        merge="list",
        configurable="for all tasks",
    ),
    "existing_job_places": Option(
        doc="values of `UCAM_FAAS_JOB_STORE`, `UCAM_FAAS_DELAY_QUEUE` and `UCAM_FAAS_PAYLOADS` "
        "that exist elsewhere: the deployment uses the database, queue or bucket, and never makes "
        "it",
        takes="`firestore:P/D`, `projects/P/locations/L/queues/Q`, `gs://B`",
        check=matches(
            "firestore:[^/]+/[^/]+|projects/[^/]+/locations/[^/]+/queues/[^/]+|gs://[^/]+",
            "firestore:PROJECT/DATABASE, projects/P/locations/L/queues/Q or gs://BUCKET",
        ),
        merge="list",
        configurable="for all tasks",
    ),
    "longest_delay_days": Option(
        doc="the longest delay of a job; the bucket of large payloads keeps an object for as long, "
        "and for the attempts and the retention after it",
        takes="whole number of days, from 0",
        check=holds(
            lambda value: type(value) is int and value >= 0, "a whole number of days from 0"
        ),
        default=30,
        configurable="for all tasks",
    ),
    "cpu_quota": Option(
        doc="Cloud Run's regional quota of CPUs, from the quotas page of the console",
        takes="whole number of CPUs, from 1",
        check=holds(lambda value: type(value) is int and value >= 1, "a whole number from 1"),
        default=CPU_QUOTA,
        configurable="for all tasks",
    ),
    "service_account": Option(
        doc="email of an existing account to run as; none: Terraform makes one for the task",
        takes="email of a service account",
        check=matches(
            r"[^@\s]+@[^@\s]+\.gserviceaccount\.com",
            "the email of a service account, such as name@project.iam.gserviceaccount.com",
        ),
        configurable="anywhere",
        terraform="function.service_account",
    ),
    "ingress": Option(
        doc="where requests may come from; Pub/Sub's pushes in the same project are internal",
        takes=_in_code(_INGRESS),
        check=one_of(*_INGRESS),
        default="internal",
        configurable="anywhere",
        concerns="requests",
        terraform="function.ingress",
        express=_INGRESS.__getitem__,
    ),
    "vpc_access": Option(
        doc="access to a VPC network: a connector, or direct egress",
        takes=f"table of {_in_code(_VPC_ACCESS)}",
        check=IS_TABLE,
        merge="table",
        options={name: option._replace(name=name) for name, option in _VPC_ACCESS.items()},
        configurable="anywhere",
        terraform="function.vpc_access",
        express=_terraform_vpc,
    ),
    **CONTAINER,
    "publishes_to": Option(
        doc="topics that the task may publish to",
        takes="topics: `T` or `projects/P/topics/T`",
        check=check_topic,
        merge="list",
        configurable="anywhere",
        terraform="function.publishes_to",
        computed=True,
    ),
    "roles": Option(
        doc="further roles of the account that the task runs as, each on one resource",
        takes="`ROLE on RESOURCE`, such as `storage.objectUser on gs://reports`",
        check=check_role,
        merge="list",
        configurable="anywhere",
        terraform="function.roles",
        express=in_terraform,
    ),
    "log_level": Option(
        doc=_LEVEL.metadata["doc"],
        takes=_in_code(_LEVEL.metadata["choices"]),
        check=one_of(*_LEVEL.metadata["choices"]),
        default=_LEVEL.default,
        configurable="anywhere",
    ),
    "alert_channels": Option(
        doc="notification channels that incidents are sent to",
        takes="`projects/P/notificationChannels/C`",
        check=matches(
            "projects/[^/]+/notificationChannels/[^/]+", "projects/P/notificationChannels/C"
        ),
        merge="list",
        configurable="anywhere",
        terraform="alerting.notification_channels",
        computed=True,
    ),
    "alerting": Option(
        doc="alert policies: dead letters, messages that wait too long, errors, schedules that did "
        "not run",
        takes=f"table of {_in_code(_ALERTING)}",
        check=IS_TABLE,
        merge="table",
        options={name: option._replace(name=name) for name, option in _ALERTING.items()},
        configurable="anywhere",
        terraform="alerting",
        computed=True,
    ),
    "message_retention_seconds": Option(
        doc="how long the subscription keeps a message",
        takes=_RETENTION,
        check=_IS_RETENTION,
        default=7 * 24 * 3600,
        configurable="anywhere",
        concerns="pushes",
        terraform=f"{SUBSCRIPTION}.message_retention_seconds",
    ),
    "topic_retention_seconds": Option(
        doc="how long the topic keeps messages, delivered or not, so that a new subscription can "
        "seek back to them",
        takes=_RETENTION,
        check=_IS_RETENTION,
        configurable="anywhere",
        concerns="pushes",
        terraform="topic_retention_seconds",
        computed=True,
    ),
    "allowed_persistence_regions": Option(
        doc="regions in which Pub/Sub may store the messages of its topics, dead letters among "
        "them",
        takes="regions",
        check=_check_region,
        merge="list",
        configurable="anywhere",
        terraform="allowed_persistence_regions",
        computed=True,
    ),
    "topic_schema": Option(
        doc="schema that Pub/Sub checks the messages of the task's topic by",
        takes=f"table of {_in_code(_TOPIC_SCHEMA)}",
        check=IS_TABLE,
        merge="table",
        options={name: option._replace(name=name) for name, option in _TOPIC_SCHEMA.items()},
        configurable="anywhere",
        concerns="pushes",
        terraform="topic_schema",
        computed=True,
    ),
    "dead_letter_archive": Option(
        doc="name of a bucket that dead letters are also written to",
        takes="name of a bucket",
        check=matches(
            "[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]",
            "the name of a bucket, without gs://: lower-case letters, digits, -, _ and .",
        ),
        configurable="anywhere",
        concerns="pushes",
        terraform="dead_letter_archive",
        computed=True,
    ),
    "kms_key": Option(
        doc="customer-managed key that encrypts the container and its topics",
        takes="`projects/P/locations/L/keyRings/R/cryptoKeys/K`",
        check=matches(
            "projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+",
            "projects/P/locations/L/keyRings/R/cryptoKeys/K",
        ),
        configurable="anywhere",
        terraform="kms_key",
    ),
    "labels": Option(
        doc="labels of everything that is made for the task",
        takes=f"name to text, at most {MAX_LABELS}",
        check=check_labels,
        merge="map",
        configurable="anywhere",
        terraform="labels",
    ),
    "deletion_protection": Option(
        doc="Terraform refuses to delete the service, worker pool or Cloud Run job, its topics and "
        "its subscriptions",
        takes="`true` or `false`",
        check=IS_SWITCH,
        default=True,
        configurable="anywhere",
        terraform="function.deletion_protection",
    ),
    "ignore": Option(
        doc="rules of `ucam-faas check` that are not applied to the task; `RULE:NAME` leaves out "
        "one thing",
        takes="names of rules",
        check=IS_TEXT,
        merge="list",
        configurable="anywhere",
    ),
}
_NAMED = {name: option._replace(name=name) for name, option in _CONFIGURATION.items()}


def keys() -> dict[str, Option]:
    """Return all keys of the configuration, and the options of the code that it shows, by name."""
    code = {name: option for name, option in OPTIONS.items() if option.configurable != "no"}
    return code | _NAMED
