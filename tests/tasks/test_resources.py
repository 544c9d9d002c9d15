"""A task's resources are checked when it is decorated: at import, not at apply."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ucam_faas import RetryPolicy, Schedule, TaskDefinitionError, http, message_handler, raw_event
from ucam_faas.tasks.resources import (
    check_together,
    cpu_count,
    memory_bytes,
    secret_version,
)
from ucam_faas.tasks.task import Task

ROOM = {0.08: (0.125, 0.5), 0.5: (0.125, 1), 1: (0.125, 4), 2: (0.125, 8)}
ROOM |= {4: (2, 16), 6: (4, 24), 8: (4, 32)}
"""CPUs to the least and the most memory in GiB, from Google's two tables."""


def task_of(**options: Any) -> Task:
    @message_handler(message_type=None, **options)
    def task(payload: bytes) -> None:
        """Do nothing."""

    decorated: Task = task.task
    return decorated


def refused(**options: Any) -> str:
    with pytest.raises(TaskDefinitionError) as caught:
        task_of(**options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("options", [{"memory": "256Mi"}, {"cpu": 0.5}])
def test_a_worker_has_a_whole_cpu_and_its_memory(options: dict[str, Any]) -> None:
    with pytest.raises(TaskDefinitionError, match="worker pool"):
        task_of(run_as="worker", **options)


def test_a_worker_may_run_a_task_for_days() -> None:
    assert task_of(run_as="worker", timeout=timedelta(days=7)).run_as == "worker"
    assert "over 604800 s, the longest that Pub/Sub keeps" in refused(
        run_as="worker", timeout=timedelta(days=8)
    )


def test_the_decorators_options_are_kept_and_no_others_are_added() -> None:
    task = task_of(memory="1Gi", secrets={"KEY": "api-key"})

    assert task.own_options == {"memory": "1Gi", "secrets": {"KEY": "api-key"}}
    assert task.run_as == "service"
    assert task_of(memory=None).own_options == {}


BOUNDS = {int(1024 * bound) + by for room in ROOM.values() for bound in room for by in (-1, 0, 1)}
"""In MiB, and those beside them."""


@pytest.mark.parametrize("mebibytes", sorted({1, 40_000} | BOUNDS))
def test_memory_and_cpus_fit_as_google_says(mebibytes: int) -> None:
    fitting = {
        cpu for cpu, (least, most) in ROOM.items() if least * 1024 <= mebibytes <= most * 1024
    }

    assert {cpu for cpu in ROOM if fits(cpu, mebibytes)} == fitting


def fits(cpu: float, mebibytes: int) -> bool:
    try:
        memory_bytes(f"{mebibytes}Mi")
        check_together({"cpu": cpu, "memory": f"{mebibytes}Mi"})
    except TaskDefinitionError:
        return False
    return True


def test_the_least_numbers_of_instances_are_accepted() -> None:
    task = task_of(min_instances=0, max_instances=1)

    assert task.own_options == {"min_instances": 0, "max_instances": 1}


@pytest.mark.parametrize("memory", ["127Mi", "33Gi", "512", "512MB", "0.1Mi", "", 512, "-1Gi"])
def test_memory_outside_the_limits_is_refused_with_them(memory: Any) -> None:
    assert f"memory={memory!r}: expected 128Mi to 32Gi" in refused(memory=memory)


@pytest.mark.parametrize("cpu", [0, 0.07, 3, 1.5, 9, "two", True, "", "-1", -1])
def test_a_number_of_cpus_that_cloud_run_has_not_is_refused(cpu: Any) -> None:
    assert f"cpu={cpu!r}: expected 1, 2, 4, 6 or 8" in refused(cpu=cpu)


def test_spellings_of_one_amount_are_equal() -> None:
    assert memory_bytes("1Gi") == memory_bytes("1024Mi") == memory_bytes("1.0Gi")
    assert cpu_count("500m") == cpu_count(0.5) == cpu_count("0.5")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"min_instances": -1}, "min_instances=-1: expected a whole number of at least 0"),
        ({"max_instances": 0}, "max_instances=0: expected a whole number of at least 1"),
        ({"max_instances": True}, "max_instances=True: expected a whole number"),
        ({"min_instances": 3, "max_instances": 2}, "min_instances=3 is more than max_instances=2"),
        (
            {"run_as": "workers"},
            "run_as='workers': expected 'service', 'worker' or 'cloud-run-job'",
        ),
        (
            {"run_as": "job"},
            "run_as='job': expected 'service', 'worker' or 'cloud-run-job'. Write 'cloud-run-job'",
        ),
        ({"concurrency": 1001}, "concurrency=1001: expected a whole number from 1 to 1000"),
        ({"cpu": 0.5, "concurrency": 2}, "expected concurrency=1"),
        ({"environment": {"PORT": "1"}}, "'PORT' cannot be given: Cloud Run sets it"),
        ({"environment": {"K_NAME": "1"}}, "'K_NAME' cannot be given"),
        ({"environment": {"1A": "1"}}, "'1A' is not a name of an environment variable"),
        ({"environment": {"A": 1}}, "the value of 'A' is of type int: expected text"),
        ({"environment": ["A"]}, "environment: expected a dict"),
        ({"secrets": {"FUNCTION_TARGET": "a"}}, "'FUNCTION_TARGET' cannot be given"),
        ({"secrets": {"A": "a"}, "environment": {"A": "b"}}, "'A' is in secrets= and in environ"),
        ({"init": "connect"}, "init='connect': expected a list of functions"),
        ({"init": [1]}, "init=[…]: expected a function, not 1"),
    ],
    ids=str,
)
def test_a_value_that_google_would_refuse_is_refused_at_import(
    options: dict[str, Any], expected: str
) -> None:
    assert expected in refused(**options)


