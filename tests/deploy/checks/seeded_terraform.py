"""Faults for Terraform's plan of the clean collection, as if written by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from .seeded import CONFIG, task

COUNT = 'module.tasks.module.task["count_orders"].'
PAY = 'module.tasks.module.task["pay_back"].'
SHOW = 'module.tasks.module.task["show_order"].'
CLEAN = 'module.tasks.module.task["clean_up"].'
CUT = 'module.tasks.module.task["cut_film"].'
CUT_PULL = f'{CUT}google_pubsub_subscription.push["cut_film"]'
CUT_POOL = f"{CUT}google_cloud_run_v2_worker_pool.this[0]"
SERVICE, JOB = "google_cloud_run_v2_service.this[0]", "google_cloud_run_v2_job.this[0]"
COUNT_PUSH = f'{COUNT}google_pubsub_subscription.push["count_orders"]'
PAY_PUSH = f'{PAY}google_pubsub_subscription.push["pay_back"]'
COUNT_CALLS = f"{COUNT}google_cloud_run_v2_service_iam_member.push[0]"
ORDERS = 'module.tasks.google_pubsub_topic.this["orders"]'
COUNT_KEPT = 'module.tasks.google_pubsub_subscription.dead_letter["count_orders-dead-letter"]'
CLEAN_SCHEDULE = f'{CLEAN}google_cloud_scheduler_job.schedule["clean_up"]'
MODULE = ("infra/main.tf", 'module "tasks"')
AGENT = "serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com"

Plan = dict[str, Any]
Change = Callable[[Plan], None]


@dataclass(frozen=True, slots=True)
class TerraformSeed:
    """A fault.

    Args:
        made: whether the fault is in the plan after deployment, which has no unknown values.
        also: the other rules that it breaks, too.
        file: a file of the root module, with its text.
    """

    name: str
    rule: str
    changes: tuple[Change, ...]
    at: tuple[str, str] = MODULE
    made: bool = False
    also: tuple[str, ...] = ()
    says: str = ""
    file: tuple[str, str] | None = None


def modules(plan: Plan) -> Iterator[dict[str, Any]]:
    """Yield the modules of a plan, the root first."""
    open_ends = [plan["planned_values"]["root_module"]]
    while open_ends:
        module = open_ends.pop()
        yield module
        open_ends += module.get("child_modules", [])


def drop(*addresses: str) -> Change:
    """Leave resources out."""

    def change(plan: Plan) -> None:
        for module in modules(plan):
            resources = module.get("resources", [])
            module["resources"] = [
                resource for resource in resources if resource["address"] not in addresses
            ]
        there = [
            resource for resource in plan["resource_changes"] if resource["address"] in addresses
        ]
        assert len(there) == len(addresses), f"expected {addresses}"

    return change


def put(address: str, *path: str, value: Any) -> Change:
    """Set a value; if a block is repeated, in the first."""

    def change(plan: Plan) -> None:
        (resource,) = (
            resource
            for module in modules(plan)
            for resource in module.get("resources", [])
            if resource["address"] == address
        )
        *blocks, last = path
        target = resource["values"]
        for block in blocks:
            inner = target[block]
            target = inner[0] if isinstance(inner, list) else inner
        target[last] = value

    return change


def add(kind: str, called: str, /, **values: Any) -> Change:
    """Add a resource to the root module."""

    def change(plan: Plan) -> None:
        (root, *_) = modules(plan)
        entry = {"address": f"{kind}.{called}", "mode": "managed", "type": kind, "name": called}
        root.setdefault("resources", []).append({**entry, "values": values})

    return change


def set_variable(address: str, name: str, value: str) -> Change:
    """Set an environment variable of a service."""

    def change(plan: Plan) -> None:
        for module in modules(plan):
            for resource in module.get("resources", []):
                if resource["address"] == address:
                    container = resource["values"]["template"][0]["containers"][0]
                    kept = [entry for entry in container["env"] if entry["name"] != name]
                    new = {"name": name, "value": value, "value_source": []}
                    container["env"] = [*kept, new]

    return change


def set_second_image(address: str, image: str) -> Change:
    """Set the image of a service's second container."""

    def change(plan: Plan) -> None:
        for module in modules(plan):
            for resource in module.get("resources", []):
                if resource["address"] == address:
                    resource["values"]["template"][0]["containers"][1]["image"] = image

    return change


