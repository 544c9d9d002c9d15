"""`name_prefix`: two stages in one project have no name in common, and each finds its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ucam_faas
from ucam_faas import ConfigurationError
from ucam_faas.config import Settings
from ucam_faas.deploy import layers
from ucam_faas.deploy.plan import make
from ucam_faas.deploy.terraform_variables import Plan, PlannedTask
from ucam_faas.execution.runtime import Runtime, publisher_of
from ucam_faas.tasks.cloud_names import Naming
from ucam_faas.tasks.task import Task
from ucam_faas.tasks.topics import inbox_of
from ucam_faas.testing import ManualClock
from ucam_faas.worker.sources import sources_of

TOGETHER = """
project = "shared-project"
region = "europe-west2"
existing_topics = ["users"]
environment = { UCAM_FAAS_EVENTS_TOPIC = "job-events" }
[stage.test]
name_prefix = "test-"
environment.UCAM_FAAS_JOB_STORE = "firestore:shared-project/test"
[stage.live]
environment.UCAM_FAAS_JOB_STORE = "firestore:shared-project/live"
"""


def task_of(name: str, **options: Any) -> Task:
    def function(payload: bytes) -> None:
        """Do it."""

    task: Task = ucam_faas.message_handler(message_type=None, name=name, **options)(function).task
    return task


def tasks() -> Iterator[Task]:
    yield task_of("take_order", topic="orders", publishes=["paid", "users"], sends=["ship"])
    yield task_of("ship", topic="paid", dead_letter_topic="lost", lanes=[ucam_faas.Lane("bulk")])
    yield task_of("greet", topic="users", schedule=["0 3 * * *", "0 4 * * *"])
    yield task_of("follow", topic="projects/other-project/topics/news")


def plan_of(folder: Path, stage: str | None = "test", configuration: str = TOGETHER) -> Plan:
    (folder / "ucam-faas.toml").write_text(configuration)
    return make(list(tasks()), layers.read(folder), stage, app="shop")


def names_in(plan: Plan) -> Iterator[str]:
    """Yield the names of everything that a plan makes."""
    for name, topic in plan.topics.items():
        yield f"topic {name}"
        yield f"subscription {topic.dead_letter_subscription}"
    for task in plan.to_json()["tasks"].values():
        yield f"service {task['name']}"
        yield from (f"subscription {name}" for name in task["triggers"]["subscriptions"])
        yield from (f"schedule {name}" for name in task["triggers"]["cron_schedules"])


def settings_of(planned: PlannedTask) -> Settings:
    """Return the settings of a task's container."""
    environment = {**planned.environment, "GOOGLE_CLOUD_PROJECT": "shared-project"}
    return Settings.from_environ(environment)


def test_two_stages_have_no_name_in_common(tmp_path: Path) -> None:
    names = {*names_in(plan_of(tmp_path))} - {"subscription None"}

    assert not names & {*names_in(plan_of(tmp_path, "live"))}
    assert {name.partition(" ")[2].partition("-")[0] for name in names} == {"test"}


def test_topics_of_others_keep_their_names(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    planned = {planned.name: planned for planned in plan.tasks}

    assert planned["greet"].subscriptions["test-greet"].topic == "users"
    news = planned["follow"].subscriptions["test-follow"]
    assert news.topic == "projects/other-project/topics/news"
    assert "users" not in plan.topics


def test_a_process_publishes_to_the_topics_that_it_is_granted(tmp_path: Path) -> None:
    """The plan and the run-time have the same names, for each thing that a task publishes to."""
    planned = next(each for each in plan_of(tmp_path).tasks if each.name == "take_order")
    here = Runtime(settings_of(planned), ManualClock(), connect=publisher_of)

    named = ["paid", "users", inbox_of("ship"), inbox_of("ship", "bulk"), inbox_of("take_order")]
    topics = [here.full_topic(topic, "take_order") for topic in [*named, "job-events"]]

    granted = {f"projects/shared-project/topics/{topic}" for topic in planned.publishes_to}
    assert {*topics} == granted
    assert "projects/shared-project/topics/test-ship-inbox-bulk" in granted
    assert "projects/shared-project/topics/users" in granted


def test_the_queue_of_delayed_jobs_wakes_the_tasks_of_its_stage(tmp_path: Path) -> None:
    account = "delays@shared-project.iam.gserviceaccount.com"
    queue = f"""
    [stage.late]
    name_prefix = "late-"
    environment.UCAM_FAAS_JOB_STORE = "firestore:shared-project/late"
    environment.UCAM_FAAS_DELAY_QUEUE = "projects/shared-project/locations/europe-west2/queues/late"
    environment.UCAM_FAAS_DELAY_ACCOUNT = "{account}"
    """
    plan = plan_of(tmp_path, "late", TOGETHER + queue)
    inboxes = {inbox for planned in plan.tasks for inbox in planned.jobs.inboxes}

    assert "late-ship-inbox-bulk" in inboxes
    assert inboxes <= {*plan.topics}


def test_a_task_finds_its_own_dead_letters(tmp_path: Path) -> None:
    planned = next(each for each in plan_of(tmp_path).tasks if each.name == "ship")
    here = Runtime(settings_of(planned), ManualClock(), connect=publisher_of)

    assert planned.dead_letters is not None
    assert planned.dead_letters.topic == "test-lost"
    assert here.dead_letter_topic(planned.task) == "projects/shared-project/topics/test-lost"


def test_a_task_that_is_always_retried_is_granted_its_topic_of_dead_letters(
    tmp_path: Path,
) -> None:
    """It decides on them itself: its subscription forwards none."""
    (tmp_path / "ucam-faas.toml").write_text(TOGETHER)
    endless = ucam_faas.RetryPolicy(max_attempts=None)
    task = task_of("endless", topic="orders", dead_letter_topic="lost", retry=endless)
    planned = make([task], layers.read(tmp_path), "test", app="shop").tasks[0]

    assert planned.dead_letters is None
    assert "test-lost" in planned.publishes_to


@pytest.mark.parametrize("stage", ["test", "live"])
def test_a_worker_pulls_the_subscriptions_of_its_stage(tmp_path: Path, stage: str) -> None:
    for planned in plan_of(tmp_path, stage).tasks:
        naming = Naming.of(settings_of(planned))
        pulled = {source.subscription for source in sources_of(planned.task, "p", naming)}

        wanted = {f"projects/p/subscriptions/{name}" for name in planned.subscriptions}
        assert pulled >= wanted


def test_a_name_that_is_too_long_with_its_prefix_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ucam-faas.toml").write_text('name_prefix = "acceptance-"')
    tasks, config = [task_of("a" * 40)], layers.read(tmp_path)

    with pytest.raises(ConfigurationError, match="or shorten the name_prefix 'acceptance-'"):
        make(tasks, config, None)


@pytest.mark.parametrize("prefix", ["test", "Test-", "-", "goog-", "1-", "a" * 20 + "-"])
def test_a_prefix_that_google_would_refuse_is_refused(tmp_path: Path, prefix: str) -> None:
    with pytest.raises(ConfigurationError, match="at most 20 lower-case letters"):
        plan_of(tmp_path, None, f"name_prefix = {prefix!r}")
