"""Faults in the variables that a user of the module sets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.terraform.cases import JOB
from tests.terraform.faults import NOTHING, PLAN, VARIABLES, Fault

Variables = dict[str, Any]


def put(path: str, value: Any) -> Callable[[Variables], None]:
    """Return a change that sets the value at `a.b.c`."""
    *above, last = path.split(".")

    def change(variables: Variables) -> None:
        for name in above:
            variables = variables[name]
        variables[last] = value

    return change


def drop(path: str) -> Callable[[Variables], None]:
    """Return a change that removes the value at `a.b.c`."""
    *above, last = path.split(".")

    def change(variables: Variables) -> None:
        for name in above:
            variables = variables[name]
        del variables[last]

    return change


def wrong(what: str, change: Callable[[Variables], None], says: str, **options: Any) -> Fault:
    return Fault(what=what, variables=change, layer=VARIABLES, says=says, **options)


SUBSCRIPTION = "triggers.subscriptions.orders"
SCHEDULE = "triggers.cron_schedules.orders-nightly"

IN_VARIABLES = [
    wrong("capitals in the name", put("name", "Orders"), "name is"),
    wrong("the number of the project for its id", put("project", "123456789"), "project is"),
    wrong("a zone for a region", put("region", "europe-west2-a"), "region is"),
    Fault(
        what="no image of a task that isn't deployed",
        variables=drop("function.container_image"),
        layer=PLAN,
        says="services/orders not found",
    ),
    wrong("an unknown way to run", put("function.run_as", "function"), "run_as"),
    wrong("an amount of memory that is none", put("function.memory", "lots"), "memory"),
    wrong("three CPUs", put("function.cpu", "3"), "cpu"),
    wrong("longer than a push may take", put("function.timeout_seconds", 601), "600"),
    wrong(
        "longer than a Cloud Run job may take",
        put("function.timeout_seconds", 604801),
        "604800",
        use=JOB,
    ),
    wrong("an unknown ingress", put("function.ingress", "INTERNAL"), "ingress"),
    wrong("a list for a map", put("function.environment", ["A", "B"]), "environment"),
    wrong("a variable that the module sets", put("function.environment.PORT", "1"), "PORT"),
    wrong("a secret itself", put("function.secrets.API_KEY.secret", "pa$$ word"), "secrets"),
    wrong("a network and a connector", put("function.vpc_access.connector", "c"), "vpc_access"),
    wrong("an invoker without its kind", put("function.invokers", ["me@example.org"]), "invokers"),
    wrong("less than no instances", put("concurrency.min_instances", -1), "min_instances"),
    wrong(
        "fewer attempts than Pub/Sub makes",
        put(f"{SUBSCRIPTION}.dead_letter.max_attempts", 4),
        "max_attempts",
    ),
    wrong(
        "an ack deadline below the task's",
        put(f"{SUBSCRIPTION}.ack_deadline_seconds", 60),
        "ack_deadline_seconds",
    ),
    wrong(
        "retention of half a year",
        put(f"{SUBSCRIPTION}.message_retention_seconds", 15552000),
        "message_retention_seconds",
    ),
    wrong(
        "the longest wait is the shorter one",
        put(f"{SUBSCRIPTION}.retry", {"min_backoff_seconds": 60, "max_backoff_seconds": 30}),
        "max_backoff_seconds",
    ),
    wrong(
        "dead letters go back to where they came from",
        put(f"{SUBSCRIPTION}.dead_letter.topic", "orders"),
        "dead_letter.topic",
    ),
    wrong("a schedule of six fields", put(f"{SCHEDULE}.schedule", "0 0 3 * * *"), "five fields"),
    wrong("data that is not base64", put(f"{SCHEDULE}.data", "{}"), "base64"),
    wrong("a channel by its name", put("alerting.notification_channels", ["ops"]), "channels"),
    wrong("a label with capitals", put("labels", {"Team": "accounts"}), "labels"),
    wrong("a key's short name", put("kms_key", "tasks"), "kms_key"),
    wrong("a bucket's URL", put("dead_letter_archive", "gs://b"), "dead_letter_archive"),
    Fault(
        what="a variable is forgotten",
        variables=drop("region"),
        layer=PLAN,
        says='The root module input variable "region" is not set',
    ),
    Fault(
        what="a misspelt key in a variable: Terraform drops what a type does not have",
        variables=put("function.memmory", "1Gi"),
        layer=NOTHING,
        says="ucam-faas plan, which writes no such keys; `terraform console` shows the value",
    ),
    Fault(
        what="a misspelt variable: Terraform warns, and goes on",
        variables=put("label", {"team": "accounts"}),
        layer=NOTHING,
        says="the warning",
    ),
    Fault(
        what="a region that Google does not have",
        variables=put("region", "europe-west99"),
        layer=NOTHING,
        says="Cloud Run, when the service is made",
    ),
    Fault(
        what="a secret that does not exist",
        variables=put("function.secrets.API_KEY.version", "300"),
        layer=NOTHING,
        says="Cloud Run, when the service is made",
    ),
    Fault(
        what="an image that does not exist",
        variables=put("function.container_image", "europe-docker.pkg.dev/p/tasks/none:1"),
        layer=NOTHING,
        says="Cloud Run, when the service is made",
    ),
    Fault(
        what="a time zone that does not exist",
        variables=put(f"{SCHEDULE}.time_zone", "Europe/Cambridge"),
        layer=NOTHING,
        says="ucam-faas check; Cloud Scheduler, when the schedule is made",
    ),
    Fault(
        what="a schedule that never fires",
        variables=put(f"{SCHEDULE}.schedule", "0 3 31 2 *"),
        layer=NOTHING,
        says="ucam-faas check",
    ),
]