def plan_to(
    address: str,
    *actions: str,
    reason: str = "",
    because: str | None = None,
    now_at: str | None = None,
    **before: Any,
) -> Change:
    """Let Terraform do this with a resource that exists.

    Args:
        because: the attribute for which it is replaced.
        now_at: the address at which it is; Terraform makes it at the first one.
        before: values that it has now.
    """

    def change(plan: Plan) -> None:
        (entry,) = (entry for entry in plan["resource_changes"] if entry["address"] == address)
        entry["change"]["before"] |= before
        if now_at is not None:
            old = {**entry, "address": now_at, "change": {**entry["change"], "after": None}}
            plan["resource_changes"].append(old)
            entry["change"] = {**entry["change"], "before": None, "actions": ["create"]}
            entry = old
        entry["change"]["actions"] = list(actions)
        entry["action_reason"] = reason
        if because is not None:
            entry["change"]["replace_paths"] = [[because]]

    return change


REPLACE = ("delete", "create")


def gone(kind: str, *, replaced: bool = False, **values: Any) -> Change:
    """Let Terraform delete, or replace, a resource of the root module that exists."""

    def change(plan: Plan) -> None:
        actions = [*REPLACE] if replaced else ["delete"]
        after = values if replaced else None
        entry = {"address": f"{kind}.it", "mode": "managed", "type": kind, "name": "it"}
        actual = {"before": values, "after": after, "after_unknown": {}, "actions": actions}
        plan["resource_changes"].append({**entry, "change": actual})

    return change


PROJECT_GRANT = add(
    "google_project_iam_member",
    "editor",
    project="my-project",
    role="roles/editor",
    member="serviceAccount:count-orders-runtime@my-project.iam.gserviceaccount.com",
)
PROJECT_GRANT_FILE = (
    "infra/extra.tf",
    '# by hand\nresource "google_project_iam_member" "editor" {\n}\n',
)

