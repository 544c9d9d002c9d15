"""The module for a collection, with the variables that `ucam-faas plan` writes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ucam_faas
from ucam_faas import Schedule
from ucam_faas.deploy import layers
from ucam_faas.deploy.plan import make
from ucam_faas.jobs.stores.firestore import indexes
from ucam_faas.tasks.task import Task

from .answers import Snapshot
from .attached import Attached
from .cases import IMAGE, MODULE
from .fixtures import MakeTerraform
from .grants import Grant, broad_grants_in, grants_in
from .needs import unmet_needs
from .runner import Terraform, TerraformError

pytestmark = pytest.mark.slow

FOLDER = "modules/collection"
CALLERS = "group:callers@example.org"
CONFIGURATION = """
project = "my-project"
region = "europe-west2"
dead_letter_archive = "my-dead-letters"
existing_topics = ["elsewhere"]
kept_topics = ["old-dead-letter", "former"]
"""


def tasks(number: int) -> Iterator[Task]:
    """Yield tasks of every kind: most read topics, one answers requests, one is a Cloud Run job."""

    def function(payload: bytes) -> None:
        """Do it."""

    def request() -> str:
        """Answer a request."""
        return ""

    yield ucam_faas.http(path="/call", name="call_me", invokers=[CALLERS])(request).task
    yield ucam_faas.raw_event(run_as="cloud-run-job", schedule="0 3 * * *", name="report")(
        function
    ).task
    for number_of_task in range(number - 2):
        options: dict[str, Any] = {"topic": "elsewhere"} if number_of_task == 0 else {}
        if number_of_task % 4 == 1:
            options["dead_letter_topic"] = "failed"
        if number_of_task % 4 == 2:
            options["dead_letter_topic"] = "projects/other-project/topics/failed"
        name = f"task_{number_of_task}"
        yield ucam_faas.message_handler(message_type=None, name=name, **options)(function).task


def variables_of(folder: Path, number: int, configuration: str = CONFIGURATION) -> dict[str, Any]:
    """Return the variables of the module for a number of tasks."""
    (folder / "ucam-faas.toml").write_text(configuration)
    planned = make(list(tasks(number)), layers.read(folder), None).to_json()
    return {**planned, "container_image": IMAGE}


def changes_in(plan: Snapshot) -> dict[str, list[str]]:
    """Return the actions on each resource that changes."""
    changes = {
        change["address"]: change["change"]["actions"] for change in plan.json["resource_changes"]
    }
    return {address: actions for address, actions in changes.items() if actions != ["no-op"]}


def test_tasks_of_all_kinds_get_their_grants_in_time_and_a_second_plan_has_no_changes(
    terraform: MakeTerraform, tmp_path: Path
) -> None:
    variables = variables_of(tmp_path, 8)
    collection = terraform(FOLDER)
    state = collection.apply(variables)

    assert changes_in(collection.plan(variables)) == {}
    assert unmet_needs(state) == []
    assert broad_grants_in(state) == []


def test_only_the_callers_that_the_code_names_may_call_an_http_task(
    terraform: MakeTerraform, tmp_path: Path
) -> None:
    plan = terraform(FOLDER).plan(variables_of(tmp_path, 2))

    grants = {grant for grant in grants_in(plan) if grant.on == "service call-me"}
    assert grants == {Grant(CALLERS, "run.invoker", "service call-me")}


def test_kept_topics_and_their_messages_stay_when_their_last_task_goes(
    terraform: MakeTerraform, tmp_path: Path
) -> None:
    collection = terraform(FOLDER)
    collection.apply(variables_of(tmp_path, 4))
    kept = CONFIGURATION.replace('"former"', '"former", "task_1", "failed"')

    changes = changes_in(collection.plan(variables_of(tmp_path, 3, kept)))

    shared = {key: value for key, value in changes.items() if not key.startswith("module.task[")}
    assert shared == {
        'google_pubsub_topic.this["failed"]': ["update"],
        'google_pubsub_topic.this["task_1"]': ["update"],
        'google_pubsub_subscription.dead_letter["failed"]': ["update"],
        'google_pubsub_subscription.archive["failed"]': ["update"],
        'google_pubsub_subscription.dead_letter["task_1"]': ["create"],
        'google_pubsub_subscription.archive["task_1"]': ["create"],
        'google_pubsub_topic_iam_member.dead_letter_agent["task_1"]': ["create"],
    }


STAGES = """
region = "europe-west2"
kept_topics = ["former"]
[stage.test]
project = "shop-test"
[stage.staging]
project = "shop-staging"
[stage.production]
project = "shop-live"
alert_channels = ["projects/shop-live/notificationChannels/1"]
"""


@pytest.mark.parametrize("project", ["shop-test", "shop-staging", "shop-live"])
def test_one_root_module_plans_each_of_three_stages_in_its_own_project(
    terraform: MakeTerraform, tmp_path: Path, project: str
) -> None:
    (tmp_path / "ucam-faas.toml").write_text(STAGES)
    stage = {"shop-live": "production"}.get(project, project.removeprefix("shop-"))
    planned = make(list(tasks(5)), layers.read(tmp_path), stage).to_json()

    plan = terraform(FOLDER).plan({**planned, "container_image": IMAGE})

    projects = {
        resource.values["project"] for resource in plan.resources if resource.values.get("project")
    }
    policies = plan.of("google_monitoring_alert_policy")
    assert projects - {"other-project"} == {project}
    assert bool(policies) == (stage == "production")


TOGETHER = """
project = "our-shop"
region = "europe-west2"
existing_topics = ["elsewhere"]
dead_letter_archive = "dead-letters"
alert_channels = ["projects/our-shop/notificationChannels/1"]
[stage.acceptance]
name_prefix = "acceptance-"
[stage.production]
kept_topics = ["former"]
"""
_NAMES = ("name", "account_id", "display_name")
"""Attributes that are unique in a project, or that people choose an alert policy by."""


def test_two_stages_are_applied_into_one_project_without_a_common_name(
    terraform: MakeTerraform, tmp_path: Path
) -> None:
    (tmp_path / "ucam-faas.toml").write_text(TOGETHER)
    made: dict[str, set[tuple[str, str]]] = {}
    for stage in ("acceptance", "production"):
        planned = make(list(tasks(8)), layers.read(tmp_path), stage).to_json()
        state = terraform(FOLDER).apply({**planned, "container_image": IMAGE})
        assert unmet_needs(state) == []
        made[stage] = {
            (resource.type, str(resource.values[name]))
            for resource in state.resources
            for name in _NAMES
            if resource.values.get(name) and resource.type != "google_project"
            if "_iam_" not in resource.type
        }
        accounts = state.of("google_service_account")
        assert all(6 <= len(account.values["account_id"]) <= 30 for account in accounts)

    assert len(made["acceptance"]) > 40
    assert made["acceptance"] & made["production"] == set()


def test_a_teams_own_extras_attach_to_the_ids_of_what_is_made(
    terraform: MakeTerraform, tmp_path: Path
) -> None:
    state = terraform(FOLDER).apply(variables_of(tmp_path, 4))

    outputs = {name: output["value"] for name, output in state.json["values"]["outputs"].items()}

    made = {resource.values.get("id") for resource in state.resources}
    ids = [
        *(task["id"] for task in outputs["tasks"].values()),
        *outputs["topics"].values(),
        *outputs["dead_letter_subscriptions"].values(),
        *outputs["archive_subscriptions"].values(),
    ]
    assert set(ids) <= made
    assert len(ids) > 10
    emails = {resource.values.get("email") for resource in state.resources}
    assert set(outputs["service_accounts"].values()) <= emails


JOBS = """
project = "my-project"
region = "europe-west2"

