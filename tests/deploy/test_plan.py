"""The plan states the code's options as Terraform variables."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

import ucam_faas
from ucam_faas import ConfigurationError, RetryPolicy, Schedule, TaskCollection
from ucam_faas.deploy import layers, summary
from ucam_faas.deploy.plan import make, service_name
from ucam_faas.deploy.terraform_variables import FORMAT, Plan
from ucam_faas.deploy.topic_schemas import TopicSchema
from ucam_faas.deploy.topics import PlannedTopic
from ucam_faas.tasks.task import Task

from .conftest import Project

Planned = Callable[..., Mapping[str, Any]]


def task_of(name: str = "send", **options: Any) -> Task:
    def function(payload: bytes) -> None:
        """Send it."""

    function.__name__ = name
    task: Task = ucam_faas.message_handler(message_type=None, **options)(function).task
    return task


def plan_in(
    tmp_path: Path, *tasks: Task, configuration: str = "", stage: str | None = None
) -> Plan:
    (tmp_path / "ucam-faas.toml").write_text(configuration)
    return make(tasks, layers.read(tmp_path), stage)


@pytest.fixture
def planned(tmp_path: Path) -> Planned:
    """Plans one task, and returns its variables."""

    def plan(task: Task, configuration: str = "", stage: str | None = None) -> Mapping[str, Any]:
        plan = plan_in(tmp_path, task, configuration=configuration, stage=stage)
        variables: Mapping[str, Any] = plan.to_json()["tasks"][task.name]
        return variables

    return plan


def test_a_task_of_batches_has_no_inbox_and_runs_one_at_a_time(tmp_path: Path) -> None:
    @ucam_faas.batch_handler(max_messages=500, ordered=True)
    def store(messages: list[ucam_faas.BatchMessage[int]]) -> None: ...

    task: Task = store.task  # type: ignore[attr-defined]
    stored = '[environment]\nUCAM_FAAS_JOB_STORE = "firestore:p/d"\n'
    plan = plan_in(tmp_path, task, task_of(), configuration=stored)

    planned = next(each for each in plan.tasks if each.task is task)
    assert list(planned.subscriptions) == ["store"]
    assert planned.subscriptions["store"].ordered
    assert planned.at_a_time == 1
    assert plan.to_json()["tasks"]["store"]["function"]["run_as"] == "worker"
    assert not [topic for topic in plan.topics if "store-inbox" in str(topic)]


def test_a_subscription_is_as_the_decorator_says(planned: Planned) -> None:
    retry = RetryPolicy(
        max_attempts=9, min_backoff=timedelta(seconds=1.5), max_backoff=timedelta(seconds=60)
    )

    task = planned(
        task_of(
            "count_orders",
            topic="orders",
            filter="attributes:kind",
            ordered=True,
            timeout=timedelta(seconds=45),
            retry=retry,
        )
    )

    assert task["triggers"]["subscriptions"] == {
        "count_orders": {
            "topic": "orders",
            "filter": "attributes:kind",
            "ordered": True,
            "wrapped": True,
            "path": "/count_orders",
            "ack_deadline_seconds": 45,
            "message_retention_seconds": 604800,
            "retry": {"min_backoff_seconds": 1.5, "max_backoff_seconds": 60},
            "dead_letter": {"max_attempts": 9, "topic": "count_orders-dead-letter"},
        }
    }


@given(seconds=st.integers(1, 600))
def test_the_deadline_ladder_goes_up(seconds: int) -> None:
    """Task timeout, ack deadline, Cloud Run's timeout: none is shorter than the one before it."""
    task = task_of(timeout=timedelta(seconds=seconds))

    variables = make([task], layers.ConfigFile(), None).to_json()["tasks"]["send"]

    deadline = variables["triggers"]["subscriptions"]["send"]["ack_deadline_seconds"]
    assert seconds <= deadline <= variables["function"]["timeout_seconds"] <= 3600
    assert 10 <= deadline <= 600


def test_a_raw_task_gets_the_data_alone(planned: Planned) -> None:
    @ucam_faas.raw_event
    def send(body: bytes) -> None:
        """Send it."""

    assert planned(send.task)["triggers"]["subscriptions"]["send"]["wrapped"] is False


