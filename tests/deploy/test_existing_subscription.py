"""`subscription=`: a subscription of another owner is used, and neither made nor set."""

from __future__ import annotations

import copy
import json
from datetime import timedelta
from typing import Any

import pytest

import ucam_faas
from ucam_faas import RetryPolicy, TaskCollection, TaskDefinitionError
from ucam_faas.config import Settings
from ucam_faas.deploy.checks import plan_file
from ucam_faas.deploy.checks.plan_changes import changes_between
from ucam_faas.deploy.checks.terraform.deployments import RUNS, SUBSCRIPTION
from ucam_faas.tasks.cloud_names import Naming
from ucam_faas.tasks.needs import needs_of, with_dead_letter_topic
from ucam_faas.tasks.subscriptions import subscriptions_of
from ucam_faas.tasks.task import Task
from ucam_faas.worker.sources import sources_of

from .conftest import Project

CODE = """
    from datetime import timedelta

    import ucam_faas

    @ucam_faas.message_handler(message_type=None{options})
    def take_order(data): ...
"""
EXISTING = ', subscription="orders-for-us", topic="orders"'


def task_of(**options: Any) -> Task:
    def take_order(data: bytes) -> None: ...

    task: Task = ucam_faas.message_handler(
        message_type=None, subscription="orders-for-us", **options
    )(take_order).task
    return task


@pytest.mark.parametrize(
    "options",
    [
        {"filter": 'attributes.kind = "a"'},
        {"ordered": True},
        {"dead_letter_topic": "failed"},
    ],
    ids=lambda options: next(iter(options)),
)
def test_an_option_that_its_owner_sets_is_refused(options: dict[str, Any]) -> None:
    (name,) = options

    with pytest.raises(TaskDefinitionError, match=f": {name}=.* owner of the subscription sets"):
        task_of(**options)


def test_a_collections_option_is_refused_too() -> None:
    collection = TaskCollection(dead_letter_topic="failed")

    with pytest.raises(TaskDefinitionError, match="here and in the collection"):
        collection.raw_event(subscription="orders-for-us")(lambda data: None)


HASTY = RetryPolicy(max_attempts=2, min_backoff=timedelta(0), max_backoff=timedelta(0))


@pytest.mark.parametrize("options", [{"retry": HASTY}, {}], ids=["its own", "its collection's"])
def test_its_retries_are_those_of_jobs_alone(options: dict[str, Any]) -> None:
    collection = TaskCollection(retry=HASTY)

    def take_order(data: bytes) -> None: ...

    take = collection.message_handler(message_type=None, subscription="orders-for-us", **options)
    task: Task = take(take_order).task
    needs = needs_of(task, Settings())

    assert task.policy.retry == HASTY
    assert (needs.max_attempts, needs.own_attempts, needs.dead_letter_topic) == (None, None, None)
    assert (needs.min_backoff_seconds, needs.max_backoff_seconds) == (10, 600)


def test_a_schedule_is_refused_because_its_topic_is_not_known() -> None:
    with pytest.raises(TaskDefinitionError, match="to which the schedule would publish"):
        task_of(schedule="0 3 * * *")


def test_a_subscription_of_another_project_is_not_supported_yet() -> None:
    with pytest.raises(TaskDefinitionError, match=r"'orders'.*isn't supported yet: the"):
        ucam_faas.raw_event(subscription="projects/other/subscriptions/orders")(lambda data: None)
    with pytest.raises(TaskDefinitionError, match="3 to 255 characters"):
        ucam_faas.raw_event(subscription="1")(lambda data: None)


@pytest.mark.parametrize("run_as", ["service", "worker"])
def test_the_plan_makes_neither_the_subscription_nor_its_topic(
    project: Project, run_as: str
) -> None:
    project.write("main.py", CODE.format(options=f'{EXISTING}, run_as="{run_as}"'))
    project.write("ucam-faas.toml", 'name_prefix = "test-"\nmessage_retention_seconds = 86400\n')

    plan = json.loads(project.run("plan", "--json").stdout)

    subscriptions = plan["tasks"]["take_order"]["triggers"]["subscriptions"]
    assert subscriptions == {"orders-for-us": {"existing": True, "path": "/take_order"}}
    assert plan["topics"] == {}


