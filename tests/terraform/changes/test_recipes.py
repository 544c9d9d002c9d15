"""docs/operations.md: each recipe is followed with its own commands, and loses nothing unnamed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.terraform.runner import TerraformError

from . import edits, page
from .deployment import IMAGE, Deployment

pytestmark = pytest.mark.slow

TESTED = {
    "What a change does",
    "Release",
    "Rename a task",
    "Drain a subscription",
    "Remove a task",
    "Read another topic",
    "Change a filter or the ordering",
    "Change where dead letters go",
    "Turn a service into a worker, or back",
    "Turn a service into a Cloud Run job",
    "Move to another region",
    "Move to another project",
    "Hand a topic to others",
    "Go back to an earlier release",
    "Recover from an apply that failed",
    "Move to another job store",  # test_job_stores
    "Remove a job store",  # test_job_stores
    "Split a collection",  # test_migrations
    "Upgrade a plan of format 1",  # test_migrations
    "Upgrade a deployment of 1.0",  # test_migrations
}
PROTECTED = "deletion_protection = false\n"
TAKE_ORDER = "take_order(order: Order) -> None:"


def test_each_section_has_a_test() -> None:
    assert set(page.sections()) == TESTED


def test_a_renamed_function_keeps_its_task(shop: Deployment) -> None:
    heading = "Rename a task"
    [code], [commands] = page.blocks(heading, "python"), page.blocks(heading, "sh")
    assert 'topic="orders", name="take_order"' in code
    shop.edit(
        ('topic="orders"', 'topic="orders", name="take_order"'), ("def take_order", "def accept")
    )

    page.follow(shop, commands)

    assert shop.environment.operations() == []


def test_a_drained_task_is_removed(shop: Deployment) -> None:
    heading = "Remove a task"
    [unprotected, allowed], [first, second] = (
        page.blocks(heading, "toml"),
        page.blocks(heading, "sh"),
    )
    drain = page.blocks("Drain a subscription", "sh")
    page.follow(shop, *(block for block in drain if "dlq" not in block))  # its tests are others
    shop.configure(unprotected)
    page.follow(shop, first)
    edits.remove_a_task(shop)
    shop.configure(allowed)
    page.follow(shop, second)
    shop.edit((allowed, ""), file=edits.CONFIG)

    page.follow(shop, "release")

    named = {name.partition(":")[2] for name in re.findall(r'"(.+)"', allowed)}
    assert set(shop.lost()) == named | {"take_order-dead-letter"}


def test_two_tasks_read_the_old_and_the_new_topic(shop: Deployment) -> None:
    heading = "Read another topic"
    [code], [commands] = page.blocks(heading, "python"), page.blocks(heading, "sh")
    second = code[code.index('@message_handler(topic="purchases")') :]
    (shop.folder / "main.py").write_text(f"{(shop.folder / 'main.py').read_text()}\n\n{second}")

    page.follow(shop, commands)

    assert shop.deleted() == []


def test_a_filter_changes_with_the_backlog_in_a_snapshot(shop: Deployment) -> None:
    heading = "Change a filter or the ordering"
    [unprotected, allowed], commands = page.blocks(heading, "toml"), page.blocks(heading, "sh")
    shop.configure(unprotected)
    page.follow(shop, commands[0])
    shop.configure(allowed)
    shop.edit(('topic="orders"', 'topic="orders", ordered=True'))
    page.follow(shop, commands[1])
    lines = [block.partition("\n")[2] for block in (allowed, unprotected)]
    shop.edit(*((line, "") for line in lines), file=edits.CONFIG)

    page.follow(shop, commands[2])

    assert shop.lost() == ["take_order"]
    assert shop.refused() == []


@pytest.mark.parametrize(
    ("change", "topic"),
    [
        (edits.retry_for_ever, "tidy_up-dead-letter"),
        (edits.name_another_dead_letter_topic, "failed"),
        (edits.name_a_dead_letter_topic, "take_order-dead-letter"),
    ],
)
def test_dead_letters_stay_where_they_are(
    shop: Deployment, change: edits.Change, topic: str
) -> None:
    heading = "Change where dead letters go"
    (kept, _), (first, _) = page.blocks(heading, "toml"), page.blocks(heading, "sh")
    change(shop)
    shop.configure(kept.replace("take_order-dead-letter", topic))

    page.follow(shop, first)

    assert shop.lost() == []


def test_dead_letters_that_were_read_are_deleted(shop: Deployment) -> None:
    heading, topic = "Change where dead letters go", "tidy_up-dead-letter"
    blocks = page.blocks(heading, "toml")
    kept, allowed = (text.replace("take_order-dead-letter", topic) for text in blocks)
    first, second = page.blocks(heading, "sh")
    edits.retry_for_ever(shop)
    shop.configure(kept)
    page.follow(shop, first)
    shop.edit((kept, allowed), file=edits.CONFIG)

    page.follow(shop, second)

    assert shop.lost() == [topic, topic]


@pytest.mark.parametrize("back", [False, True])
def test_a_subscription_becomes_pull_and_push_in_place(shop: Deployment, back: bool) -> None:
    heading = "Turn a service into a worker, or back"
    [unprotected], commands = page.blocks(heading, "toml"), page.blocks(heading, "sh")
    shop.configure(unprotected)
    page.follow(shop, commands[0])
    edits.make_it_a_worker(shop)
    page.follow(shop, commands[1])
    if back:
        edits.make_it_a_service(shop)
        page.follow(shop, commands[1])
    shop.edit((unprotected.partition("\n")[2], ""), file=edits.CONFIG)

    page.follow(shop, commands[2])

    assert shop.lost() == []
    state = shop.terraform.show()
    [subscription] = [
        each
        for each in state.of("google_pubsub_subscription")
        if each.values["name"] == "take_order"
    ]
    pools = state.of("google_cloud_run_v2_worker_pool")
    assert [pool.values["deletion_protection"] for pool in pools] == ([] if back else [True])
    assert bool(subscription.values["push_config"]) is back


def test_a_worker_starts_after_its_subscriptions_push_no_more(shop: Deployment) -> None:
    shop.configure(PROTECTED)
    page.follow(shop, "release")
    before = len(shop.environment.operations())
    edits.make_it_a_worker(shop)

    page.follow(shop, "release")

    done = [
        f"{operation.action} {operation.type.removeprefix('google_')}"
        for operation in shop.environment.operations()[before:]
    ]
    pool = done.index("create cloud_run_v2_worker_pool")
    assert done.index("update pubsub_subscription") < pool
    assert done.index("create pubsub_subscription_iam_member") < pool


def test_a_job_is_a_second_task(shop: Deployment) -> None:
    with (shop.folder / "main.py").open("a") as file:
        file.write(
            '\n\n@raw_event(run_as="cloud-run-job")\ndef tidy_all(body: bytes) -> None: ...\n'
        )

    page.follow(shop, "release")

    assert shop.deleted() == []


def test_services_move_to_another_region_and_messages_stay(shop: Deployment) -> None:
    heading = "Move to another region"
    [unprotected], commands = page.blocks(heading, "toml"), page.blocks(heading, "sh")
    shop.configure(unprotected)
    page.follow(shop, commands[0])
    edits.move_to_another_region(shop)
    page.follow(shop, commands[1])
    shop.edit((unprotected, ""), file=edits.CONFIG)

    page.follow(shop, commands[2])

    assert shop.lost() == []
    services = shop.terraform.show().of("google_cloud_run_v2_service")
    assert {service.values["location"] for service in services} == {"europe-west1"}
    assert {service.values["deletion_protection"] for service in services} == {True}


def test_another_project_gets_a_deployment_beside_this_one(shop: Deployment) -> None:
    heading = "Move to another project"
    [stage], [beside, removal] = page.blocks(heading, "toml"), page.blocks(heading, "sh")
    shop.configure(stage)
    page.follow(shop, beside.replace("apply ", "apply -auto-approve "))
    assert shop.deleted() == []
    shop.configure(PROTECTED)
    page.follow(shop, "release")

    page.follow(shop, removal.replace("destroy ", "destroy -auto-approve "))

    assert shop.terraform.show().resources == []
    assert {each.id.split("/")[1] for each in shop.deleted() if "/topics/" in each.id} == {
        "my-project"
    }


def test_a_topic_is_handed_to_others(shop: Deployment) -> None:
    heading = "Hand a topic to others"
    [existing], [commands] = page.blocks(heading, "toml"), page.blocks(heading, "sh")
    shop.configure(existing)

    page.follow(shop, commands)

    assert shop.deleted() == []
    topics = {topic.values["name"] for topic in shop.terraform.show().of("google_pubsub_topic")}
    assert "orders" not in topics


def test_an_earlier_release_comes_back(shop: Deployment) -> None:
    [commands] = page.blocks("Go back to an earlier release", "sh")
    commit = "git -c user.name=test -c user.email=test@example.org commit -qm release"
    shop.run("git init -q", "git add main.py ucam-faas.toml", commit, "git tag release-1")
    shop.edit(('"0 3 * * *"', '"0 4 * * *"'))
    page.follow(shop, "IMAGE=tasks:2", "release")
    before = len(shop.environment.operations())

    page.follow(shop, f"EARLIER_IMAGE={IMAGE}", commands)

    operations = shop.environment.operations()[before:]
    assert {operation.action for operation in operations} == {"update"}
    [job] = [
        each
        for each in shop.terraform.show().of("google_cloud_scheduler_job")
        if each.values["name"] == "report"
    ]
    assert job.values["schedule"] == "0 3 * * *"


def test_a_failed_apply_is_recovered(fresh_shop: Deployment, tmp_path: Path) -> None:
    shop = fresh_shop.copy(tmp_path / "shop")
    with pytest.raises(TerraformError):
        shop.terraform.apply({"container_image": "tasks:fails"})
    topic = 'module.tasks.google_pubsub_topic.this["orders"]'
    shop.terraform.run("state", "rm", topic)
    planned, repair = page.blocks("Recover from an apply that failed", "sh")
    checked = shop.tried(planned)

    page.follow(shop, repair)
    for name in ("pay_back", "tidy_up"):
        page.follow(shop, repair.splitlines()[0].replace("take_order", name))
    page.follow(shop, "release")

    assert checked.returncode == 1
    assert "tainted" in checked.stdout
    assert shop.deleted() == []
    assert shop.changes() == {}


def test_a_refused_apply_is_undone_by_the_old_code(shop: Deployment) -> None:
    old = (shop.folder / edits.CONFIG).read_text()
    edits.move_to_another_region(shop)
    shop.plan()
    assert shop.refused()
    (shop.folder / edits.CONFIG).write_text(old)
    shop.plan()

    page.follow(shop, "release")

    assert shop.lost() == []
    assert shop.changes() == {}


def test_most_changes_are_made_in_place(shop: Deployment) -> None:
    shop.configure(
        'memory = "1Gi"\nenvironment = { MODE = "strict" }\nlabels = { team = "shop" }\n'
        "max_instances = 7\nmessage_retention_seconds = 86400\n"
    )
    shop.edit(
        ('"0 6 * * *"', '"0 7 * * *"'),
        ('topic="refunds"', 'topic="refunds", timeout=timedelta(minutes=1)'),
    )

    page.follow(shop, "IMAGE=tasks:2", "release")

    assert {operation.action for operation in shop.environment.operations()} == {"update"}