def test_schedules_publish_to_the_task_s_topic(planned: Planned) -> None:
    nightly = Schedule("0 3 * * *", time_zone="Europe/London", data=b"{}", paused=True)
    often = Schedule("every 15 minutes", attributes={"kind": "often"})

    task = planned(task_of(schedule=[nightly, often], topic="work"))

    assert task["triggers"]["cron_schedules"] == {
        "send": {
            "schedule": "0 3 * * *",
            "time_zone": "Europe/London",
            "paused": True,
            "data": "e30=",
            "attributes": {},
            "topic": "work",
        },
        "send-2": {
            "schedule": "*/15 * * * *",
            "time_zone": "Etc/UTC",
            "paused": False,
            "data": "",
            "attributes": {"kind": "often"},
            "topic": "work",
        },
    }


def test_a_job_has_schedules_and_no_subscription(planned: Planned) -> None:
    task = planned(
        task_of(
            run_as="cloud-run-job",
            schedule=Schedule("0 3 * * *"),
            timeout=timedelta(hours=3),
            retry=RetryPolicy(max_attempts=5),
        )
    )

    assert task["triggers"]["subscriptions"] == {}
    started = task["triggers"]["cron_schedules"]["send"]
    assert (started["data"], started["attributes"], started["topic"]) == (None, {}, None)
    assert task["function"]["timeout_seconds"] == 3 * 3600
    assert task["function"]["max_retries"] == 4
    assert task["concurrency"] == {}


def test_a_worker_has_subscriptions_and_instances_but_no_requests(planned: Planned) -> None:
    task = task_of(
        run_as="worker", timeout=timedelta(hours=3), topic="films", schedule="0 3 * * *", lanes=2
    )

    variables = planned(task, '[environment]\nUCAM_FAAS_JOB_STORE = "postgresql://db/jobs"\n')

    assert variables["function"]["run_as"] == "worker"
    assert variables["function"]["timeout_seconds"] == 3 * 3600
    assert "ingress" not in variables["function"]
    assert variables["concurrency"] == {"min_instances": 1, "max_instances": None}
    subscriptions = variables["triggers"]["subscriptions"]
    assert subscriptions.keys() == {"send", "send-inbox", "send-inbox-lane-1"}
    assert {own["ack_deadline_seconds"] for own in subscriptions.values()} == {600}
    assert variables["triggers"]["cron_schedules"]["send"]["topic"] == "films"


@pytest.mark.parametrize(
    ("configuration", "instances", "shown"),
    [
        ("", (1, None), "1, 4 at a time each"),
        ("[task.send]\nmin_instances = 3", (3, None), "3, 4 at a time each"),
        (
            "[task.send]\nmin_instances = 0\nmax_instances = 5",
            (0, 5),
            "0 to 5, 4 at a time each",
        ),
    ],
)
def test_a_worker_has_one_instance_unless_the_configuration_says_more(
    tmp_path: Path, configuration: str, instances: tuple[int, int | None], shown: str
) -> None:
    plan = plan_in(tmp_path, task_of(run_as="worker"), configuration=configuration)

    concurrency = plan.to_json()["tasks"]["send"]["concurrency"]
    assert (concurrency["min_instances"], concurrency["max_instances"]) == instances
    ((_, runs_as, trigger, _, size),) = summary.rows(plan)
    assert runs_as == "worker send\nup to 5 min"
    assert trigger == "topic send"
    assert size.splitlines()[0] == shown


def test_a_subscription_counts_to_5_where_the_task_counts_to_less(tmp_path: Path) -> None:
    plan = plan_in(tmp_path, task_of(retry=RetryPolicy(max_attempts=1)))

    (subscription,) = plan.to_json()["tasks"]["send"]["triggers"]["subscriptions"].values()
    assert subscription["dead_letter"]["max_attempts"] == 5
    ((_, _, _, retries, _),) = summary.rows(plan)
    assert retries == "none\nthen to send-dead-letter"


def test_a_job_without_a_retry_policy_is_run_again_as_often_as_cloud_run_s_default(
    planned: Planned,
) -> None:
    """A job has no waits, so that the ladder of a subscription would be used up at once."""
    assert planned(task_of(run_as="cloud-run-job"))["function"]["max_retries"] == 3


def test_topics_of_the_decorator_and_of_the_configuration_are_granted(tmp_path: Path) -> None:
    @ucam_faas.message_handler(topic="refunds")
    def refund(data: bytes) -> None: ...

    @ucam_faas.message_handler(publishes=[refund, "projects/other/topics/audit", refund])
    def pay(data: bytes) -> None: ...

    text = '[task.pay]\npublishes_to = ["invoices", "refunds"]\n'
    plan = plan_in(tmp_path, pay.task, refund.task, configuration=text)

    assert plan.to_json()["tasks"]["pay"]["function"]["publishes_to"] == [
        "refunds",
        "projects/other/topics/audit",
        "invoices",
    ]