[environment]
UCAM_FAAS_JOB_STORE = "firestore:my-project/jobs"
UCAM_FAAS_DELAY_QUEUE = "projects/my-project/locations/europe-west1/queues/delays"
UCAM_FAAS_PAYLOADS = "gs://shop-payloads"
"""


def jobs_variables(folder: Path, configuration: str = JOBS) -> dict[str, Any]:
    """Return the variables of a task that sends to another, and of the sweep."""
    (folder / "ucam-faas.toml").write_text(configuration)

    @ucam_faas.message_handler
    def charge(number: int) -> None: ...

    @ucam_faas.message_handler(sends=[charge])
    def split(numbers: list[int]) -> None: ...

    planned = make([charge.task, split.task], layers.read(folder), None, app="shop").to_json()
    return {**planned, "container_image": IMAGE}


def test_a_task_gets_all_its_subscriptions_and_schedules_however_they_differ(
    terraform: MakeTerraform, tmp_path: Path
) -> None:
    """Terraform's coalesce returns nothing of objects whose attributes differ in type."""
    (tmp_path / "ucam-faas.toml").write_text(JOBS)
    schedules = [Schedule("0 1 * * *", data=b"1"), Schedule("0 2 * * *", attributes={"a": "b"})]

    @ucam_faas.message_handler(schedule=schedules)
    def charge(number: bytes) -> None: ...

    planned = make([charge.task], layers.read(tmp_path), None, app="shop").to_json()
    del planned["tasks"]["charge"]["triggers"]["cron_schedules"]["charge-2"]["data"]  # by hand

    plan = terraform(FOLDER).plan({**planned, "container_image": IMAGE})

    schedules_made = [each.values["name"] for each in plan.of("google_cloud_scheduler_job")]
    assert sorted(schedules_made) == ["charge", "charge-2", "shop-sweep"]
    pushes = [each.values["name"] for each in plan.of("google_pubsub_subscription", "push")]
    assert sorted(pushes) == ["charge", "charge-inbox", "shop-sweep"]


