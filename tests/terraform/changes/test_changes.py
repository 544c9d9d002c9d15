"""Changes that used to lose messages: plan and check find the loss, and an apply refuses first.

The check used to find none of them, and each apply deleted subscriptions, topics or grants.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.terraform.runner import TerraformError

from . import edits
from .deployment import PLAN, Deployment

pytestmark = pytest.mark.slow

KEPT = 'kept_topics = ["take_order-dead-letter"]'
SERVICE = 'module.tasks.module.task["take_order"].google_cloud_run_v2_service.this[0]'

LOSSES: list[tuple[Callable[[Deployment], None], dict[str, str]]] = [
    (
        edits.remove_a_task,
        {
            "subscription-deleted:take_order": "wait until it has no messages left",
            "dead-letters-deleted:take_order-dead-letter": KEPT,
            "topic-deleted:orders": 'kept_topics = ["orders"]',
            "protected-deleted:take-order": "deletion_protection = false",
        },
    ),
    (
        edits.rename_a_task,
        {
            "subscription-deleted:take_order": 'name="take_order"',
            "dead-letters-deleted:take_order-dead-letter": KEPT,
            "protected-deleted:take-order": 'name="take_order"',
        },
    ),
    (
        edits.make_it_a_job,
        {
            "subscription-deleted:tidy_up": "Make the Cloud Run job a second task.",
            "dead-letters-deleted:tidy_up-dead-letter": 'kept_topics = ["tidy_up-dead-letter"]',
            "topic-deleted:tidy_up": 'kept_topics = ["tidy_up"]',
            "protected-deleted:tidy-up": "deletion_protection = false",
        },
    ),
    (
        edits.make_it_a_worker,
        {"protected-deleted:take-order": "[task.take_order] deletion_protection = false"},
    ),
    (
        edits.move_to_another_region,
        {
            "protected-deleted:take-order": "[task.take_order] deletion_protection = false",
            "protected-deleted:report": "[task.report] deletion_protection = false",
        },
    ),
    (
        edits.name_the_topic_in_full,
        {"topic-deleted:orders": 'Write topic="orders" to keep it here.'},
    ),
    (
        edits.read_another_topic,
        {
            "subscription-deleted:take_order": "Make a second task for the other topic.",
            "topic-deleted:orders": 'existing_topics = ["orders"]',
        },
    ),
    (
        edits.name_another_dead_letter_topic,
        {"dead-letters-deleted:failed-kept": 'kept_topics = ["failed"]'},
    ),
    (
        edits.retry_for_ever,
        {"dead-letters-deleted:tidy_up-dead-letter": 'kept_topics = ["tidy_up-dead-letter"]'},
    ),
    (
        edits.move_to_another_project,
        {
            "subscription-deleted:take_order": "a Terraform state of its own",
            "dead-letters-deleted:failed-kept": "a Terraform state of its own",
            "topic-deleted:orders": "a Terraform state of its own",
        },
    ),
]


@pytest.mark.parametrize(
    ("change", "expected"), [pytest.param(*loss, id=loss[0].__name__) for loss in LOSSES]
)
def test_a_loss_is_found_and_an_apply_in_spite_of_it_loses_nothing(
    shop: Deployment, change: Callable[[Deployment], None], expected: dict[str, str]
) -> None:
    change(shop)
    planned = shop.tried(f"ucam-faas plan --output {PLAN}")
    shop.plan()
    shop.terraform_plan()

    findings = {f"{each['rule']}:{each['name']}": each["fix"] for each in shop.check()}
    refused = shop.refused()

    assert planned.returncode == 1
    assert {name for name in expected if name not in planned.stdout} == set()
    assert {name: fix for name, fix in expected.items() if fix not in findings.get(name, "")} == {}
    assert all(error.startswith("cannot destroy") for error in refused)
    assert refused
    assert shop.lost() == []


def test_a_service_that_never_started_is_repaired_by_untaint(
    fresh_shop: Deployment, tmp_path: Path
) -> None:
    shop = fresh_shop.copy(tmp_path / "shop")
    with pytest.raises(TerraformError):
        shop.terraform.apply({"container_image": "tasks:fails"})
    shop.terraform_plan()

    [finding] = [each for each in shop.check() if each["name"] == "take-order"]
    refused = shop.refused()
    shop.run(*finding["commands"])

    assert finding["rule"] == "tainted"
    assert finding["commands"] == [f"terraform -chdir=deploy untaint '{SERVICE}'"]
    assert refused
    assert shop.changes()[SERVICE] == ["update"]


def test_a_task_that_reads_dead_letters_leaves_them_where_they_are(shop: Deployment) -> None:
    """The topic belonged to the reader from then on, and its kept letters were deleted."""
    edits.read_dead_letters(shop)
    shop.run(f"ucam-faas plan --output {PLAN}")
    shop.terraform_plan()

    findings = shop.check()

    assert findings == []
    assert shop.refused() == []
    assert shop.deleted() == []
