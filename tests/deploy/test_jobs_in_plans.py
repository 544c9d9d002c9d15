"""The plan of tasks that get jobs: inboxes, and the permission to send."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import ucam_faas
from ucam_faas import ConfigurationError, Lane, TaskDefinitionError
from ucam_faas.deploy import asyncapi, layers, summary
from ucam_faas.deploy.checks import plan_file
from ucam_faas.deploy.checks.plan_changes import changes_between, inventory_of
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


def test_the_jobs_of_an_application_are_swept_each_minute(tmp_path: Path) -> None:
    plan = plan_in(tmp_path, task_of("charge"), task_of("ship"), configuration=STORE)

    sweep = variables_of(plan, "shop-sweep")
    assert sweep["name"] == "shop-sweep"
    assert sweep["triggers"]["cron_schedules"]["shop-sweep"]["schedule"] == "* * * * *"
    assert sweep["function"]["environment"] == {
        "FUNCTION_SOURCE": "ucam_faas.serving.sweep",
        "UCAM_FAAS_APP": "shop",
        "UCAM_FAAS_JOB_STORE": "postgresql://db/jobs",
    }
    assert sweep["function"]["publishes_to"] == ["charge-inbox", "ship-inbox"]
    assert sweep["concurrency"]["max_instances"] == 1
    assert sweep["function"]["deletion_protection"] is False
    (subscription,) = sweep["triggers"]["subscriptions"].values()
    assert subscription["message_retention_seconds"] == 600
    assert subscription["dead_letter"] is None


def test_tasks_with_jobs_and_the_sweep_publish_events_to_a_topic_that_is_made(
    tmp_path: Path,
) -> None:
    @ucam_faas.http(path="/orders")
    def orders() -> str:
        return ""

    events = STORE.replace(" }", ', UCAM_FAAS_EVENTS_TOPIC = "events" }')

    plan = plan_in(tmp_path, task_of("charge"), orders.task, configuration=events)

    publishers = [each.name for each in plan.tasks if "events" in each.publishes_to]
    assert publishers == ["charge", "shop-sweep"]
    assert "events" in plan.topics


def test_events_go_to_a_topic_elsewhere(tmp_path: Path) -> None:
    topic = "projects/other/topics/events"
    events = STORE.replace(" }", f', UCAM_FAAS_EVENTS_TOPIC = "{topic}" }}')

    plan = plan_in(tmp_path, task_of("charge"), configuration=events)

    assert topic in variables_of(plan, "charge")["function"]["publishes_to"]
    assert list(plan.topics) == ["charge", "charge-dead-letter", "charge-inbox", "shop-sweep"]


def test_a_store_deletes_nothing_of_a_deployment_and_its_removal_is_found(
    tmp_path: Path,
) -> None:
    without = plan_in(tmp_path, task_of("charge"), configuration="")
    with_store = plan_in(tmp_path, task_of("charge"), configuration=STORE)

    assert deletions(without, with_store) == []
    assert deletions(with_store, without) == [
        ("job store", "shop in postgresql://db/jobs"),
        ("service", "shop-sweep"),
        ("subscription", "charge-inbox"),
        ("subscription", "shop-sweep"),
        ("topic", "charge-inbox"),
        ("topic", "shop-sweep"),
    ]


def test_the_grant_for_pushes_has_the_retries_of_the_topic_and_not_of_the_inbox(
    tmp_path: Path,
) -> None:
    plan = plan_in(tmp_path, task_of("charge"), configuration=STORE)

    grant = inventory_of(plan.to_json())["push grant", "charge"]

    assert grant.retries is not None
    assert grant.retries.subscription == "charge"


def deletions(old: Plan, new: Plan) -> list[tuple[str, str]]:
    last = plan_file.parse(old.text(), name="last.json")
    changes = changes_between(last, new.to_json())
    return sorted((change.kind, change.name) for change in changes)


def test_a_sweep_has_the_secret_and_the_network_of_all_tasks(tmp_path: Path) -> None:
    configuration = f'{SECRET_STORE}memory = "4Gi"\nvpc_access = {{ network = "default" }}\n'

    plan = plan_in(tmp_path, task_of("charge"), configuration=configuration)

    function = variables_of(plan, "shop-sweep")["function"]
    secret = {"secret": "jobs-url", "version": "latest"}
    assert function["secrets"] == {"UCAM_FAAS_JOB_STORE": secret}
    assert function["vpc_access"]["network"] == "default"
    assert function["memory"] == "512Mi"


def test_there_is_no_sweep_without_a_store_for_all_tasks(tmp_path: Path) -> None:
    configuration = f"[task.charge]\n{STORE}"

    plan = plan_in(tmp_path, task_of("charge"), task_of("ship"), configuration=configuration)

    assert [planned.name for planned in plan.tasks] == ["charge", "ship"]


def test_a_task_with_the_name_of_the_sweep_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="'shop-sweep'"):
        plan_in(tmp_path, task_of("shop-sweep"), configuration=STORE)


def test_a_sweep_is_not_in_the_document_of_topics(tmp_path: Path) -> None:
    plan = plan_in(tmp_path, task_of("charge"), configuration=STORE)

    document = asyncapi.document(plan, {"title": "Shop", "version": "1"})

    assert list(document["operations"]) == ["charge", "charge.dead-letter"]


# --- the places of jobs

PLACES = """
project = "my-project"
[environment]
UCAM_FAAS_JOB_STORE = "firestore:my-project"
UCAM_FAAS_DELAY_QUEUE = "projects/my-project/locations/europe-west2/queues/delays"
UCAM_FAAS_PAYLOADS = "gs://ours"
"""


def places_of(plan: Plan, task: str) -> dict[str, Any]:
    places: dict[str, Any] = variables_of(plan, task)["jobs"]
    return places


def test_a_task_names_the_places_of_its_jobs(tmp_path: Path) -> None:
    plan = plan_in(tmp_path, task_of("charge"), configuration=PLACES)

    assert places_of(plan, "charge") == {
        "firestore": "projects/my-project/databases/(default)",
        "queue": "projects/my-project/locations/europe-west2/queues/delays",
        "payloads": {"bucket": "ours", "days": 38},
    }


def test_only_tasks_whose_jobs_may_wait_use_the_queue(tmp_path: Path) -> None:
    """The sweep wakes jobs at once, and an HTTP task without `sends=` wakes none."""
    plan = plan_in(tmp_path, task_of("charge"), page.task, configuration=PLACES)

    users = [task for task in ("charge", "page", "shop-sweep") if "queue" in places_of(plan, task)]
    assert users == ["charge"]


def test_an_account_publishes_the_wakes_of_a_tasks_own_inbox_and_of_its_receivers(
    tmp_path: Path,
) -> None:
    account = "wakes@my-project.iam.gserviceaccount.com"
    configuration = f'{PLACES}UCAM_FAAS_DELAY_ACCOUNT = "{account}"\n'
    split = task_of("split", sends=["charge"])

    plan = plan_in(tmp_path, task_of("charge"), split, configuration=configuration)

    places = places_of(plan, "split")
    assert (places["account"], places["inboxes"]) == (account, ["split-inbox", "charge-inbox"])


@pytest.mark.parametrize(
    ("options", "setting", "days"),
    [
        ({}, "", 38),
        ({}, "longest_delay_days = 0", 8),
        ({"retention": timedelta(days=90)}, "", 121),
        (
            {
                "retry": ucam_faas.RetryPolicy(
                    max_attempts=11, backoff=lambda failures: timedelta(days=1)
                )
            },
            "",
            48,
        ),
    ],
)
def test_a_bucket_keeps_an_object_for_delay_attempts_and_retention(
    tmp_path: Path, options: dict[str, Any], setting: str, days: int
) -> None:
    configuration = PLACES.replace("[environment]", f"{setting}\n[environment]")

    plan = plan_in(tmp_path, task_of("charge", **options), configuration=configuration)

    assert places_of(plan, "charge")["payloads"]["days"] == days


def test_a_backoff_that_fails_is_refused(tmp_path: Path) -> None:
    retry = ucam_faas.RetryPolicy(backoff=lambda failures: 1 / (3 - failures))

    with pytest.raises(TaskDefinitionError, match="'charge' has a backoff= that fails: ZeroDiv"):
        plan_in(tmp_path, task_of("charge", retry=retry), configuration=PLACES)


def test_places_that_exist_are_not_made(tmp_path: Path) -> None:
    queue = "projects/my-project/locations/europe-west2/queues/delays"
    existing = f'existing_job_places = ["gs://ours", "firestore:my-project/jobs", "{queue}"]\n'
    configuration = existing + PLACES.replace("firestore:my-project", "firestore:my-project/jobs")

    plan = plan_in(tmp_path, task_of("charge"), configuration=configuration)

    database = "projects/my-project/databases/jobs"
    assert places_of(plan, "charge")["existing"] == [database, queue, "ours"]


def test_tasks_without_jobs_have_no_places(tmp_path: Path) -> None:
    plan = plan_in(tmp_path, task_of("charge"))

    assert "jobs" not in variables_of(plan, "charge")


LANES = [Lane("default", max_concurrency=8), Lane("bulk", max_concurrency=2), "idle"]


def test_each_lane_has_a_topic_and_a_subscription(tmp_path: Path) -> None:
    plan = plan_in(tmp_path, task_of("charge", lanes=LANES), configuration=STORE)
    without = plan_in(tmp_path, task_of("charge"), configuration=STORE)

    subscriptions = variables_of(plan, "charge")["triggers"]["subscriptions"]
    bulk, default = subscriptions["charge-inbox-bulk"], subscriptions["charge-inbox"]
    assert list(subscriptions) == [
        "charge",
        "charge-inbox",
        "charge-inbox-bulk",
        "charge-inbox-idle",
    ]
    assert bulk == {**default, "topic": "charge-inbox-bulk", "path": "/charge/inbox/bulk"}
    assert plan.topics.keys() - without.topics.keys() == {
        "charge-inbox-bulk",
        "charge-inbox-idle",
    }
    assert default == variables_of(without, "charge")["triggers"]["subscriptions"]["charge-inbox"]
    assert deletions(without, plan) == []
    assert ("subscription", "charge-inbox-bulk") in deletions(plan, without)


def test_those_who_send_may_publish_to_all_lanes(tmp_path: Path) -> None:
    charge = task_of("charge", lanes=["bulk"])
    split = task_of("split", sends=["charge", "of_elsewhere"])

    plan = plan_in(tmp_path, charge, split, configuration=STORE)

    def inboxes(task: str) -> set[str]:
        topics = variables_of(plan, task)["function"]["publishes_to"]
        return {topic for topic in topics if "-inbox" in topic}

    lanes = {"charge-inbox", "charge-inbox-bulk"}
    assert inboxes("charge") == lanes
    assert inboxes("split") == lanes | {"split-inbox", "of_elsewhere-inbox"}
    assert inboxes("shop-sweep") == lanes | {"split-inbox"}


def test_an_instance_gets_more_requests_by_those_that_wait_for_their_lane(tmp_path: Path) -> None:
    lanes = {"lanes": [Lane("bulk", max_concurrency=2)]}
    tasks = [
        task_of("few", concurrency=4, **lanes),
        task_of("many", concurrency=1000, **lanes),
        task_of("part", cpu=0.5, concurrency=1, **lanes),
    ]

    plan = plan_in(tmp_path, *tasks, configuration=STORE)

    at_a_time = {planned.name: planned.at_a_time for planned in plan.tasks}
    assert (at_a_time["few"], at_a_time["many"], at_a_time["part"]) == (6, 1000, 1)


def test_the_summary_shows_the_lanes_and_their_limits(tmp_path: Path) -> None:
    plan = plan_in(tmp_path, task_of("charge", lanes=LANES), configuration=STORE)

    row = summary.rows(plan)[0]

    assert row[2].splitlines() == [
        "topic charge",
        "topic charge-inbox",
        "topic charge-inbox-bulk",
        "topic charge-inbox-idle",
    ]
    assert row[4].splitlines()[2:] == ["default: 8 at a time", "bulk: 2 at a time"]


def test_a_task_with_the_name_of_another_ones_lane_is_refused(tmp_path: Path) -> None:
    tasks = (task_of("charge", lanes=["bulk"]), task_of("charge-inbox-bulk"))

    with pytest.raises(TaskDefinitionError, match="charge-inbox-bulk"):
        plan_in(tmp_path, *tasks, configuration=STORE)