def test_the_summary_says_who_sets_the_retries(project: Project) -> None:
    project.write("main.py", CODE.format(options=EXISTING))

    table = project.run("plan").stdout

    assert "subscription orders-for-us" in table
    assert "set by the owner of" in table


def test_the_check_finds_nothing_to_say_about_it(project: Project) -> None:
    project.write("main.py", CODE.format(options=EXISTING))
    project.run("plan")

    result = project.run("check")

    assert "take_order" not in result.stdout


def test_the_check_takes_retries_of_jobs_for_no_retries_of_messages(project: Project) -> None:
    """Nor does it give advice about the dead letters of a subscription that isn't known."""
    policy = "max_attempts=2, min_backoff=timedelta(0), max_backoff=timedelta(0)"
    options = f"{EXISTING}, retry=ucam_faas.RetryPolicy({policy})"
    project.write("main.py", CODE.format(options=options))
    project.write("ucam-faas.toml", "message_retention_seconds = 3600\n")
    plan = json.loads(project.run("plan", "--json").stdout)

    result = project.run("check")

    assert "take_order" not in result.stdout
    subscriptions = plan["tasks"]["take_order"]["triggers"]["subscriptions"]
    assert subscriptions["orders-for-us"] == {"existing": True, "path": "/take_order"}


def test_using_another_owners_deletes_the_tasks_own(project: Project) -> None:
    """Also if it is the same subscription, whose owner changes."""
    project.write("main.py", CODE.format(options=EXISTING))
    plan = json.loads(project.run("plan", "--json").stdout)
    last = copy.deepcopy(plan)
    last["tasks"]["take_order"]["triggers"]["subscriptions"] = {
        "take_order": {"topic": "take_order"},
        "orders-for-us": {"topic": "orders"},
    }

    changes = changes_between(plan_file.parse(json.dumps(last), name="last.json"), plan)

    assert [change.name for change in changes] == ["take_order", "orders-for-us"]


def test_only_its_name_has_no_prefix() -> None:
    task, naming = task_of(), Naming("test-")

    own, inbox = subscriptions_of(naming.needs(needs_of(task, Settings())), ["default"])

    assert (own, inbox) == ("orders-for-us", "test-take_order-inbox")
    assert [source.subscription.rpartition("/")[2] for source in sources_of(task, "p", naming)] == [
        inbox,
        own,
    ]


def test_the_task_has_no_dead_letters_of_its_own() -> None:
    task = with_dead_letter_topic(task_of(), Settings())

    needs = needs_of(task, Settings())

    assert task.policy.dead_letter_topic is None
    assert (needs.max_attempts, needs.dead_letter_topic) == (None, None)


@pytest.mark.parametrize("run_as", ["service", "worker"])
def test_terraform_need_not_make_it(project: Project, run_as: str) -> None:
    """A push that Terraform makes beside it isn't compared with it."""
    project.write("main.py", CODE.format(options=f'{EXISTING}, run_as="{run_as}"'))
    project.run("plan")
    container = [{"env": [{"name": "FUNCTION_TARGET", "value": "take_order"}]}]
    values = {"uri": "https://a.run.app", "template": [{"containers": container}]}
    push = {"name": "other", "push_config": [{"push_endpoint": "https://a.run.app/other"}]}
    resources = [
        {"type": RUNS[run_as], "values": values},
        {"type": SUBSCRIPTION, "values": push},
    ]
    named = [
        {"address": f"{resource['type']}.it", "mode": "managed", "name": "it", **resource}
        for resource in resources
    ]
    plan = {"format_version": "1.2", "planned_values": {"root_module": {"resources": named}}}
    project.write("plan.json", json.dumps(plan))

    result = project.run("check", "--terraform", "plan.json", "--json")

    assert result.exit_code == 1, result.output
    findings = json.loads(result.stdout)
    assert "terraform-task-missing" not in {finding["rule"] for finding in findings}
    differences = [finding for finding in findings if finding["rule"] == "terraform-differs"]
    assert SUBSCRIPTION not in json.dumps(differences)
