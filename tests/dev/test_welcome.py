"""The table of tasks, commands to paste and dead letters that `ucam-faas dev` opens with."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ucam_faas.dev import welcome
from ucam_faas.tasks.needs import ScheduleNeeds, TaskNeeds


def plan(name: str, **fields: Any) -> TaskNeeds:
    return TaskNeeds(**{"name": name, "path": f"/{name}", "takes": "T", "topic": name, **fields})


def schedule(expression: str = "0 3 * * *") -> ScheduleNeeds:
    return ScheduleNeeds(
        expression=expression, time_zone="Etc/UTC", data="", attributes={}, paused=False
    )


# --- the table


def test_schedules_stand_below_their_task_with_their_next_runs() -> None:
    plans = [
        TaskNeeds(
            name="work",
            path="/work",
            takes="bytes",
            topic="work",
            schedules=(schedule(), schedule("0 4 * * *"), schedule("0 5 * * *")),
        )
    ]

    lines = welcome.table(plans, {"work": 0.0, "work-2": None}, 100)

    rows = [re.split(r"  +", line.strip()) for line in lines]
    assert rows[1] == ["work", "bytes", "topic work"]
    assert rows[2][0] == "0 3 * * *"
    assert rows[2][1].startswith(("Etc/UTC, next Thu 01 Jan", "Etc/UTC, next Wed 31 Dec"))
    assert rows[3] == ["0 4 * * *", "Etc/UTC, paused"]
    assert rows[4] == ["0 5 * * *", "Etc/UTC"]


def test_the_lanes_of_a_task_are_shown_where_it_has_several() -> None:
    lines = welcome.table([plan("work", lanes=("default", "bulk")), plan("one")], {}, 100)

    shown = " ".join(" ".join(lines).split())
    assert shown.count("lanes default, bulk") == shown.count("lanes") == 1


@pytest.mark.parametrize("columns", [60, 80])
def test_the_table_folds_a_trigger_that_is_too_long(columns: int) -> None:
    long = plan("n" * 30, takes="T" * 20, topic="the-topic", schedules=(schedule(),))

    lines = welcome.table([long], {"n" * 30: 0.0}, columns)

    assert not any("…" in line for line in lines)
    shown = " ".join(" ".join(lines).split())
    assert "topic the-topic 0 3 * * * Etc/UTC, next " in shown


def test_the_table_cuts_long_types_and_escapes_what_steers() -> None:
    long = TaskNeeds(name="work", path="/", takes="x" * 99, topic="t", filter="attributes:\n" * 9)

    lines = welcome.table([long], {}, 100)

    assert lines[1].count("…") == 1
    assert all(line.isprintable() for line in lines)
    assert "\\n" in "".join(lines)


def test_cloud_run_jobs_are_marked() -> None:
    lines = welcome.table([plan("work", run_as="cloud-run-job")], {}, 100)

    assert lines[1].endswith("topic work, Cloud Run job")


# --- lines to paste


def paste(*plans: TaskNeeds, url: str = "http://h:1") -> list[str]:
    text = welcome.commands(plans, pubsub="h:2", project="p", url=url).replace("\\\n", "")
    return [" ".join(line.split()) for line in text.splitlines() if line]


def test_what_is_sure_to_be_taken_is_tried_first() -> None:
    lines = paste(
        plan("unknown"),
        plan("filtered", sample="{}", filter="attributes:a"),
        plan("raw", sample="hello", takes="bytes"),
        plan("sure", sample='{"name": "O\'Neill"}'),
    )

    assert len(lines) == 2
    assert lines[0].startswith("ucam-faas publish sure '")
    assert lines[1].startswith("CLOUDSDK_API_ENDPOINT_OVERRIDES_PUBSUB=http://h:2/ ")
    assert "CLOUDSDK_CORE_PROJECT=p gcloud pubsub topics publish sure --message " in lines[1]


def test_a_task_with_an_inbox_is_sent_a_job() -> None:
    place = {"pubsub": "h:2", "project": "p"}
    service, job = plan("sure", sample="{}"), plan("sure", sample="{}", run_as="cloud-run-job")

    lines = welcome.commands([service], inboxes=True, **place).splitlines()

    assert "  ucam-faas send sure '{}' --wait" in lines
    assert "send" not in welcome.commands([job], inboxes=True, **place)


def test_a_filter_that_would_stop_the_message_is_tried_last() -> None:
    lines = paste(plan("filtered", sample="{}", filter="attributes:a"), plan("unknown"))

    assert lines[0] == "ucam-faas publish unknown DATA"


def test_a_message_that_only_the_end_of_jobs_makes_is_tried_last() -> None:
    lines = paste(plan("callback", sample="{}", takes="BatchEnded"), plan("unknown"))

    assert lines[0] == "ucam-faas publish unknown DATA"


def test_a_task_that_takes_nothing_is_tried_without_data() -> None:
    lines = paste(plan("tidy", sample="", takes="nothing"))

    assert lines[0] == "ucam-faas publish tidy"
    assert lines[-1].endswith("publish tidy --attribute ucam_faas_trigger=publish")


def test_a_task_without_a_sample_needs_data() -> None:
    lines = paste(plan("unknown"))

    assert lines[0] == "ucam-faas publish unknown DATA"


def test_googles_pubsub_needs_only_the_project() -> None:
    text = welcome.commands([plan("sure", sample="{}")], pubsub="", project="p")

    line = "CLOUDSDK_CORE_PROJECT=p gcloud pubsub topics publish sure --message '{}'"
    assert text.splitlines()[-1].strip() == line


def test_an_empty_line_is_between_two_lines_to_paste_and_nowhere_else() -> None:
    text = welcome.commands([plan("sure", sample="{}")], pubsub="", project="p")

    assert [bool(line) for line in text.split("\n")] == [True, False, True]


@pytest.mark.parametrize(
    ("path", "sample"),
    [
        ("/users/<id>", "/users/id"),
        ("/users/<int:id>/<path:rest>", "/users/17/rest"),
        ("/<float:x>/<string(length=2):code>", "/1.5/code"),
    ],
)
def test_http_tasks_alone_are_tried_with_curl(path: str, sample: str) -> None:
    users = plan("users", topic=None, path=path, methods=("GET", "POST"))

    assert paste(users) == [f"curl http://h:1{sample}"]


def test_an_http_task_that_gets_no_get_is_tried_with_its_method_and_after_others() -> None:
    users, orders = (
        plan(name, topic=None, methods=methods)
        for name, methods in {"users": ("PUT", "POST"), "orders": ("GET",)}.items()
    )

    assert paste(users) == ["curl -X PUT http://h:1/users"]
    assert paste(users, orders) == ["curl http://h:1/orders"]


def test_the_first_schedule_is_run() -> None:
    assert paste(plan("work", schedules=(schedule(),)))[-1] == "ucam-faas schedules run work"


def test_the_schedule_of_a_job_is_run_if_there_is_no_other() -> None:
    """A job may need resources that only the cloud has."""
    job = plan("job", schedules=(schedule(),), run_as="cloud-run-job")

    assert paste(job)[-1] == "ucam-faas schedules run job"
    work = plan("work", schedules=(schedule(),))
    assert paste(job, work)[-1] == "ucam-faas schedules run work"


# --- dead letters


def test_dead_letters_that_wait_are_counted_with_the_verb_that_shows_them() -> None:
    counts = {"work-dead": 3, "shop-dead": 1}

    assert welcome.dead_letters(counts) == (
        "4 dead letters are waiting: 3 in work-dead, 1 in shop-dead. "
        "To see why they died, and to send them again:\n\n"
        "  ucam-faas dlq\n\n"
    )


def test_no_dead_letters_are_not_mentioned() -> None:
    assert welcome.dead_letters({}) == ""