TASKS = [
    TerraformSeed(
        "a task without a service",
        "terraform-task-missing",
        (drop(f"{SHOW}{SERVICE}"),),
        at=task("show_order"),
        says="no Cloud Run service",
    ),
    TerraformSeed(
        "a task without its subscription",
        "terraform-task-missing",
        (drop(COUNT_PUSH),),
        at=task("count_orders"),
        says="no subscription",
    ),
    TerraformSeed(
        "a worker without its subscription",
        "terraform-task-missing",
        (drop(CUT_PULL),),
        at=task("cut_film"),
        says="no subscription 'cut_film' to pull",
    ),
    TerraformSeed(
        "a worker pool of another size",
        "terraform-differs",
        (put(CUT_POOL, "scaling", "manual_instance_count", value=0),),
        says="the number of instances is 0; the code and the configuration say 1",
    ),
    TerraformSeed(
        "a Cloud Run job without its schedule",
        "terraform-task-missing",
        (drop(CLEAN_SCHEDULE),),
        at=task("clean_up"),
        says="no schedule 'clean_up'",
    ),
    TerraformSeed(
        "a service for a task that is no more",
        "terraform-task-unknown",
        (
            add(
                "google_cloud_run_v2_service",
                "old",
                name="old",
                template=[{"containers": [{"env": [{"name": "FUNCTION_TARGET", "value": "old"}]}]}],
            ),
        ),
        at=("infra/extra.tf", 'resource "google_cloud_run_v2_service"'),
        file=("infra/extra.tf", '\nresource "google_cloud_run_v2_service" "old" {\n}\n'),
    ),
    TerraformSeed(
        "an ack deadline shorter than the task's timeout",
        "deadline-ladder",
        (put(COUNT_PUSH, "ack_deadline_seconds", value=20),),
        says="an ack deadline of 20 s; expected at least the task's 60 s",
    ),
    TerraformSeed(
        "an ack deadline longer than Cloud Run waits",
        "deadline-ladder",
        (put(COUNT_PUSH, "ack_deadline_seconds", value=600),),
        says="at most Cloud Run's 70 s",
    ),
    TerraformSeed(
        "a service that ends before the task",
        "deadline-ladder",
        (put(f"{COUNT}{SERVICE}", "template", "timeout", value="30s"),),
        says="a timeout of 30 s; expected at least 60 s",
    ),
    TerraformSeed(
        "a Cloud Run job that ends before the task",
        "deadline-ladder",
        (put(f"{CLEAN}{JOB}", "template", "template", "timeout", value="600s"),),
        says="expected at least 7200 s",
    ),
    TerraformSeed(
        "another memory",
        "terraform-differs",
        (
            put(
                f"{COUNT}{SERVICE}",
                *("template", "containers", "resources", "limits"),
                value={"cpu": "1", "memory": "2Gi"},
            ),
        ),
        says="memory is '2Gi'; the code and the configuration say '512Mi'",
    ),
    TerraformSeed(
        "another region",
        "terraform-differs",
        (put(f"{SHOW}{SERVICE}", "location", value="us-east1"),),
        says="the region is 'us-east1'",
    ),
    TerraformSeed(
        "another value of a variable",
        "terraform-differs",
        (set_variable(f"{COUNT}{SERVICE}", "MODE", "lax"),),
        says="the variable MODE is 'lax'",
    ),
    TerraformSeed(
        "another version of a secret",
        "terraform-differs",
        (
            put(
                f"{COUNT}{SERVICE}",
                *("template", "containers", "env", "value_source", "secret_key_ref", "version"),
                value="1",
            ),
        ),
        says="the secret in API_KEY",
    ),
    TerraformSeed(
        "other attempts",
        "terraform-differs",
        (put(PAY_PUSH, "dead_letter_policy", "max_delivery_attempts", value=5),),
        says="the number of attempts is 5",
    ),
    TerraformSeed(
        "another backoff",
        "terraform-differs",
        (put(PAY_PUSH, "retry_policy", "minimum_backoff", value="1s"),),
        says="the minimum backoff is 1.0",
    ),
    TerraformSeed(
        "another filter",
        "terraform-differs",
        (put(PAY_PUSH, "filter", value=""),),
        says="the filter",
    ),
    TerraformSeed(
        "a topic that keeps messages",
        "terraform-differs",
        (put(ORDERS, "message_retention_duration", value="600s"),),
        says="retention is 600.0; the code and the configuration say absent",
    ),
    TerraformSeed(
        "a topic with a schema",
        "terraform-differs",
        (put(ORDERS, "schema_settings", value=[{"schema": "orders", "encoding": "JSON"}]),),
        says="the encoding by its schema is 'JSON'; the code and the configuration say absent",
    ),
    TerraformSeed(
        "a topic that may be stored in one region only",
        "terraform-differs",
        (
            put(
                *(ORDERS, "message_storage_policy"),
                value=[{"allowed_persistence_regions": ["europe-west2"]}],
            ),
        ),
        says="the list of regions is ['europe-west2']; the code and the configuration say []",
    ),
    TerraformSeed(
        "another schedule",
        "terraform-differs",
        (put(CLEAN_SCHEDULE, "schedule", value="0 4 * * *"),),
        says="the schedule is '0 4 * * *'",
    ),
    TerraformSeed(
        "a paused schedule",
        "terraform-differs",
        (put(CLEAN_SCHEDULE, "paused", value=True),),
        says="paused is True",
    ),
    TerraformSeed(
        "topics that are not handed on",
        "terraform-topic-missing",
        (drop('module.tasks.google_pubsub_topic.this["orders"]'),),
        at=task("count_orders"),
    ),
    TerraformSeed(
        "a drain that Terraform lengthens",
        "drain-too-long",
        (set_variable(f"{SHOW}{SERVICE}", "UCAM_FAAS_GRACE_SECONDS", "60"),),
    ),
]