def test_jobs_get_a_database_a_queue_a_sweep_and_grants_on_these_alone(
    terraform: MakeTerraform, tmp_path: Path
) -> None:
    variables = jobs_variables(tmp_path)
    collection = terraform(FOLDER)
    state = collection.apply(variables)

    assert changes_in(collection.plan(variables)) == {}
    assert unmet_needs(state) == []
    assert broad_grants_in(state) == []
    grants = grants_in(state)
    for role, on in (
        ("datastore.user", "database jobs"),
        ("storage.objectUser", "bucket shop-payloads"),
    ):
        assert {grant for grant in grants if grant.on == on} == {
            Grant(f"{task}-runtime", role, on) for task in ("charge", "split", "shop-sweep")
        }
    assert {(grant.who, grant.on) for grant in grants if grant.on.endswith("-inbox")} == {
        ("charge-runtime", "topic charge-inbox"),
        ("split-runtime", "topic charge-inbox"),
        ("split-runtime", "topic split-inbox"),
        ("shop-sweep-runtime", "topic charge-inbox"),
        ("shop-sweep-runtime", "topic split-inbox"),
    }
    senders = ("charge-runtime", "split-runtime")  # the sweep's wakes need no queue
    assert {grant for grant in grants if grant.on == "queue delays"} == {
        Grant(sender, "cloudtasks.enqueuer", "queue delays") for sender in senders
    }
    assert {grant for grant in grants if grant.role == "iam.serviceAccountUser"} == {
        Grant(sender, "iam.serviceAccountUser", f"account {sender}") for sender in senders
    }
    (queue,) = state.of("google_cloud_tasks_queue")
    assert (queue.values["location"], queue.values["name"]) == ("europe-west1", "delays")


def test_each_lane_gets_a_topic_a_subscription_and_the_grants_of_its_senders(
    terraform: MakeTerraform, tmp_path: Path
) -> None:
    (tmp_path / "ucam-faas.toml").write_text(JOBS)

    @ucam_faas.message_handler(lanes=ucam_faas.Priority)
    def charge(number: int) -> None: ...

    @ucam_faas.message_handler(sends=[charge])
    def split(numbers: list[int]) -> None: ...

    planned = make([charge.task, split.task], layers.read(tmp_path), None, app="shop").to_json()
    collection, variables = terraform(FOLDER), {**planned, "container_image": IMAGE}
    state = collection.apply(variables)

    assert changes_in(collection.plan(variables)) == {}
    assert unmet_needs(state) == []
    pushes = {each.values["name"]: each for each in state.of("google_pubsub_subscription", "push")}
    endpoints = {
        name: each.values["push_config"][0]["push_endpoint"].partition(".run.app")[2]
        for name, each in pushes.items()
        if name.startswith("charge-inbox")
    }
    assert endpoints == {
        "charge-inbox": "/charge/inbox",
        "charge-inbox-high": "/charge/inbox/high",
        "charge-inbox-low": "/charge/inbox/low",
    }
    senders = {"charge-runtime", "split-runtime", "shop-sweep-runtime"}
    for name in endpoints:
        assert {grant.who for grant in grants_in(state) if grant.on == f"topic {name}"} == senders