def test_an_http_task_has_neither_topic_nor_subscription(tmp_path: Path) -> None:
    @ucam_faas.http(path="/users/<id>", timeout=timedelta(minutes=30))
    def users(request: Any, id: str) -> str:
        return ""

    plan = plan_in(tmp_path, users.task)

    assert plan.topics == {}
    users = plan.to_json()["tasks"]["users"]
    assert users["triggers"] == {"subscriptions": {}, "cron_schedules": {}}
    assert users["function"]["timeout_seconds"] == 1800


def test_callers_of_all_layers_may_call_the_task(planned: Planned) -> None:
    collection = TaskCollection(invokers=["group:team@example.org"])

    @collection.http(path="/users/<id>", invokers=["allUsers", "group:team@example.org"])
    def users(id: str) -> str:
        return ""

    configuration = 'invokers = ["user:ada@example.org"]\n[task.users]\ninvokers = ["domain:b.org"]'
    variables = planned(users.task, configuration)

    assert variables["function"]["invokers"] == [
        "group:team@example.org",
        "user:ada@example.org",
        "allUsers",
        "domain:b.org",
    ]


def test_an_instance_gets_as_many_requests_as_it_can_run(planned: Planned) -> None:
    async def wait(payload: bytes) -> None:
        """Wait."""

    at_a_time = {
        "sync": planned(task_of(cpu=2))["concurrency"],
        "limited": planned(task_of(concurrency=3))["concurrency"],
        "part": planned(task_of(cpu=0.5))["concurrency"],
        "many": planned(task_of(concurrency=50))["concurrency"],
        "own": planned(task_of(environment={"THREADS": "20"}))["concurrency"],
        "fewer": planned(task_of(concurrency=50, environment={"THREADS": "20"}))["concurrency"],
        "processes": planned(task_of(cpu=2, run_in_process=True))["concurrency"],
        "async": planned(ucam_faas.message_handler(message_type=None)(wait).task)["concurrency"],
    }

    sizes = {
        name: value["max_concurrent_functions_per_instance"] for name, value in at_a_time.items()
    }
    assert sizes == {
        "sync": 8,
        "limited": 3,
        "part": 1,
        "many": 50,
        "own": 20,
        "fewer": 20,
        "processes": 2,
        "async": 80,
    }


def test_a_process_has_a_thread_for_each_request(planned: Planned) -> None:
    """Those without one would be answered 429, and delivered again after a backoff."""
    few, many = (planned(task_of(concurrency=limit)) for limit in (4, 5))

    assert few["function"]["environment"] == {}
    assert many["function"]["environment"] == {"THREADS": "5"}


def test_layers_reach_the_plan(planned: Planned) -> None:
    collection = TaskCollection(memory="1Gi", environment={"A": "1"})

    @collection.message_handler(message_type=None, secrets={"KEY": "key:2"})
    def send(payload: bytes) -> None:
        """Send it."""

    variables = planned(
        send.task,
        """
        log_level = "DEBUG"
        ingress = "all"
        alert_channels = ["projects/p/notificationChannels/1"]
        labels = { team = "mail" }
        [stage.production]
        min_instances = 1
        kms_key = "projects/p/locations/l/keyRings/r/cryptoKeys/k"
        vpc_access = { network = "main", egress = "all-traffic" }
        """,
        "production",
    )

    assert variables["function"]["memory"] == "1Gi"
    assert variables["function"]["environment"] == {"A": "1", "UCAM_FAAS_LOG_LEVEL": "DEBUG"}
    assert variables["function"]["secrets"] == {"KEY": {"secret": "key", "version": "2"}}
    assert variables["function"]["ingress"] == "INGRESS_TRAFFIC_ALL"
    assert variables["function"]["vpc_access"]["egress"] == "ALL_TRAFFIC"
    assert variables["concurrency"]["min_instances"] == 1
    assert variables["alerting"] == {"notification_channels": ["projects/p/notificationChannels/1"]}
    assert variables["labels"] == {"team": "mail"}
    assert variables["kms_key"].endswith("/k")


# --- names