def test_a_secret_is_named_in_three_ways() -> None:
    assert secret_version("api-key", "A") == ("api-key", "latest")
    assert secret_version("api-key:3", "A") == ("api-key", "3")
    full = secret_version("projects/p/secrets/api-key/versions/3", "A")
    assert full == ("projects/p/secrets/api-key", "3")


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        ("hunter2! $uper", "'API_KEY' is not the name of a secret"),
        ("ghp_hunter2hunter2", "'API_KEY' begins as a provider's token does"),
        ("sk_live_hunter2", "'API_KEY' begins as a provider's token does"),
    ],
)
def test_a_secret_written_out_is_refused_and_not_repeated(secret: str, said: str) -> None:
    """Where the name of a secret belongs, people paste the secret."""
    message = refused(secrets={"API_KEY": secret})

    assert said in message
    assert "hunter2" not in message


def test_a_secret_that_is_called_like_a_token_may_be_named_in_full() -> None:
    assert "name it in full" in refused(secrets={"API_KEY": "sk-editor-key"})
    full = "projects/p/secrets/sk-editor-key"
    assert secret_version(full, "API_KEY") == (full, "latest")


# --- deadlines


def test_a_push_is_answered_within_ten_minutes() -> None:
    message = refused(timeout=timedelta(seconds=601))

    assert "is over 600 s, the longest that Pub/Sub waits" in message
    assert 'run_as="cloud-run-job"' in message
    assert task_of(timeout=timedelta(seconds=600)).policy.served_timeout_seconds == 600


def test_a_request_is_answered_within_an_hour() -> None:
    def build(seconds: int) -> None:
        @http(path="/x", timeout=timedelta(seconds=seconds))
        def page(request: Any) -> str:
            return ""

    build(3600)
    with pytest.raises(TaskDefinitionError, match="over 3600 s"):
        build(3601)


def test_a_job_may_take_a_week() -> None:
    assert task_of(run_as="cloud-run-job", timeout=timedelta(days=7)).run_as == "cloud-run-job"
    assert "over 604800 s" in refused(run_as="cloud-run-job", timeout=timedelta(days=8))


# --- Cloud Run jobs


def test_a_cloud_run_job_is_retried_as_often_as_cloud_run_can_and_may_not_be_at_all() -> None:
    once = task_of(run_as="cloud-run-job", retry=RetryPolicy(max_attempts=1))

    assert once.policy.retry.max_attempts == 1
    for attempts in (12, None):
        message = refused(run_as="cloud-run-job", retry=RetryPolicy(max_attempts=attempts))
        assert f"max_attempts={attempts!r} of 'task': expected 1 to 11" in message


def test_messages_may_be_tried_less_often_than_pubsub_can_count() -> None:
    once = message_handler(retry=RetryPolicy(max_attempts=1))(lambda: None)

    assert once.task.policy.retry.max_attempts == 1
    with pytest.raises(TaskDefinitionError) as caught:
        raw_event(retry=RetryPolicy(max_attempts=4))(lambda body: None)
    message = str(caught.value)
    assert "expected 5 to 100 (Pub/Sub's limits), or None for no dead letters: a raw" in message


@pytest.mark.parametrize(
    "options",
    [
        {"topic": "orders"},
        {"filter": "attributes:a"},
        {"ordered": True},
        {"max_instances": 2},
        {"min_instances": 1},
        {"concurrency": 2},
        {"cpu": 0.5},
        {"memory": "256Mi"},
        {"schedule": Schedule("0 3 * * *", data=b"{}")},
        {"schedule": Schedule("0 3 * * *", attributes={"a": "b"})},
    ],
    ids=str,
)
def test_a_job_takes_no_messages_and_runs_once(options: dict[str, Any]) -> None:
    assert "job" in refused(run_as="cloud-run-job", **options)


def test_a_schedule_starts_a_job_without_a_message() -> None:
    task = task_of(run_as="cloud-run-job", schedule=Schedule("every 6 hours"))

    assert task.trigger is not None
    assert [schedule.expression for schedule in task.trigger.schedules] == ["0 */6 * * *"]


def test_an_http_task_is_no_job() -> None:
    with pytest.raises(TaskDefinitionError, match="http has no option 'run_as'"):
        http(path="/x", run_as="cloud-run-job")(lambda: "")  # type: ignore[call-arg]


def test_a_raw_task_takes_the_same_options() -> None:
    @raw_event(memory="1Gi", run_as="cloud-run-job")
    def export(body: bytes) -> None:
        """Do nothing."""

    assert export.task.own_options["memory"] == "1Gi"
