"""A deletion's finding says how to avoid it, and how to drain it first: with commands to copy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ucam_faas.deploy.checks import plan_file
from ucam_faas.deploy.checks.plan_changes import changes_between

from .conftest import PLAN, TERRAFORM_PLAN, Shop, TerraformPlans
from .seeded import CODE, CONFIG, LAST, Edit
from .seeded_terraform import COUNT, COUNT_PUSH, ORDERS, REPLACE, SERVICE, Change, plan_to

DOCUMENT = Path(__file__).parents[3] / "docs/check.md"
SEEK = (
    "gcloud pubsub snapshots create pay_back-backlog --project=my-project --subscription=pay_back",
    "gcloud pubsub subscriptions seek pay_back --project=my-project --snapshot=pay_back-backlog",
)
PULL = "gcloud pubsub subscriptions pull failed-refunds-kept --project=my-project --limit=100"
FULL = 'topic="projects/my-project/topics/orders"'

ADVICE: dict[str, tuple[str, tuple[Edit, ...], str, tuple[str, ...]]] = {
    "another filter": (
        "subscription-deleted",
        ((CODE, '"refund"', '"credit"'),),
        "Keep its messages in a snapshot",
        SEEK,
    ),
    "another topic": (
        "subscription-deleted",
        ((CODE, 'topic="refunds"', 'topic="credits"'), (CONFIG, '"refunds"', '"credits"')),
        "Make a second task for the other topic.",
        (),
    ),
    "another name": (
        "subscription-deleted",
        (
            (CODE, "def pay_back", "def repay"),
            (CONFIG, "[task.pay_back]", "[task.repay]"),
            (CONFIG, "task.pay_back.sidecars", "task.repay.sidecars"),
        ),
        'If the task was renamed, keep its name in the cloud: name="pay_back".',
        (),
    ),
    "other dead letters": (
        "dead-letters-deleted",
        ((CODE, '"failed-refunds"', '"failed"'),),
        'Keep it: kept_topics = ["failed-refunds"] at the top level or in [stage.NAME].',
        (f"{PULL} --format=json",),
    ),
    "dead letters that an earlier version kept in another subscription": (
        "dead-letters-deleted",
        (
            (CODE, '"failed-refunds"', '"refunds-dead-letter"'),
            (LAST, '"failed-refunds": {', '"refunds-dead-letter": {'),
        ),
        "This version keeps the messages of 'refunds-dead-letter' in 'refunds-dead-letter'. Read",
        (f"{PULL} --format=json",),
    ),
    "dead letters in a topic of others": (
        "dead-letters-deleted",
        ((CONFIG, "project =", 'existing_topics = ["failed-refunds"]\nproject ='),),
        "Its topic is in existing_topics: take it out of Terraform's state",
        (),
    ),
    "another project": (
        "topic-deleted",
        ((CONFIG, '"my-project"', '"other-project"'),),
        "Deploy to the other project from a Terraform state of its own",
        (),
    ),
    "a topic of others": (
        "topic-deleted",
        ((CONFIG, "project =", 'existing_topics = ["orders"]\nproject ='),),
        "It is in existing_topics: take it out of Terraform's state",
        (),
    ),
    "a full name": (
        "topic-deleted",
        ((CODE, 'topic="orders"', FULL),),
        "The task 'count_orders' names it in full, as a topic of others.",
        (),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ADVICE)
def test_a_deletion_is_explained_from_two_plans(shop: Shop, clean_plan: str, name: str) -> None:
    rule, edits, advice, commands = ADVICE[name]
    shop.path(LAST).write_text(clean_plan)
    for edit in edits:
        shop.edit(*edit)

    findings = shop.check("--against", LAST)
    (finding, *_) = (finding for finding in findings if finding["rule"] == rule)

    assert advice in finding["fix"]
    assert tuple(finding["commands"]) == commands


CALLS = f"{COUNT}google_cloud_run_v2_service_iam_member.push[0]"
LONGER = (
    "gcloud pubsub subscriptions update count_orders --project=my-project "
    "--dead-letter-topic=count_orders-dead-letter --max-delivery-attempts=8"
)

TERRAFORM_ADVICE: dict[str, tuple[str, tuple[Edit, ...], Change, str]] = {
    "tainted": (
        "tainted",
        (),
        plan_to(f"{COUNT}{SERVICE}", *REPLACE, reason="replace_because_tainted"),
        f"terraform -chdir=infra untaint '{COUNT}{SERVICE}'",
    ),
    "a topic of others": (
        "topic-deleted",
        ((CODE, 'topic="orders"', FULL),),
        plan_to(ORDERS, "delete"),
        f"terraform -chdir=infra state rm '{ORDERS}'",
    ),
    "retries that do not last": ("push-grant-deleted", (), plan_to(CALLS, *REPLACE), LONGER),
    "another address": (
        "subscription-deleted",
        (),
        plan_to(COUNT_PUSH, "delete", now_at="module.count.google_pubsub_subscription.push[0]"),
        f"ucam-faas plan --terraform {TERRAFORM_PLAN}",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TERRAFORM_ADVICE)
def test_a_deletion_is_explained_from_terraforms_plan(
    shop: Shop, clean_plan: str, terraform_plans: TerraformPlans, name: str
) -> None:
    rule, edits, change, command = TERRAFORM_ADVICE[name]
    shop.path(PLAN).write_text(clean_plan)
    for edit in edits:
        shop.edit(*edit)
    plan = terraform_plans.copy(made=True)
    change(plan)
    shop.path(TERRAFORM_PLAN).write_text(json.dumps(plan))

    findings = shop.check("--terraform", TERRAFORM_PLAN)

    (finding,) = (finding for finding in findings if finding["rule"] == rule)
    assert finding["commands"] == [command]


def test_a_command_stays_on_its_line_in_a_narrow_terminal(
    shop: Shop, clean_plan: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shop.path(LAST).write_text(clean_plan)
    shop.edit(CODE, '"refund"', '"credit"')

    output = shop.run("--against", LAST).stdout

    lines = output.splitlines()
    assert "main.py:30  subscription-deleted:pay_back" in lines
    assert [line for line in lines if "gcloud" in line] == [f"       $ {line}" for line in SEEK]
    assert all(len(line) <= 80 for line in lines[:-1] if "gcloud" not in line)
    example = output.partition("\n\n")[0]
    assert f"```text\n{example}\n```" in DOCUMENT.read_text()


# --- the two forms of a plan


def test_a_plan_of_an_older_form_is_said_to_be_one(shop: Shop, clean_plan: str) -> None:
    """It isn't a difference of each task, and its losses are found nevertheless."""
    old = json.loads(clean_plan)
    for task in old["tasks"].values():
        del task["format"]
    retries = old["tasks"]["count_orders"]["triggers"]["subscriptions"]["count_orders"]
    retries["dead_letter"]["max_attempts"] = 5
    shop.path(PLAN).write_text(json.dumps(old))

    findings = shop.check()

    (stale,) = (finding for finding in findings if finding["rule"] == "plan-out-of-date")
    assert stale["what"] == (
        f"{PLAN} is out of date: it has the format 1, and this version of ucam-faas writes 2."
    )
    (grant,) = (finding for finding in findings if finding["rule"] == "push-grant-deleted")
    assert "with the command below, and then allow this: ignore" in grant["fix"]
    assert tuple(grant["commands"]) == (LONGER,)