def test_wakes_are_published_by_an_account_that_tasks_share(
    terraform: MakeTerraform, tmp_path: Path
) -> None:
    account = "wakes@my-project.iam.gserviceaccount.com"
    shared = JOBS.replace("[environment]", f'[environment]\nUCAM_FAAS_DELAY_ACCOUNT = "{account}"')
    variables = jobs_variables(tmp_path, shared)
    collection = terraform(FOLDER)
    state = collection.apply(variables)

    assert changes_in(collection.plan(variables)) == {}
    grants = grants_in(state)
    assert {grant for grant in grants if grant.who == "wakes"} == {
        Grant("wakes", "pubsub.publisher", f"topic {task}-inbox") for task in ("charge", "split")
    }
    assert {grant for grant in grants if grant.role == "iam.serviceAccountUser"} == {
        Grant(f"{task}-runtime", "iam.serviceAccountUser", "account wakes")
        for task in ("charge", "split")
    }
    of_the_queue = {grant.who for grant in grants if grant.on == "queue delays"}
    assert of_the_queue == {"charge-runtime", "split-runtime"}


def test_a_bucket_of_payloads_is_private_and_deletes_what_no_job_needs(
    terraform: MakeTerraform, tmp_path: Path
) -> None:
    plan = terraform(FOLDER).plan(jobs_variables(tmp_path))

    (bucket,) = plan.of("google_storage_bucket")
    values = bucket.values
    assert (values["name"], values["location"]) == ("shop-payloads", "europe-west2")
    assert values["uniform_bucket_level_access"] is True
    assert values["public_access_prevention"] == "enforced"
    assert values["deletion_policy"] == "ABANDON"
    assert values["soft_delete_policy"] == [{"retention_duration_seconds": 0}]
    (rule,) = values["lifecycle_rule"]
    assert rule["action"][0]["type"] == "Delete"
    assert rule["condition"][0]["age"] == 39  # 30 of delay, 7 of retention, and attempts


def test_a_database_a_queue_and_a_bucket_that_exist_are_used_and_not_made(
    terraform: MakeTerraform, tmp_path: Path
) -> None:
    queue = "projects/my-project/locations/europe-west1/queues/delays"
    existing = ["gs://shop-payloads", "firestore:my-project/jobs", queue]

    plan = terraform(FOLDER).plan(
        jobs_variables(tmp_path, f"existing_job_places = {json.dumps(existing)}\n{JOBS}")
    )

    for kind in ("firestore_database", "firestore_index", "cloud_tasks_queue", "storage_bucket"):
        assert plan.of(f"google_{kind}") == []
    grants = ("project_iam_member", "cloud_tasks_queue_iam_member", "storage_bucket_iam_member")
    assert [len(plan.of(f"google_{grant}")) for grant in grants] == [3, 2, 3]


def test_a_database_of_jobs_has_the_indexes_and_the_ttl_of_the_store(
    terraform: MakeTerraform, tmp_path: Path
) -> None:
    plan = terraform(FOLDER).plan(jobs_variables(tmp_path))

    definition = indexes.definition()
    (database,) = plan.of("google_firestore_database")
    assert (database.values["name"], database.values["location_id"]) == ("jobs", "europe-west2")
    assert database.values["deletion_policy"] == "ABANDON"
    made = [
        [(field["field_path"], field["order"]) for field in index.values["fields"]]
        for index in plan.of("google_firestore_index")
    ]
    wanted = [
        [(field["fieldPath"], field["order"]) for field in index["fields"]]
        for index in definition["indexes"]
    ]
    assert sorted(made) == sorted(wanted)
    fields = [field.values for field in plan.of("google_firestore_field")]
    assert {field["field"]: bool(field["ttl_config"]) for field in fields} == {
        field["fieldPath"]: field.get("ttl", False) for field in definition["fieldOverrides"]
    }
    assert all(len(field["index_config"]) == 1 for field in fields)