DELIVERY = [
    TerraformSeed(
        "a subscription that expires by default",
        "subscription-expires",
        (put(COUNT_PUSH, "expiration_policy", value=[]),),
        says="after 31 days",
    ),
    TerraformSeed(
        "dead letters that expire",
        "subscription-expires",
        (put(COUNT_KEPT, "expiration_policy", value=[{"ttl": "86400s"}]),),
    ),
    TerraformSeed(
        "dead letters without a subscription", "dead-letters-unread", (drop(COUNT_KEPT),)
    ),
    TerraformSeed(
        "a push to another path",
        "push-path-wrong",
        (put(COUNT_PUSH, "push_config", "push_endpoint", value="https://x.run.app/pay_back"),),
        made=True,
    ),
    TerraformSeed(
        "a push to a worker",
        "delivery-wrong",
        (put(CUT_PULL, "push_config", value=[{"push_endpoint": "https://example.org/cut_film"}]),),
        says="pushes, and the task 'cut_film' is a worker",
        also=("push-refused",),
    ),
    TerraformSeed(
        "a subscription of a service that doesn't push",
        "delivery-wrong",
        (put(COUNT_PUSH, "push_config", value=[]),),
        made=True,
        says="doesn't push, and the task 'count_orders' is a service",
    ),
    TerraformSeed(
        "a push from another project",
        "push-kept-out",
        (put(COUNT_PUSH, "project", value="other-project"),),
        also=("terraform-differs",),
    ),
]