RENAMED = """
    import ucam_faas
    from pydantic import BaseModel

    class Order(BaseModel):
        number: int

    everything = ucam_faas.TaskCollection(memory="1Gi")

    @ucam_faas.message_handler(name="import-orders", schedule="0 3 * * *")
    def {0}():
        "Import orders."

    @everything.message_handler(name="pay", publishes=[{0}], retry=ucam_faas.RetryPolicy())
    def {1}(order: Order): ...

    @ucam_faas.http(path="/orders/<int:number>", name="orders", invokers=["allUsers"])
    def {2}(number: int): ...

    @ucam_faas.raw_event(name="rebuild", run_as="cloud-run-job", dead_letter_topic="failed")
    def {3}(): ...
"""


@pytest.mark.parametrize("verb", ["plan", "asyncapi"])
def test_with_names_all_functions_can_be_renamed_without_a_change_in_the_cloud(
    verb: str, project: Project
) -> None:
    project.write("ucam-faas.toml", "[task.import-orders]\nmin_instances = 1\n")
    texts = []
    for functions in (["one", "two", "three", "four"], ["import_all", "pay_it", "b", "job"]):
        project.write("main.py", RENAMED.format(*functions))
        result = project.run(verb, "--json") if verb == "plan" else project.run(verb)
        assert result.exit_code == 0, result.output
        texts.append(result.stdout)
        del sys.modules["main"]

    assert texts[0] == texts[1]
    assert "import-orders" in texts[0]


def test_a_table_of_the_configuration_has_the_task_s_name(project: Project) -> None:
    project.tasks("handle", options='name="import-orders"')
    project.write("ucam-faas.toml", '[task.import-orders]\nmemory = "1Gi"\n')

    task = json.loads(project.run("plan", "--json").stdout)["tasks"]["import-orders"]

    assert (task["name"], task["function"]["target"]) == ("import-orders", "import-orders")
    assert task["function"]["memory"] == "1Gi"


# --- topics


def keepers(plan: Plan) -> dict[str, str | None]:
    """Return the subscriptions that keep dead letters, by topic."""
    return {name: topic.dead_letter_subscription for name, topic in plan.topics.items()}


def test_topics_of_ours_are_made_once_and_those_of_others_not_at_all(tmp_path: Path) -> None:
    retry = RetryPolicy(max_attempts=None)

    plan = plan_in(
        tmp_path,
        task_of("one", topic="orders", retry=retry),
        task_of("two", topic="orders", retry=retry),
        task_of("three", topic="projects/other/topics/users", retry=retry),
    )

    assert plan.topics == {
        "orders": PlannedTopic(
            dead_letter_subscription=None, kms_key=None, deletion_protection=True, archive=None
        )
    }


def test_a_subscription_keeps_the_messages_of_every_dead_letter_topic(tmp_path: Path) -> None:
    plan = plan_in(
        tmp_path,
        task_of("send"),
        task_of("bill", dead_letter_topic="unpaid"),
        task_of("tell", dead_letter_topic="projects/other/topics/failed"),
    )

    assert keepers(plan) == {
        "bill": None,
        "send": None,
        "send-dead-letter": "send-dead-letter",
        "tell": None,
        "unpaid": "unpaid-kept",
    }
    subscription = plan.to_json()["tasks"]["bill"]["triggers"]["subscriptions"]["bill"]
    assert subscription["dead_letter"]["topic"] == "unpaid"


def test_a_dead_letter_topic_keeps_its_subscription_when_a_task_reads_it(tmp_path: Path) -> None:
    before = keepers(plan_in(tmp_path, task_of("send"), task_of("bill", dead_letter_topic="lost")))
    readers = task_of("look", topic="send-dead-letter"), task_of("find", topic="lost")

    plan = plan_in(tmp_path, task_of("send"), task_of("bill", dead_letter_topic="lost"), *readers)

    assert before.items() <= keepers(plan).items()
    subscription = plan.to_json()["tasks"]["send"]["triggers"]["subscriptions"]["send"]
    assert subscription["dead_letter"]["topic"] == "send-dead-letter"


OWN = {"send-dead-letter": "send-dead-letter"}
NAMED = {"shop-dead-letter": "shop-dead-letter"}


@pytest.mark.parametrize(
    ("tasks", "kept", "expected"),
    [
        ([("send", None), ("bill", "send-dead-letter")], "", OWN),
        ([("send", "send-dead-letter")], "", OWN),
        ([("bill", "send-dead-letter")], "send-dead-letter", OWN),
        ([("bill", "send-dead-letter")], "", OWN),
        ([("bill", "unpaid")], "send-dead-letter", OWN),
        ([("bill", "shop-dead-letter")], "", NAMED),
        ([("bill", "unpaid")], "shop-dead-letter", NAMED),
    ],
)
def test_a_dead_letter_topic_keeps_its_subscription_whoever_uses_it(
    tmp_path: Path, tasks: list[tuple[str, str | None]], kept: str, expected: dict[str, str]
) -> None:
    """Another name would replace the subscription, and lose the dead letters in it."""
    configuration = f'kept_topics = ["{kept}"]' if kept else ""

    plan = plan_in(
        tmp_path,
        *(task_of(name, dead_letter_topic=topic) for name, topic in tasks),
        configuration=configuration,
    )

    assert keepers(plan).items() >= expected.items()


