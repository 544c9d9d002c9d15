"""The plan of tasks that get jobs: inboxes, and the permission to send."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import ucam_faas
from ucam_faas import TaskDefinitionError
from ucam_faas.deploy import layers
from ucam_faas.deploy.plan import make
from ucam_faas.deploy.terraform_variables import Plan
from ucam_faas.tasks.task import Task

STORE = 'environment = { UCAM_FAAS_JOB_STORE = "postgresql://db/jobs" }\n'
SECRET_STORE = 'secrets = { UCAM_FAAS_JOB_STORE = "jobs-url" }\n'


def task_of(name: str, **options: Any) -> Task:
    def function(payload: bytes) -> None:
        """Do it."""

    task: Task = ucam_faas.message_handler(message_type=None, name=name, **options)(function).task
    return task


def plan_in(folder: Path, *tasks: Task, configuration: str = "") -> Plan:
    (folder / "ucam-faas.toml").write_text(configuration)
    return make(tasks, layers.read(folder), None, app="shop")


def variables_of(plan: Plan, task: str) -> dict[str, Any]:
    variables: dict[str, Any] = plan.to_json()["tasks"][task]
    return variables


@pytest.mark.parametrize("store", [STORE, SECRET_STORE])
def test_a_task_with_a_job_store_has_an_inbox(tmp_path: Path, store: str) -> None:
    charge = task_of(
        "charge", topic="orders", filter="attributes:x", timeout=timedelta(seconds=45), ordered=True
    )

    plan = plan_in(tmp_path, charge, configuration=store)

    subscriptions = variables_of(plan, "charge")["triggers"]["subscriptions"]
    assert subscriptions["charge-inbox"] == {
        "topic": "charge-inbox",
        "filter": None,
        "ordered": False,
        "wrapped": True,
        "path": "/charge/inbox",
        "ack_deadline_seconds": 45,
        "message_retention_seconds": 604800,
        "retry": {"min_backoff_seconds": 1, "max_backoff_seconds": 600},
        "dead_letter": None,
    }
    assert subscriptions["charge"]["topic"] == "orders"
    assert plan.topics["charge-inbox"].dead_letter_subscription is None


def test_a_task_with_a_job_store_may_wake_its_own_jobs(tmp_path: Path) -> None:
    plan = plan_in(tmp_path, task_of("charge"), configuration=STORE)

    assert "charge-inbox" in variables_of(plan, "charge")["function"]["publishes_to"]


def test_tasks_without_jobs_have_no_inbox(tmp_path: Path) -> None:
    plan = plan_in(tmp_path, task_of("charge"), task_of("ship", publishes=["charge"]))

    assert "inbox" not in plan.text()


def test_tasks_that_get_no_messages_have_no_inbox(tmp_path: Path) -> None:
    @ucam_faas.http(path="/orders")
    def orders() -> str:
        return ""

    @ucam_faas.raw_event(run_as="cloud-run-job")
    def report(body: bytes) -> None: ...

    plan = plan_in(tmp_path, orders.task, report.task, configuration=STORE)

    assert "-inbox" not in plan.text()


def test_a_task_that_another_one_sends_to_has_an_inbox_without_a_store(tmp_path: Path) -> None:
    charge = task_of("charge")
    split = task_of("split", sends=["shop.tasks.charge"])

    plan = plan_in(tmp_path, charge, split)

    assert "charge-inbox" in variables_of(plan, "charge")["triggers"]["subscriptions"]
    assert "charge-inbox" in variables_of(plan, "split")["function"]["publishes_to"]
    assert "charge-inbox" not in variables_of(plan, "charge")["function"]["publishes_to"]
    assert "split-inbox" not in plan.text()


def test_tasks_of_every_kind_may_send(tmp_path: Path) -> None:
    @ucam_faas.message_handler
    def charge(number: int) -> None: ...

    @ucam_faas.http(path="/orders", sends=[charge])
    def orders() -> str:
        return ""

    @ucam_faas.raw_event(run_as="cloud-run-job", sends=[charge, "charge"])
    def report(body: bytes) -> None: ...

    plan = plan_in(tmp_path, charge.task, orders.task, report.task)

    for sender in ("orders", "report"):
        assert variables_of(plan, sender)["function"]["publishes_to"] == ["charge-inbox"]


def test_a_collection_states_sends_for_all_its_tasks(tmp_path: Path) -> None:
    tasks = ucam_faas.TaskCollection(sends=["charge"])

    @tasks.message_handler
    def split(number: int) -> None: ...

    plan = plan_in(tmp_path, split.task, task_of("charge"))

    assert variables_of(plan, "split")["function"]["publishes_to"] == ["charge-inbox"]


@ucam_faas.http(path="/")
def page() -> str:
    return ""


@ucam_faas.raw_event(run_as="cloud-run-job")
def nightly(body: bytes) -> None: ...


def undecorated() -> None: ...


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("charge it", "sends=['charge it']: expected names of tasks: \"charge\" or"),
        (17, "sends=[17]: expected tasks, or names of tasks"),
        (undecorated, "sends=[undecorated]: 'undecorated' is a function without a decorator"),
        (page, "'page' is an HTTP task"),
        (nightly, "'nightly' is a Cloud Run job"),
    ],
)
def test_a_task_that_gets_no_jobs_is_refused(target: Any, message: str) -> None:
    with pytest.raises(TaskDefinitionError) as raised:
        task_of("split", sends=[target])

    assert message in str(raised.value)