def test_a_plan_with_the_earlier_name_of_a_cloud_run_job_loses_nothing(
    shop: Shop, clean_plan: str
) -> None:
    earlier = clean_plan.replace('"run_as": "cloud-run-job"', '"run_as": "job"')
    assert earlier != clean_plan
    shop.path(LAST).write_text(earlier)

    assert shop.check("--against", LAST) == []


SUBSCRIPTION = {
    "topic": "t",
    "filter": None,
    "ordered": False,
    "retry": {"min_backoff_seconds": 10, "max_backoff_seconds": 600},
}


def plan_of(format_: int, **changes: Any) -> dict[str, Any]:
    """Return a plan of a task with dead letters, which are archived, in one of the forms."""
    letters = {"max_attempts": 8, "topic": None if format_ == 1 else "work-dead-letter"}
    task: dict[str, Any] = {
        "name": "work",
        "function": {"run_as": "service", "deletion_protection": True},
        "triggers": {"subscriptions": {"work": {**SUBSCRIPTION, "dead_letter": letters}}},
        "dead_letter_archive": "bucket" if format_ == 1 else None,
    }
    failed = {"dead_letters": True} if format_ == 1 else {"dead_letter_subscription": "failed-kept"}
    topics: dict[str, Any] = {"t": {}, "failed": failed}
    if format_ == 2:
        task["format"] = 2
        topics["work-dead-letter"] = {
            "dead_letter_subscription": "work-dead-letter",
            "archive": "bucket",
        }
    return {"project": "p", "region": "r", "topics": topics, "tasks": {"work": task}, **changes}


def names(old: dict[str, Any], new: dict[str, Any]) -> list[tuple[str, str]]:
    last = plan_file.parse(json.dumps(old), name="last.json")
    return sorted((change.kind, change.name) for change in changes_between(last, new))


@pytest.mark.parametrize("format_", [1, 2])
def test_an_equal_plan_deletes_nothing(format_: int) -> None:
    assert names(plan_of(format_), plan_of(format_)) == []


def test_the_same_plan_in_the_newer_form_only_replaces_the_account_that_pushes() -> None:
    assert names(plan_of(1), plan_of(2)) == [("push grant", "work")]


@pytest.mark.parametrize("attempts", [(8, 5), (5, 8), (None, 5), (5, None)])
def test_a_push_may_fail_as_long_as_the_shorter_retries_of_both_plans_last(
    attempts: tuple[int | None, int | None],
) -> None:
    """The apply may change the retries before or after it deletes the grant."""
    old, new = (plan_of(2, region=region) for region in "rs")
    for plan, most in zip((old, new), attempts, strict=True):
        subscription = plan["tasks"]["work"]["triggers"]["subscriptions"]["work"]
        letters = {"max_attempts": most, "topic": "work-dead-letter"}
        subscription["dead_letter"] = letters if most else None

    last = plan_file.parse(json.dumps(old), name="last.json")

    (grant,) = (change for change in changes_between(last, new) if change.kind == "push grant")
    assert grant.retries
    assert grant.retries.seconds() == 150


@pytest.mark.parametrize("format_", [1, 2])
def test_all_parts_of_a_removed_task_are_deleted(format_: int) -> None:
    new = plan_of(2, tasks={}, topics={"t": {}})

    assert names(plan_of(format_), new) == [
        ("archive", "work-dead-letter-archive"),
        ("dead letters", "failed-kept"),
        ("dead letters", "work-dead-letter"),
        ("service", "work"),
        ("subscription", "work"),
        ("topic", "failed"),
        ("topic", "work-dead-letter"),
    ]


@pytest.mark.parametrize("format_", [1, 2])
def test_a_topic_keeps_its_dead_letters_when_a_task_reads_it(format_: int) -> None:
    new = plan_of(2)
    new["topics"]["failed"] = {"dead_letter_subscription": None}

    assert ("dead letters", "failed-kept") in names(plan_of(format_), new)


def test_an_unknown_project_is_no_other_project() -> None:
    """It may be given to Terraform elsewhere."""
    assert names(plan_of(2, project=None), plan_of(2)) == []