def test_existing_topics_are_used_and_not_made(tmp_path: Path) -> None:
    plan = plan_in(
        tmp_path,
        task_of("send", topic="orders"),
        configuration='existing_topics = ["orders", "send-dead-letter"]',
    )

    assert plan.topics == {}
    subscription = plan.to_json()["tasks"]["send"]["triggers"]["subscriptions"]["send"]
    assert subscription["topic"] == "orders"
    assert subscription["dead_letter"]["topic"] == "send-dead-letter"


def test_kept_topics_stay_with_their_subscriptions_when_no_task_uses_them(tmp_path: Path) -> None:
    plan = plan_in(
        tmp_path,
        task_of("send"),
        configuration='kept_topics = ["sell-dead-letter", "unpaid"]',
    )

    assert keepers(plan).items() >= {
        ("sell-dead-letter", "sell-dead-letter"),
        ("unpaid", "unpaid-kept"),
    }


def test_a_kept_topic_that_no_task_uses_can_be_deleted_by_removing_it(tmp_path: Path) -> None:
    configuration = 'kept_topics = ["send-dead-letter", "unpaid"]'

    plan = plan_in(tmp_path, task_of("send"), configuration=configuration)

    assert plan.topics["send-dead-letter"].deletion_protection is True
    assert plan.topics["unpaid"].deletion_protection is False


def test_dead_letters_are_archived_to_the_bucket_of_their_tasks(tmp_path: Path) -> None:
    tasks = task_of("one", dead_letter_topic="failed"), task_of("two", topic="failed")

    plan = plan_in(tmp_path, *tasks, configuration='[task.one]\ndead_letter_archive = "bucket"')

    archives = {name: topic.archive for name, topic in plan.topics.items() if topic.archive}
    assert archives == {"failed": "bucket"}
    assert "dead_letter_archive" not in plan.to_json()["tasks"]["one"]


def test_a_kept_topic_is_archived_if_all_tasks_have_the_same_bucket(tmp_path: Path) -> None:
    common = 'kept_topics = ["old-dead-letter"]\ndead_letter_archive = "bucket"'

    same = plan_in(tmp_path, task_of("one"), task_of("two"), configuration=common)
    other = plan_in(
        tmp_path,
        task_of("one"),
        task_of("two"),
        configuration=f'{common}\n[task.two]\ndead_letter_archive = "other"',
    )

    assert same.topics["old-dead-letter"].archive == "bucket"
    assert other.topics["old-dead-letter"].archive is None


def test_a_topic_is_archived_to_one_bucket(tmp_path: Path) -> None:
    tasks = task_of("one", dead_letter_topic="failed"), task_of("two", dead_letter_topic="failed")
    buckets = "\n".join(
        f'[task.{name}]\ndead_letter_archive = "{name}s"' for name in ("one", "two")
    )

    with pytest.raises(ConfigurationError, match="'failed' has one dead_letter_archive"):
        plan_in(tmp_path, *tasks, configuration=buckets)


def test_a_task_cannot_have_the_subscription_of_a_kept_topic(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="task 'send-dead-letter' and the topic"):
        plan_in(
            tmp_path,
            task_of("send-dead-letter"),
            configuration='kept_topics = ["send-dead-letter"]',
        )


def test_without_attempts_to_count_the_task_itself_may_publish_dead_letters(
    planned: Planned,
) -> None:
    task = planned(task_of(dead_letter_topic="failed", retry=RetryPolicy(max_attempts=None)))

    assert task["triggers"]["subscriptions"]["send"]["dead_letter"] is None
    assert task["function"]["publishes_to"] == ["failed"]


def test_shared_resources_have_only_the_shared_labels(tmp_path: Path) -> None:
    configuration = """
        [labels]
        team = "mail"
        [task.one.labels]
        cost = "high"
        """

    plan = plan_in(tmp_path, task_of("one"), task_of("two"), configuration=configuration)

    assert plan.labels == {"team": "mail"}
    assert plan.to_json()["tasks"]["one"]["labels"] == {"team": "mail", "cost": "high"}


