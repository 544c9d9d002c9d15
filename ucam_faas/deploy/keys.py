"""The keys of the configuration, in one table: what each takes, and where it may stand.

Reading, merging, `ucam-faas config` and the table in docs/deployment-configuration.md follow it.
Sources of the limits: Google's pages "Restrict ingress", "Labels overview", "Subscription
properties", "Bucket names" and the resource names of IAM, Cloud KMS, Monitoring and VPC access.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import Enum, StrEnum
from typing import Any

from ucam_faas.config import Settings
from ucam_faas.deploy.value_checks import (
    IS_SWITCH,
    IS_TABLE,
    IS_TEXT,
    Check,
    is_such,
    label_problem,
    matches,
    one_of,
    passes,
)
from ucam_faas.gcp.limits import MAX_RETENTION_SECONDS, MIN_RETENTION_SECONDS
from ucam_faas.tasks import resources
from ucam_faas.tasks.policies import check_topic
from ucam_faas.tasks.resources import Resources


class Kind(StrEnum):
    """What a key holds, and so how layers merge."""

    SCALAR = "value"
    LIST = "list"
    MAP = "map"
    TABLE = "table"
    """Keys of its own."""


class Where(Enum):
    """Which layers may have a key."""

    ANY = "anywhere"
    APP = "app or stage"
    CODE = "code only"


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key.

    Args:
        takes: what its values are, for people.
        check: of a value, an item or an entry.
        doc: what it does.
        default: of a SCALAR.
        keys: of a TABLE.
    """

    name: str
    kind: Kind = Kind.SCALAR
    takes: str
    check: Check
    doc: str
    default: Any = None
    where: Where = Where.ANY
    keys: Mapping[str, Key] = field(default_factory=dict)


DEFAULT_RETENTION_SECONDS = 7 * 24 * 3600
MAX_LABELS = 64
_RETENTION = f"{MIN_RETENTION_SECONDS} to {MAX_RETENTION_SECONDS} seconds (10 minutes to 31 days)"
_INGRESS = ("all", "internal", "internal-and-cloud-load-balancing")
_EGRESS = ("private-ranges-only", "all-traffic")
(_LEVEL,) = (spec for spec in fields(Settings) if spec.name == "log_level")
_LEVELS: tuple[str, ...] = _LEVEL.metadata["choices"]


def _table(*keys: Key) -> dict[str, Key]:
    return {key.name: key for key in keys}


VPC_ACCESS = _table(
    Key(
        name="network",
        takes="name or path of a network",
        check=IS_TEXT,
        doc="direct VPC egress: the network",
    ),
    Key(
        name="subnetwork",
        takes="name or path of a subnetwork",
        check=IS_TEXT,
        doc="direct VPC egress: the subnetwork",
    ),
    Key(
        name="tags",
        kind=Kind.LIST,
        takes="network tags",
        check=matches(
            "[a-z]([a-z0-9-]{0,61}[a-z0-9])?",
            "a network tag: at most 63 lower-case letters, digits and -, a letter first",
        ),
        doc="direct VPC egress: what firewall rules know the instances by",
    ),
    Key(
        name="connector",
        takes="`projects/P/locations/R/connectors/C`",
        check=matches(
            "projects/[^/]+/locations/[^/]+/connectors/[^/]+",
            "projects/P/locations/R/connectors/C",
        ),
        doc="a Serverless VPC Access connector, instead of a network",
    ),
    Key(
        name="egress",
        takes=" or ".join(f"`{choice}`" for choice in _EGRESS),
        check=one_of(_EGRESS),
        doc="what goes through the VPC",
    ),
)

