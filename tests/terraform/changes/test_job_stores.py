"""docs/operations.md: a job store is exchanged or removed, and no job is left without a warning."""

from __future__ import annotations

import re

import pytest

from tests.terraform.attached import Operation

from . import edits, page
from .conftest import JOBS
from .deployment import PLAN, Deployment

pytestmark = pytest.mark.slow

STORE = 'UCAM_FAAS_JOB_STORE = "firestore:my-project/jobs"\n'
FORGOTTEN = {f"google_firestore_{kind}" for kind in ("database", "index", "field")}
DRAINED = re.compile(r".*ucam-faas jobs list.*\n")


def deletions(shop: Deployment) -> list[Operation]:
    """Return the operations that deleted, replaced or forgot something."""
    return [each for each in shop.environment.operations() if each.action in ("delete", "forget")]


def test_a_release_with_jobs_deletes_nothing_of_a_deployment_without(shop: Deployment) -> None:
    (shop.folder / "pyproject.toml").write_text('[project]\nname = "shop"\n')
    shop.configure(JOBS)

    page.follow(shop, "release")

    assert deletions(shop) == []
    assert shop.changes() == {}


def test_another_job_store_without_a_warning_is_refused(with_jobs: Deployment) -> None:
    with_jobs.edit(("my-project/jobs", "my-project/jobs-2"), file=edits.CONFIG)

    planned = with_jobs.tried(f"ucam-faas plan --output {PLAN}")

    assert planned.returncode == 1
    assert "job-store-left:shop in firestore:my-project/jobs" in planned.stdout
    assert "ucam-faas jobs list --state pending" in planned.stdout


def test_jobs_move_to_another_store(with_jobs: Deployment) -> None:
    heading = "Move to another job store"
    (new, allowed, _), commands = page.blocks(heading, "toml"), page.blocks(heading, "sh")
    held, listed, released = commands
    page.follow(with_jobs, held, DRAINED.sub("", listed))
    with_jobs.edit((STORE, new.partition("\n")[2]), file=edits.CONFIG)
    with_jobs.configure(allowed)

    page.follow(with_jobs, released)
    with_jobs.edit((allowed, ""), file=edits.CONFIG)
    page.follow(with_jobs, "release")

    assert {each.type for each in deletions(with_jobs) if each.action == "forget"} == FORGOTTEN
    assert with_jobs.changes() == {}


def test_a_store_that_was_left_by_mistake_is_used_again(with_jobs: Deployment) -> None:
    heading = "Move to another job store"
    new, allowed, again = page.blocks(heading, "toml")
    moved = new.partition("\n")[2]
    with_jobs.edit((STORE, moved), file=edits.CONFIG)
    with_jobs.configure(allowed)
    page.follow(with_jobs, "release")
    back = allowed.replace("my-project/jobs", "my-project/jobs-2")
    with_jobs.edit((moved, STORE), (allowed, back), file=edits.CONFIG)
    with_jobs.configure(again)

    page.follow(with_jobs, "release")

    assert with_jobs.refused() == []
    assert with_jobs.changes() == {}


def test_a_job_store_is_removed(with_jobs: Deployment) -> None:
    heading = "Remove a job store"
    unprotected, allowed = page.blocks(heading, "toml")
    first, _, second, third, _ = page.blocks(heading, "sh")
    with_jobs.configure(unprotected)
    page.follow(with_jobs, first)
    with_jobs.edit((JOBS, ""), file=edits.CONFIG)
    printed = with_jobs.tried(f"ucam-faas plan --output {PLAN}").stdout
    names = {*re.findall(r'ignore = \["(.+?)"\]', " ".join(printed.split()))}
    with_jobs.configure("ignore = [" + ", ".join(f'"{name}"' for name in sorted(names)) + "]\n")

    page.follow(with_jobs, second)
    with_jobs.edit((unprotected, ""), file=edits.CONFIG)
    page.follow(with_jobs, third)

    assert {*re.findall(r'"(.+?)"', allowed)} <= names
    assert "protected-deleted" not in printed
    forgotten = {each.type for each in deletions(with_jobs) if each.action == "forget"}
    assert forgotten == FORGOTTEN | {"google_storage_bucket"}
    inboxes = {f"{task}-inbox" for task in ("take_order", "pay_back", "tidy_up")}
    assert {*with_jobs.lost()} == inboxes | {"shop-sweep", "events"}
    assert with_jobs.changes() == {}


def test_a_lane_is_added_without_a_change_of_what_is_there_and_not_removed_without_a_word(
    with_jobs: Deployment,
) -> None:
    before = len(with_jobs.environment.operations())
    decorator = "@message_handler(message_type=Order"
    with_jobs.edit((decorator, f'{decorator}, lanes=["bulk"]'))

    page.follow(with_jobs, "release")

    is_unchanged = with_jobs.changes() == {}
    added = with_jobs.environment.operations()[before:]
    assert {each.action for each in added} == {"create"}
    assert {each.type for each in added} == {
        "google_pubsub_topic",
        "google_pubsub_subscription",
        "google_pubsub_topic_iam_member",
    }
    assert is_unchanged
    with_jobs.edit((f'{decorator}, lanes=["bulk"]', decorator))
    planned = with_jobs.tried(f"ucam-faas plan --output {PLAN}")
    assert planned.returncode == 1
    assert "subscription-deleted:take_order-inbox-bulk" in planned.stdout