def test_a_shared_topic_is_encrypted_if_one_of_its_tasks_is(tmp_path: Path) -> None:
    key, other = (f"projects/p/locations/l/keyRings/r/cryptoKeys/{name}" for name in "kl")
    tasks = task_of("one", topic="orders"), task_of("two", topic="orders")

    plan = plan_in(tmp_path, *tasks, configuration=f'[task.one]\nkms_key = "{key}"')

    assert plan.topics["orders"].kms_key == key
    with pytest.raises(ConfigurationError, match="topic 'orders' has one kms_key"):
        plan_in(
            tmp_path,
            *tasks,
            configuration=f'kms_key = "{key}"\n[task.two]\nkms_key = "{other}"',
        )


def test_a_role_is_on_one_resource(planned: Planned) -> None:
    task = planned(task_of(), 'roles = ["storage.objectUser on gs://reports"]')

    assert task["function"]["roles"] == [{"role": "roles/storage.objectUser", "on": "gs://reports"}]


def test_alerts_are_made_where_monitoring_is_and_close_after_a_time(planned: Planned) -> None:
    channel = "projects/my-monitoring/notificationChannels/1"

    task = planned(
        task_of(),
        f"""
        alert_channels = ["{channel}"]
        [alerting]
        monitoring_scoping_project = "my-monitoring"
        [stage.production.alerting]
        auto_close_seconds = 3600
        """,
        "production",
    )

    assert task["alerting"] == {
        "notification_channels": [channel],
        "monitoring_scoping_project": "my-monitoring",
        "auto_close_seconds": 3600,
    }


def test_messages_stay_in_the_regions_that_are_named_also_as_dead_letters(tmp_path: Path) -> None:
    regions = 'allowed_persistence_regions = ["europe-west2", "europe-west1"]'

    plan = plan_in(
        tmp_path, task_of("one"), task_of("two"), configuration=f"kept_topics = ['old']\n{regions}"
    )
    only_one = plan_in(
        tmp_path, task_of("one"), task_of("two"), configuration=f"[task.one]\n{regions}"
    )

    stored = {name: list(topic.allowed_persistence_regions) for name, topic in plan.topics.items()}
    names = ("old", "one", "one-dead-letter", "two", "two-dead-letter")
    assert stored == {name: ["europe-west1", "europe-west2"] for name in names}
    bound = {name for name, topic in only_one.topics.items() if topic.allowed_persistence_regions}
    assert bound == {"one", "one-dead-letter"}


def test_tasks_agree_on_the_regions_of_a_topic(tmp_path: Path) -> None:
    tasks = task_of("one", topic="orders"), task_of("two", topic="orders")
    configuration = """
        [task.one]
        allowed_persistence_regions = ["europe-west1"]
        [task.two]
        allowed_persistence_regions = ["europe-west2"]
    """

    with pytest.raises(ConfigurationError, match="'orders' has one allowed_persistence_regions"):
        plan_in(tmp_path, *tasks, configuration=configuration)


def test_a_topic_keeps_messages_for_new_subscriptions_and_a_dead_letter_topic_does_not(
    tmp_path: Path,
) -> None:
    plan = plan_in(tmp_path, task_of("one"), configuration="topic_retention_seconds = 86400")

    kept = {name: topic.retention_seconds for name, topic in plan.topics.items()}
    assert kept == {"one": 86400, "one-dead-letter": None}
    assert "topic_retention_seconds" not in plan.to_json()["tasks"]["one"]


