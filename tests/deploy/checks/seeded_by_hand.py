"""Faults of Terraform written by hand beside the module, and deletions under tasks."""

from __future__ import annotations

from .seeded import task
from .seeded_terraform import (
    COUNT,
    COUNT_PUSH,
    MODULE,
    PAY_PUSH,
    SERVICE,
    Change,
    Plan,
    TerraformSeed,
    add,
    gone,
    modules,
    plan_to,
    put,
    set_variable,
)

EXTRA = ("infra/extra.tf", '\nresource "TYPE" "it" {\n}\n')


def lost(
    name: str, kind: str, says: str = "", *, made: bool = True, **values: object
) -> TerraformSeed:
    """Return the deletion of something that tasks use."""
    resource = EXTRA[1].replace("TYPE", kind)
    return TerraformSeed(
        name,
        "used-deleted",
        (gone(kind, **values),),
        at=(EXTRA[0], "resource"),
        made=made,
        says=says,
        file=(EXTRA[0], resource),
    )


LOST_TERRAFORM_SEEDS = [
    TerraformSeed(
        "the schema of a topic that stays",
        "topic-schema-deleted",
        (gone("google_pubsub_schema", name="orders", project="my-project"),),
        at=task("count_orders"),
        made=True,
        says="The topic 'orders' has a schema now, and not after the apply",
    ),
    lost(
        "a secret that a task reads",
        "google_secret_manager_secret",
        "would delete google_secret_manager_secret.it, and the tasks 'count_orders' use it",
        secret_id="api-key",
    ),
    lost(
        "an API that tasks need",
        "google_project_service",
        service="pubsub.googleapis.com",
        disable_on_destroy=True,
    ),
    lost(
        "the repository of the image",
        "google_artifact_registry_repository",
        "and others use it",
        location="europe",
        project="my-project",
        repository_id="tasks",
    ),
    lost(
        "the account of a task",
        "google_service_account",
        account_id="count-orders-runtime",
        email="count-orders-runtime@my-project.iam.gserviceaccount.com",
        project="my-project",
    ),
    TerraformSeed(
        "far fewer attempts than those in Terraform's state",
        "attempts-lowered",
        (
            plan_to(
                PAY_PUSH,
                "update",
                dead_letter_policy=[{"max_delivery_attempts": 40, "dead_letter_topic": "t"}],
            ),
        ),
        at=task("pay_back"),
        made=True,
        says="has 40 attempts now, and 10 after the apply",
    ),
    TerraformSeed(
        "exactly-once delivery of a push",
        "exactly-once-pushed",
        (put(COUNT_PUSH, "enable_exactly_once_delivery", value=True),),
    ),
]

COUNT_SERVICE = f"{COUNT}{SERVICE}"
ACCOUNTS = "projects/my-project/serviceAccounts/"
PROBE = [{"http_get": [{"path": "/health"}]}]
REVISION = {"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": "old", "percent": 100}


def again(plan: Plan) -> None:
    """Subscribe a second time."""
    for module in [*modules(plan)]:
        for resource in module.get("resources", []):
            if resource["address"] == COUNT_PUSH:
                values = {**resource["values"], "name": "again", "dead_letter_policy": []}
                add("google_pubsub_subscription", "again", **values)(plan)


def by_hand(
    name: str,
    rule: str,
    *changes: Change,
    kind: str = "",
    also: tuple[str, ...] = (),
    says: str = "",
) -> TerraformSeed:
    """Return a change by hand, in a deployment that exists.

    Args:
        kind: of a new resource, at which it is found.
    """
    file = (EXTRA[0], EXTRA[1].replace("TYPE", kind)) if kind else None
    at = (EXTRA[0], "resource") if kind else MODULE
    return TerraformSeed(name, rule, changes, at=at, made=True, also=also, file=file, says=says)


HAND_SEEDS = [
    by_hand(
        "tokens for another audience",
        "push-refused",
        put(COUNT_PUSH, "push_config", "oidc_token", "audience", value="https://example.org"),
        says="has tokens for the audience https://example.org",
    ),
    by_hand(
        "all requests to an old revision",
        "traffic-pinned",
        put(COUNT_SERVICE, "traffic", value=[REVISION]),
        says="sends all requests to old",
    ),
    by_hand(
        "a probe at another path",
        "probe-path-wrong",
        put(COUNT_SERVICE, "template", "containers", "startup_probe", value=PROBE),
        says="has a startup_probe at /health",
    ),
    by_hand("a second subscription", "delivered-twice", again, also=("terraform-differs",)),
    by_hand(
        "a second schedule",
        "scheduled-twice",
        add(
            "google_cloud_scheduler_job",
            "it",
            name="probe",
            schedule="*/15 * * * *",
            pubsub_target=[
                {
                    "topic_name": "projects/my-project/topics/orders",
                    "data": "eyJvcmRlcl9pZCI6ICJwcm9iZSJ9",
                }
            ],
        ),
        kind="google_cloud_scheduler_job",
    ),
    by_hand(
        "a binding that removes members",
        "grants-undo-each-other",
        add(
            "google_pubsub_topic_iam_binding",
            "it",
            topic="projects/my-project/topics/refunds",
            role="roles/pubsub.publisher",
            members=["group:team@example.org"],
        ),
        kind="google_pubsub_topic_iam_binding",
        says="has all members of roles/pubsub.publisher on refunds",
    ),
    by_hand(
        "a key of a task's account",
        "account-key",
        add(
            "google_service_account_key",
            "it",
            service_account_id=f"{ACCOUNTS}count-orders-runtime@my-project.iam.gserviceaccount.com",
        ),
        kind="google_service_account_key",
    ),
    by_hand(
        "fewer threads than requests",
        "concurrency-over-threads",
        set_variable(COUNT_SERVICE, "THREADS", "1"),
        says="has concurrency=4, and THREADS is 1",
    ),
]

BY_HAND_SEEDS = [*LOST_TERRAFORM_SEEDS, *HAND_SEEDS]