def test_a_store_of_jobs_stays_when_the_services_move(
    terraform: MakeTerraform, tmp_path: Path
) -> None:
    collection = terraform(FOLDER)
    collection.apply(jobs_variables(tmp_path))

    moved = JOBS.replace('region = "europe-west2"', 'region = "europe-west1"')
    moved = moved.replace("[environment]", "deletion_protection = false\n[environment]")
    changes = changes_in(collection.plan(jobs_variables(tmp_path, moved)))

    assert not [address for address in changes if "firestore" in address or "storage" in address]


def test_terraform_forgets_a_store_of_jobs_that_the_plan_lacks(
    terraform: MakeTerraform, tmp_path: Path
) -> None:
    unprotected = JOBS.replace("[environment]", "deletion_protection = false\n[environment]")
    collection = terraform(FOLDER)
    collection.apply(jobs_variables(tmp_path, unprotected))
    without, _, _ = unprotected.partition("[environment]")

    collection.apply(jobs_variables(tmp_path, without))

    assert isinstance(collection.environment, Attached)
    operations = collection.environment.operations()
    forgotten = {operation.type for operation in operations if operation.action == "forget"}
    deleted = {operation.type for operation in operations if operation.action == "delete"}
    assert forgotten == {
        *("google_firestore_database", "google_firestore_index", "google_firestore_field"),
        "google_storage_bucket",
    }
    assert not deleted & forgotten


def test_a_database_and_a_queue_of_another_project_are_used_and_not_made(
    terraform: MakeTerraform, tmp_path: Path
) -> None:
    there = JOBS.replace('project = "my-project"', 'project = "another-one"')

    plan = terraform(FOLDER).plan(jobs_variables(tmp_path, there))

    assert plan.of("google_firestore_database") == []
    assert plan.of("google_cloud_tasks_queue") == []
    grants = [
        *plan.of("google_project_iam_member"),
        *plan.of("google_cloud_tasks_queue_iam_member"),
    ]
    assert len(grants) == 5  # the sweep uses no queue
    assert {grant.values["project"] for grant in grants} == {"my-project"}


def test_the_default_database_is_used_and_not_made(
    terraform: MakeTerraform, tmp_path: Path
) -> None:
    default = JOBS.replace("my-project/jobs", "my-project")

    plan = terraform(FOLDER).plan(jobs_variables(tmp_path, default))

    assert plan.of("google_firestore_database") == plan.of("google_firestore_field") == []
    expressions = {
        grant.values["condition"][0]["expression"] for grant in plan.of("google_project_iam_member")
    }
    assert expressions == {'resource.name == "projects/my-project/databases/(default)"'}


def test_the_module_has_the_indexes_of_the_store() -> None:
    """Terraform may have the module without the package."""
    copy = json.loads((MODULE / FOLDER / "firestore.indexes.json").read_text())

    assert copy == indexes.definition()


# --- plans of another version

MODULE_OF_FORMAT_1 = """
variable "tasks" {
  type = any

  validation {
    condition = length(setsubtract(
      flatten([for task in values(var.tasks) : try(keys(task), [])]),
      ["name", "summary", "function", "concurrency", "triggers", "alerting", "labels", "kms_key", "dead_letter_archive", "payload"]
    )) == 0
    error_message = "expected name, summary, function, concurrency and others"
  }
}
"""  # noqa: E501  # the check of that module, as it was


def test_the_module_of_before_refuses_the_plan_by_its_format(
    terraform_environment: Attached, tmp_path: Path
) -> None:
    (tmp_path / "main.tf").write_text(MODULE_OF_FORMAT_1)
    module = Terraform(tmp_path, terraform_environment)
    module.init()
    planned = variables_of(tmp_path, 2)["tasks"]
    without = {
        name: {key: value for key, value in task.items() if key != "format"}
        for name, task in planned.items()
    }

    with pytest.raises(TerraformError, match="expected name, summary, function"):
        module.plan({"tasks": planned})
    assert module.plan({"tasks": without})


def test_the_module_refuses_the_plan_of_before_and_says_what_to_do(
    terraform: MakeTerraform, tmp_path: Path
) -> None:
    variables = variables_of(tmp_path, 2)
    for task in variables["tasks"].values():
        del task["format"]

    with pytest.raises(TerraformError, match="found none, which is format 1") as error:
        terraform(FOLDER).plan(variables)

    assert "Run `ucam-faas plan` of the version that this module belongs to" in str(error.value)