def test_a_topic_has_the_schema_of_a_task_that_reads_it(tmp_path: Path) -> None:
    tasks = task_of("one", topic="orders"), task_of("two", topic="orders"), task_of("three")
    (tmp_path / "order.proto").write_text(text := 'syntax = "proto3"; message Order {}')
    (tmp_path / "other.avsc").write_text('"string"')
    proto = '[task.one]\ntopic_schema = { definition = "order.proto", encoding = "BINARY" }'
    avro = '[task.two]\ntopic_schema = { definition = "other.avsc", encoding = "JSON" }'

    plan = plan_in(tmp_path, *tasks, configuration=proto)

    schemas = {name: topic["schema"] for name, topic in plan.to_json()["topics"].items()}
    schema = {"type": "PROTOCOL_BUFFER", "definition": text, "encoding": "BINARY"}
    assert {name for name, each in schemas.items() if each} == {"orders"}
    assert schemas["orders"] == schema
    other = plan_in(tmp_path, *tasks, configuration=avro).topics["orders"].schema
    assert other == TopicSchema(type="AVRO", definition='"string"', encoding="JSON")
    with pytest.raises(ConfigurationError, match="'orders' has one topic_schema"):
        plan_in(tmp_path, *tasks, configuration=f"{proto}\n{avro}")


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ('{ encoding = "JSON" }', "'one': definition: expected a .avsc or .proto file"),
        ('{ definition = "bad.proto" }', "'one': encoding: expected JSON or BINARY"),
        ('{ definition = "no.proto", encoding = "JSON" }', "no.proto cannot be read"),
        ('{ definition = "bad.proto", encoding = "JSON" }', "bad.proto isn't a schema: line 1: "),
        ('{ definition = "bad.avsc", encoding = "JSON" }', "bad.avsc isn't a schema"),
    ],
)
def test_a_schema_that_cannot_be_used_is_refused(tmp_path: Path, schema: str, reason: str) -> None:
    for name in ("bad.proto", "bad.avsc"):
        (tmp_path / name).write_text("{}")

    with pytest.raises(ConfigurationError, match=reason):
        plan_in(tmp_path, task_of("one"), configuration=f"[task.one]\ntopic_schema = {schema}")


def test_a_shared_topic_is_protected_while_one_of_its_tasks_is(tmp_path: Path) -> None:
    tasks = task_of("one", topic="orders"), task_of("two", topic="orders")

    half = plan_in(tmp_path, *tasks, configuration="[task.one]\ndeletion_protection = false")
    none = plan_in(tmp_path, *tasks, configuration="deletion_protection = false")

    assert half.topics["orders"].deletion_protection is True
    assert none.topics["orders"].deletion_protection is False


def test_a_job_has_no_say_in_the_key_of_a_topic_that_has_its_name(tmp_path: Path) -> None:
    key, other = (f"projects/p/locations/l/keyRings/r/cryptoKeys/{name}" for name in "kl")

    plan = plan_in(
        tmp_path,
        task_of("reader", topic="report"),
        task_of("report", run_as="cloud-run-job"),
        configuration=f'kms_key = "{key}"\n[task.report]\nkms_key = "{other}"',
    )

    assert plan.topics["report"].kms_key == key


def test_a_job_may_publish_its_own_dead_letters(tmp_path: Path) -> None:
    plan = plan_in(tmp_path, task_of(run_as="cloud-run-job", dead_letter_topic="failed-jobs"))

    assert plan.to_json()["tasks"]["send"]["function"]["publishes_to"] == ["failed-jobs"]
    assert keepers(plan) == {"failed-jobs": "failed-jobs-kept"}


# --- names


def test_names_that_google_refuses_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="Cloud Run service of its name"):
        plan_in(tmp_path, task_of("x" * 50))
    with pytest.raises(ConfigurationError, match="would both be the Cloud Run service 'send-it'"):
        plan_in(tmp_path, task_of("send_it"), task_of("Send_It"))
    assert service_name("send_it") == "send-it"


# --- the file


def test_each_task_has_the_format_of_the_file(planned: Planned) -> None:
    assert planned(task_of())["format"] == FORMAT == 2


def test_equal_plans_are_equal_files_in_any_order_of_tasks(tmp_path: Path) -> None:
    tasks = [task_of(name, environment={"B": "1", "A": "2"}) for name in ("one", "two", "three")]

    assert plan_in(tmp_path, *tasks).text() == plan_in(tmp_path, *reversed(tasks)).text()


def test_the_planning_machines_environment_is_not_planned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = plan_in(tmp_path, task_of()).text()
    monkeypatch.setenv("UCAM_FAAS_DEAD_LETTER_TOPIC", "mine")
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "my-project")
    monkeypatch.setenv("UCAM_FAAS_LOG_LEVEL", "DEBUG")

    assert plan_in(tmp_path, task_of()).text() == before


def test_secrets_are_named_and_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", "hunter2")

    text = plan_in(tmp_path, task_of(secrets={"API_KEY": "api-key"})).text()

    assert "hunter2" not in text
    assert (
        json.loads(text)["tasks"]["send"]["function"]["secrets"]["API_KEY"]["secret"] == "api-key"
    )


def test_only_a_cloud_run_job_has_parts(planned: Planned) -> None:
    parts = "task_count = 12\nparallelism = 4"

    job = planned(task_of(run_as="cloud-run-job"), parts)["function"]

    assert (job["task_count"], job["parallelism"]) == (12, 4)
    assert "cpu_idle" not in job
    for run_as in ("service", "worker"):
        assert "task_count" not in planned(task_of(run_as=run_as), parts)["function"]