KEYS = _table(
    Key(
        name="project",
        takes="project id",
        check=matches(
            "([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]",
            "a project id: 6 to 30 lower-case letters, digits and -, a letter first",
        ),
        doc="the project that it is deployed to",
        where=Where.APP,
    ),
    Key(
        name="region",
        takes="region",
        check=matches("[a-z]+-[a-z]+[0-9]+", "a region, such as europe-west2"),
        doc="where it runs",
        where=Where.APP,
    ),
    Key(
        name="source",
        takes="file, folder or module",
        check=IS_TEXT,
        doc="where the tasks are, if neither `--source` nor `FUNCTION_SOURCE` says; a path is "
        "relative to the configuration file",
        where=Where.APP,
    ),
    Key(
        name="run_as",
        takes="`service` or `job`",
        check=one_of(resources.RUN_AS),
        doc="a Cloud Run service, or a job",
        default="service",
        where=Where.CODE,
    ),
    Key(
        name="memory",
        takes="128Mi to 32Gi",
        check=passes(resources.memory_bytes),
        doc="of an instance",
        default="512Mi",
    ),
    Key(
        name="cpu",
        takes="1, 2, 4, 6, 8, or 0.08 to 1",
        check=passes(resources.cpu_count),
        doc="of an instance",
        default=1,
    ),
    Key(
        name="min_instances",
        takes="whole number",
        check=passes(lambda value: Resources(min_instances=value)),
        doc="kept warm",
        default=0,
    ),
    Key(
        name="max_instances",
        takes="whole number",
        check=passes(lambda value: Resources(max_instances=value)),
        doc="the most at a time",
        default=100,
    ),
    Key(
        name="service_account",
        takes="email of a service account",
        check=matches(
            r"[^@\s]+@[^@\s]+\.gserviceaccount\.com",
            "the email of a service account, such as name@project.iam.gserviceaccount.com",
        ),
        doc="what it runs as; none: an account of its own is made",
    ),
    Key(
        name="ingress",
        takes=", ".join(f"`{choice}`" for choice in _INGRESS),
        check=one_of(_INGRESS),
        doc="who may reach it; Pub/Sub's pushes in the same project are internal",
        default="internal",
    ),
    Key(
        name="vpc_access",
        kind=Kind.TABLE,
        takes="table of " + ", ".join(f"`{name}`" for name in VPC_ACCESS),
        check=IS_TABLE,
        doc="its way into a VPC network: a connector, or direct egress",
        keys=VPC_ACCESS,
    ),
    Key(
        name="environment",
        kind=Kind.MAP,
        takes="variable to text",
        check=passes(lambda entry: Resources(environment=entry)),
        doc="environment variables; no secrets",
    ),
    Key(
        name="secrets",
        kind=Kind.MAP,
        takes='variable to `"SECRET"`, `"SECRET:VERSION"` or `"projects/P/secrets/S/versions/V"`',
        check=passes(lambda entry: Resources(secrets=entry)),
        doc="environment variables from Secret Manager",
    ),
    Key(
        name="publishes_to",
        kind=Kind.LIST,
        takes="topics: `T` or `projects/P/topics/T`",
        check=passes(check_topic),
        doc="topics that it may publish to",
    ),
    Key(
        name="log_level",
        takes=", ".join(f"`{choice}`" for choice in _LEVELS),
        check=one_of(_LEVELS),
        doc="the lowest severity that is logged",
        default=_LEVEL.default,
    ),
    Key(
        name="alert_channels",
        kind=Kind.LIST,
        takes="`projects/P/notificationChannels/C`",
        check=matches(
            "projects/[^/]+/notificationChannels/[^/]+", "projects/P/notificationChannels/C"
        ),
        doc="who is told when something goes wrong",
    ),
    Key(
        name="message_retention_seconds",
        takes=_RETENTION,
        check=is_such(
            lambda value: (
                type(value) is int and MIN_RETENTION_SECONDS <= value <= MAX_RETENTION_SECONDS
            ),
            f"{_RETENTION}, Pub/Sub's limits",
        ),
        doc="how long its subscription keeps a message",
        default=DEFAULT_RETENTION_SECONDS,
    ),
    Key(
        name="dead_letter_archive",
        takes="name of a bucket",
        check=matches(
            "[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]",
            "the name of a bucket, without gs://: lower-case letters, digits, -, _ and .",
        ),
        doc="bucket that dead letters are also written to",
    ),
    Key(
        name="kms_key",
        takes="`projects/P/locations/L/keyRings/R/cryptoKeys/K`",
        check=matches(
            "projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+",
            "projects/P/locations/L/keyRings/R/cryptoKeys/K",
        ),
        doc="customer-managed key that encrypts it and its topics",
    ),
    Key(
        name="labels",
        kind=Kind.MAP,
        takes="name to text",
        check=label_problem,
        doc=f"labels of everything that is made for it; at most {MAX_LABELS}",
    ),
    Key(
        name="deletion_protection",
        takes="`true` or `false`",
        check=IS_SWITCH,
        doc="Terraform refuses to delete it",
        default=True,
    ),
    Key(
        name="ignore",
        kind=Kind.LIST,
        takes="names of rules",
        check=IS_TEXT,
        doc="rules of `ucam-faas check` that do not hold for it",
    ),
)