GRANTS = [
    TerraformSeed(
        "no grant to call the service",
        "push-refused",
        (drop(f"{COUNT}google_cloud_run_v2_service_iam_member.push[0]"),),
        says="lacks roles/run.invoker on the service count-orders",
    ),
    TerraformSeed(
        "a grant to call the service for another account",
        "push-refused",
        (
            put(
                f"{COUNT}google_cloud_run_v2_service_iam_member.push[0]",
                "member",
                value="serviceAccount:count-orders-runtime@my-project.iam.gserviceaccount.com",
            ),
        ),
        made=True,
    ),
    TerraformSeed(
        "a push without a token",
        "push-refused",
        (put(COUNT_PUSH, "push_config", "oidc_token", value=[]),),
        made=True,
        says="pushes without a token",
    ),
    TerraformSeed(
        "no grant to sign",
        "push-unsigned",
        (drop("module.tasks.google_service_account_iam_member.push_token[0]"),),
    ),
    TerraformSeed(
        "one account for pushes and for the task",
        "one-account-for-both",
        (
            put(
                f"{COUNT}{SERVICE}",
                *("template", "service_account"),
                value="ucam-faas-push@my-project.iam.gserviceaccount.com",
            ),
        ),
        also=("publish-refused", "role-refused", "secret-refused"),
        made=True,
    ),
    TerraformSeed(
        "the project's default account",
        "default-account",
        (put(f"{SHOW}{SERVICE}", "template", "service_account", value=None),),
        made=True,
    ),
    TerraformSeed(
        "no grant on the dead-letter topic",
        "dead-letters-refused",
        (drop('module.tasks.google_pubsub_topic_iam_member.dead_letter_agent["failed-refunds"]'),),
        says="roles/pubsub.publisher on the topic projects/my-project/topics/failed-refunds",
    ),
    TerraformSeed(
        "no grant on the source subscription",
        "dead-letters-refused",
        (drop(f'{COUNT}google_pubsub_subscription_iam_member.dead_letter_agent["count_orders"]'),),
        says="roles/pubsub.subscriber on the subscription count_orders",
    ),
    TerraformSeed(
        "no grant to pull",
        "pull-refused",
        (drop(f'{CUT}google_pubsub_subscription_iam_member.pull["cut_film"]'),),
        says="lacks roles/pubsub.subscriber on the subscription cut_film",
    ),
    TerraformSeed(
        "no grant on a secret",
        "secret-refused",
        (drop(f'{COUNT}google_secret_manager_secret_iam_member.run_time["api-key"]'),),
    ),
    TerraformSeed(
        "no grant to publish",
        "publish-refused",
        (
            drop(
                f'{COUNT}google_pubsub_topic_iam_member.publishes_to["projects/my-project/topics/refunds"]'
            ),
        ),
    ),
    TerraformSeed(
        "no grant to connect to Cloud SQL",
        "volume-refused",
        (drop(f'{PAY}google_project_iam_member.cloud_sql["my-project:europe-west2:refunds"]'),),
        says="roles/cloudsql.client on the Cloud SQL instance my-project:europe-west2:refunds",
    ),
    TerraformSeed(
        "the grant for another Cloud SQL instance",
        "volume-refused",
        (
            put(
                f'{PAY}google_project_iam_member.cloud_sql["my-project:europe-west2:refunds"]',
                "condition",
                "expression",
                value='resource.name == "projects/my-project/instances/orders"',
            ),
        ),
        made=True,
    ),
    TerraformSeed(
        "no grant of a role of the configuration",
        "role-refused",
        (
            drop(
                f"{PAY}google_bigquery_dataset_iam_member.role"
                '["roles/bigquery.dataEditor on projects/my-project/datasets/refunds"]'
            ),
        ),
        says="roles/bigquery.dataEditor on projects/my-project/datasets/refunds",
    ),
    TerraformSeed(
        "no sockets of Cloud SQL",
        "terraform-differs",
        (put(f"{PAY}{SERVICE}", "template", "volumes", value=[]),),
        says="['my-project:europe-west2:refunds']",
    ),
    TerraformSeed(
        "another image of a sidecar",
        "terraform-differs",
        (set_second_image(f"{PAY}{SERVICE}", "proxy:2"),),
        says="the image of the sidecar proxy is 'proxy:2'",
    ),
    TerraformSeed(
        "no volumes",
        "terraform-differs",
        (put(f"{PAY}{SERVICE}", "template", "containers", "volume_mounts", value=[]),),
    ),
    TerraformSeed(
        "a bucket that the task may only read",
        "volume-refused",
        (
            put(
                f'{PAY}google_storage_bucket_iam_member.volume["receipts"]',
                "role",
                value="roles/storage.objectViewer",
            ),
        ),
        says="roles/storage.objectUser on the bucket receipts at /mnt/receipts",
    ),
    TerraformSeed(
        "no grant to read a bucket",
        "volume-refused",
        (drop(f'{PAY}google_storage_bucket_iam_member.volume["rates"]'),),
        says="roles/storage.objectViewer on the bucket rates",
    ),
    TerraformSeed(
        "no grant on the secret of a file",
        "secret-refused",
        (drop(f'{PAY}google_secret_manager_secret_iam_member.run_time["bank-key"]'),),
        says="the secret bank-key of /etc/keys/bank",
    ),
    TerraformSeed(
        "no grant to run the Cloud Run job",
        "schedule-refused",
        (drop(f"{CLEAN}google_cloud_run_v2_job_iam_member.scheduler[0]"),),
    ),
    TerraformSeed(
        "a role on the project",
        "granted-above",
        (PROJECT_GRANT,),
        at=("infra/extra.tf", "resource"),
        file=PROJECT_GRANT_FILE,
    ),
    TerraformSeed(
        "a role of the account that pushes to all tasks on the project",
        "granted-above",
        (
            add(
                "google_project_iam_member",
                "editor",
                project="my-project",
                role="roles/run.invoker",
                member="serviceAccount:ucam-faas-push@my-project.iam.gserviceaccount.com",
            ),
        ),
        at=("infra/extra.tf", "resource"),
        file=PROJECT_GRANT_FILE,
    ),
    TerraformSeed(
        "a role of Pub/Sub's on the project",
        "granted-above",
        (
            add(
                "google_project_iam_binding",
                "editor",
                project="my-project",
                role="roles/pubsub.editor",
                members=[AGENT],
            ),
        ),
        at=("infra/extra.tf", "resource"),
        file=("infra/extra.tf", 'resource "google_project_iam_binding" "editor" {\n}\n'),
    ),
    TerraformSeed(
        "a topic to which anyone may publish",
        "granted-to-all",
        (
            add(
                "google_pubsub_topic_iam_member",
                "all",
                topic="orders",
                role="roles/pubsub.publisher",
                member="allUsers",
            ),
        ),
        at=("infra/extra.tf", "resource"),
        file=("infra/extra.tf", 'resource "google_pubsub_topic_iam_member" "all" {\n}\n'),
    ),
    TerraformSeed(
        "a secret that anyone may read",
        "granted-to-all",
        (
            add(
                "google_secret_manager_secret_iam_member",
                "all",
                secret_id="api-key",
                role="roles/secretmanager.secretAccessor",
                member="allUsers",
            ),
        ),
        at=("infra/extra.tf", "resource"),
        file=("infra/extra.tf", 'resource "google_secret_manager_secret_iam_member" "all" {\n}\n'),
    ),
    TerraformSeed(
        "a subscription that anyone may read",
        "granted-to-all",
        (
            add(
                "google_pubsub_subscription_iam_member",
                "all",
                subscription="count_orders",
                role="roles/pubsub.subscriber",
                member="allUsers",
            ),
        ),
        at=("infra/extra.tf", "resource"),
        file=("infra/extra.tf", 'resource "google_pubsub_subscription_iam_member" "all" {\n}\n'),
    ),
    TerraformSeed(
        "a service that takes messages from anybody",
        "granted-to-all",
        (
            add(
                "google_cloud_run_v2_service_iam_member",
                "all",
                name="count-orders",
                role="roles/run.invoker",
                member="allUsers",
            ),
        ),
        at=("infra/extra.tf", "resource"),
        file=("infra/extra.tf", 'resource "google_cloud_run_v2_service_iam_member" "all" {\n}\n'),
    ),
]