@pytest.mark.parametrize(
    ("configuration", "problem"),
    [
        ("task_count = 2\nparallelism = 3", "parallelism=3 is more than task_count=2"),
        ("cpu_idle = false\nmemory = '256Mi'", "cpu_idle=false needs at least one CPU and 512Mi"),
        ("cpu_idle = false\ncpu = 0.5", "cpu_idle=false needs at least one CPU and 512Mi"),
        ("annotations = { 'run.googleapis.com/x' = '1' }", "'run.googleapis.com/x' is Cloud Run's"),
        ("[volumes]\n'/tmp' = '512Mi'", "memory='512Mi' has no room"),
    ],
)
def test_options_that_cloud_run_refuses(planned: Planned, configuration: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        planned(task_of(), configuration)


def test_volumes_and_files_are_planned(planned: Planned) -> None:
    configuration = """
        secrets = { "/etc/keys/api" = "api-key:3" }
        volumes = { "/mnt/prices" = "gs://prices:ro", "/tmp" = "64Mi" }
    """

    function = planned(task_of(), configuration)["function"]

    assert function["secrets"] == {"/etc/keys/api": {"secret": "api-key", "version": "3"}}
    assert function["volumes"] == {
        "/mnt/prices": {"bucket": "prices", "memory": None, "read_only": True},
        "/tmp": {"bucket": None, "memory": "64Mi", "read_only": False},
    }


def test_sidecars_are_planned(planned: Planned) -> None:
    configuration = """
        [task.send.sidecars.proxy]
        image = "proxy:1"
        cpu = 1
        port = 5433
    """

    function = planned(task_of(), configuration)["function"]

    assert function["sidecars"] == {"proxy": {"image": "proxy:1", "cpu": "1", "port": 5433}}


def test_a_collector_is_planned(planned: Planned) -> None:
    configuration = """
        [telemetry]
        collector = "google-cloud"
        cpu = 0.5
    """

    function = planned(task_of(), configuration)["function"]

    assert function["telemetry"] == {"collector": "google-cloud", "cpu": "0.5"}


def test_a_collectors_own_configuration_is_planned_as_text(
    planned: Planned, project: Project
) -> None:
    project.write("otel.yaml", "service: {}")

    function = planned(task_of(), '[telemetry]\ncollector = "otel.yaml"')["function"]

    assert function["telemetry"] == {"collector": "service: {}"}


@pytest.mark.parametrize("collector", ["", 'collector = "none"'])
def test_without_a_collector_there_is_no_telemetry(planned: Planned, collector: str) -> None:
    function = planned(task_of(), f'[telemetry]\nimage = "otel:1"\n{collector}')["function"]

    assert "telemetry" not in function


@pytest.mark.parametrize(
    ("telemetry", "problem"),
    [
        ("collector = 'google'", "expected google-cloud, none, or the path of a .yaml file"),
        ("collector = 'otel.yaml'", "otel.yaml cannot be read"),
        ("colector = 'none'", "Did you mean 'collector'"),
        ("collector = 'google-cloud'\nmemory = '256'", "memory='256': expected 128Mi to 32Gi"),
        ("collector = 'google-cloud'\ncpu = 8\nmemory = '4Gi'", "are 9 CPUs and 4608 MiB"),
        (
            "collector = 'google-cloud'\n[sidecars]\np = { image = 'p:1', port = 4318 }",
            "p with the port 4318",
        ),
        (
            "collector = 'google-cloud'\n[sidecars]\n"
            + "\n".join(f"p{number} = {{ image = 'p:1' }}" for number in range(9)),
            "expected at most 8",
        ),
    ],
)
def test_a_collector_that_cannot_run(planned: Planned, telemetry: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        planned(task_of(), f"[telemetry]\n{telemetry}")


@pytest.mark.parametrize(
    ("sidecar", "problem"),
    [
        ("proxy = { args = [] }", "proxy: expected a table with an image"),
        ("proxy = { image = 'p:1', imge = 1 }", "proxy has no key 'imge'"),
        ("proxy = { image = 'p:1', port = 8080 }", "proxy.port: expected a port"),
        ("task = { image = 'p:1' }", "other than task"),
    ],
)
def test_sidecars_that_cannot_run(planned: Planned, sidecar: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        planned(task_of(), f"[sidecars]\n{sidecar}")