DELETIONS = [
    TerraformSeed(
        "another filter",
        "subscription-deleted",
        (plan_to(COUNT_PUSH, *REPLACE, because="filter"),),
        at=task("count_orders"),
        made=True,
        says="replace the subscription 'count_orders': its filter changes",
    ),
    TerraformSeed(
        "a subscription at another address",
        "subscription-deleted",
        (plan_to(COUNT_PUSH, "delete", now_at="module.count.google_pubsub_subscription.push[0]"),),
        at=task("count_orders"),
        made=True,
        says="delete the subscription 'count_orders', and make it again at another address",
    ),
    TerraformSeed(
        "dead letters that are replaced",
        "dead-letters-deleted",
        (plan_to(COUNT_KEPT, "create", "delete", because="topic"),),
        at=task("count_orders"),
        made=True,
        says="replace the subscription 'count_orders-dead-letter': its topic changes",
    ),
    TerraformSeed(
        "a topic that is replaced",
        "topic-deleted",
        (plan_to(ORDERS, *REPLACE, because="name"),),
        made=True,
        says="replace the topic 'orders'",
    ),
    TerraformSeed(
        "a protected service in another region",
        "protected-deleted",
        (plan_to(f"{COUNT}{SERVICE}", *REPLACE, because="location"),),
        at=(CONFIG, "region ="),
        made=True,
        says="replace the service 'count-orders': its region changes",
    ),
    TerraformSeed(
        "a protected Cloud Run job",
        "protected-deleted",
        (plan_to(f"{CLEAN}{JOB}", *REPLACE),),
        at=task("clean_up"),
        made=True,
    ),
    TerraformSeed(
        "a service that did not start",
        "tainted",
        (
            plan_to(f"{COUNT}{SERVICE}", *REPLACE, reason="replace_because_tainted"),
            plan_to(COUNT_CALLS, *REPLACE),
        ),
        at=task("count_orders"),
        made=True,
        says="the apply that made it failed",
    ),
    TerraformSeed(
        "another account that pushes, with short retries",
        "push-grant-deleted",
        (plan_to(COUNT_CALLS, *REPLACE, because="member"),),
        at=task("count_orders"),
        made=True,
        says="The retries of a message are used up after 150 s",
    ),
    TerraformSeed(
        "another account that signs, with short retries",
        "push-grant-deleted",
        (plan_to("module.tasks.google_service_account_iam_member.push_token[0]", "delete"),),
        at=task("count_orders"),
        made=True,
    ),
    TerraformSeed(
        "a service that is replaced with its grants, with short retries",
        "push-grant-deleted",
        (plan_to(f"{COUNT}{SERVICE}", *REPLACE, deletion_protection=False),),
        at=task("count_orders"),
        made=True,
    ),
]

TERRAFORM_SEEDS = [*TASKS, *DELIVERY, *GRANTS, *DELETIONS]
