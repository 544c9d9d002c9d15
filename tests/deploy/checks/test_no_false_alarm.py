"""Sound configurations that resemble a fault; the checks report nothing for them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .conftest import PLAN, TERRAFORM_PLAN, Shop, TerraformPlans
from .seeded import CLEAN_UP, CODE, CONFIG, COUNTED, LAST, Edit, schedule, setting, variable
from .seeded_load import ACCOUNT, CHANNEL, KEY, TARGET_COUNT as TARGET, page, second
from .seeded_terraform import (
    CLEAN,
    CLEAN_SCHEDULE,
    COUNT,
    COUNT_PUSH,
    JOB,
    ORDERS,
    PAY,
    REPLACE,
    SERVICE,
    Change,
    add,
    gone,
    plan_to,
    put,
)

APP = (CONFIG, 'region = "europe-west2"')
PUBLISHES = (CONFIG, '["refunds"]')
TIMEOUT = (CODE, "    timeout=timedelta(seconds=60),")
FIELD = (CODE, "    pence: int = 0\n")

KEPT_IS_EMPTY = (
    CONFIG,
    'project = "my-project"',
    'ignore = ["dead-letters-deleted:failed-refunds-kept"]\nproject = "my-project"',
)

NO_DEAD_LETTERS = (
    (
        CONFIG,
        'project = "my-project"',
        'ignore = ["dead-letters-deleted:count_orders-dead-letter"]\nproject = "my-project"',
    ),
    (CODE, "max_attempts=5", "max_attempts=None"),
)

HARMLESS: dict[str, tuple[Edit, ...]] = {
    "sizes for all tasks, of which a Cloud Run job has none": (
        (*APP, f'{APP[1]}\nmin_instances = 1\ningress = "all"\nmessage_retention_seconds = 90000'),
    ),
    "retention that is just enough": (
        (CONFIG, "= 86400", '= 5430\nignore = ["retention-shortened:pay_back"]'),
    ),
    "retention that is a little shorter": ((CONFIG, "= 86400", "= 60000"),),
    "a few attempts less": ((CODE, "max_attempts=10", "max_attempts=6"),),
    "an account of one's own, and a key": (
        setting("count_orders", f'service_account = "{ACCOUNT}"\nkms_key = "{KEY}"'),
    ),
    "the same account and channels as before": (
        setting("count_orders", f'service_account = "{ACCOUNT}"\nalert_channels = ["{CHANNEL}"]'),
        (LAST, TARGET, f'{TARGET}, "service_account": "{ACCOUNT}"'),
    ),
    "no dead letters and a week's retention": NO_DEAD_LETTERS,
    "dead letters into a topic that another task reads": (
        KEPT_IS_EMPTY,
        (CODE, '"failed-refunds"', '"orders"'),
    ),
    "an archive for all tasks": (
        KEPT_IS_EMPTY,
        (CODE, '    dead_letter_topic="failed-refunds",\n', ""),
        (*APP, f'{APP[1]}\ndead_letter_archive = "my-bucket"'),
    ),
    "publishing to a topic elsewhere": ((*PUBLISHES, '["projects/theirs/topics/elsewhere"]'),),
    "a schedule for a topic of this project, in full": (
        (CONFIG, "project =", 'ignore = ["topic-deleted:orders"]\nproject ='),
        (CODE, 'topic="orders"', 'topic="projects/my-project/topics/orders"'),
    ),
    "publishing to dead letters": ((*PUBLISHES, '["failed-refunds", "count_orders-dead-letter"]'),),
    "an hourly schedule in a zone with summer time": (
        schedule("30 * * * *", "Europe/London"),
        (CODE, "timedelta(hours=2)", "timedelta(hours=1)"),
    ),
    "a nightly one, when clocks do not change": (schedule("0 3 * * *", "Europe/London"),),
    "a weekly one, when clocks do not change": (schedule("30 1 * * MON", "Europe/London"),),
    "the 28th": (schedule("0 3 28 * *"),),
    "the 31st of months that have it": (schedule("0 3 31 1,12 *"),),
    "once a year": (schedule("0 3 1 1 *"),),
    "two schedules that never meet": (
        (CODE, CLEAN_UP, 'schedule=[Schedule("0 3 * * *"), Schedule("0 4 * * *")]'),
    ),
    "a second schedule that is paused": (
        (CODE, CLEAN_UP, 'schedule=[Schedule("0 3 * * *"), Schedule("0 3 * * *", paused=True)]'),
    ),
    "a new field that is optional": ((*FIELD, f"{FIELD[1]}    customer: str | None = None\n"),),
    "a field that takes more": ((*FIELD, "    pence: int | None = 0\n"),),
    "a day's retention without dead letters": (
        *NO_DEAD_LETTERS,
        setting("count_orders", "message_retention_seconds = 86400"),
    ),
    "a Cloud Run job with its input": (
        (CODE, "raw_event(\n    run_as", "message_handler(\n    message_type=Order, run_as"),
        setting("clean_up", 'environment = { INPUT_BUCKET = "b", INPUT_FILE = "order.json" }'),
    ),
    "a part of a CPU for one at a time": (
        setting("count_orders", "cpu = 0.5"),
        (*TIMEOUT, f"{TIMEOUT[1]}\n    concurrency=1,"),
    ),
    "a number called token": (variable("MAX_TOKENS", "4096"),),
    "where a key is, not the key": (variable("KEY_FILE", "/secrets/key"),),
    "a header, an endpoint, a switch and a duration beside secrets": (
        variable("API_KEY_HEADER", "X-Api-Key"),
        (CONFIG, 'MODE = "strict"', 'MODE = "strict", TOKEN_ENDPOINT = "https://idp/token"'),
        (CONFIG, 'MODE = "strict"', 'MODE = "strict", REQUIRE_TOKEN = "true"'),
        (CONFIG, 'MODE = "strict"', 'MODE = "strict", TOKEN = "15m", PARTITION_KEY = "crsid"'),
    ),
    "a schedule that just leaves time for all attempts": ((CODE, "*/15 * * * *", "*/5 * * * *"),),
    "a schedule each minute for a task without retries of its own": (
        (CODE, "*/15 * * * *", "* * * * *"),
        (CODE, "    retry=RetryPolicy(max_attempts=5),\n", ""),
    ),
    "a frequent schedule that is paused": ((CODE, '*/15 * * * *"', '* * * * *", paused=True'),),
    "a Cloud Run job each other hour": (schedule("0 */2 * * *"),),
    "instances that just fit the quota together": (
        setting("count_orders", "max_instances = 10"),
        setting("pay_back", "max_instances = 9"),
    ),
    "a limit of instances for all tasks": ((*APP, f"{APP[1]}\nmax_instances = 10"),),
    "more instances with a larger quota": (
        (*APP, f"{APP[1]}\ncpu_quota = 100"),
        setting("count_orders", "max_instances = 20"),
        setting("pay_back", "max_instances = 20"),
    ),
    "as many threads as the concurrency": (
        variable("THREADS", "20"),
        (*TIMEOUT, f"{TIMEOUT[1]}\n    concurrency=20,"),
    ),
    "short waits that grow": (
        (CODE, "max_attempts=5", "max_attempts=8, min_backoff=timedelta(seconds=1)"),
    ),
    "a second task with other fields of the same messages": (
        second("    order_id: str\n    vat: float | None = None"),
    ),
    "a second task that takes what the first one refuses": (
        second("    order_id: str | int\n    pence: int | None = None"),
    ),
    "a second task with a form of its own, and a filter on both": (
        (
            CODE,
            "    message_type=Order,",
            "    message_type=Order,\n    filter='attributes.a = \"1\"',",
        ),
        (
            CODE,
            'data=b\'{"order_id": "probe"}\'',
            'data=b\'{"order_id": "probe"}\', attributes={"a": "1"}',
        ),
        second("    bill: int", options=", filter='attributes.a = \"2\"'"),
        (CONFIG, "project =", 'ignore = ["subscription-deleted:count_orders"]\nproject ='),
    ),
    "a Cloud Run job that a group may start": (
        setting("clean_up", 'invokers = ["group:team@example.org"]'),
    ),
    "a task of messages that checks tokens itself": (
        setting(
            "pay_back",
            'invokers = ["allUsers"]\nenvironment = { UCAM_FAAS_PUSH_AUDIENCE = '
            '"https://a", UCAM_FAAS_PUSH_EMAIL = "push@example.org" }',
        ),
    ),
    "an HTTP task for anyone": (setting("show_order", 'invokers = ["allUsers"]\ningress = "all"'),),
    "one HTTP task that is opened": (page("rooms"),),
    "two HTTP tasks that are opened, and two that are not": (
        page("rooms"),
        page("people"),
        page("staff", ""),
    ),
    "people and an account behind an internal ingress": (
        setting("show_order", 'invokers = ["user:ada@example.org", "group:team@example.org"]'),
    ),
    "variables that are set, or that may be absent": (
        (CODE, "from datetime", "import os\nfrom datetime"),
        (
            CODE,
            COUNTED,
            f"{COUNTED}\n    os.environ['MODE'], os.environ['API_KEY'], os.environ['K_REVISION']\n"
            "    if order.pence:\n        os.environ['TEST_ONLY']\n    os.environ.get('DEBUG')",
        ),
    ),
    "a schedule whose message all readers take": (
        second(
            "    order_id: str",
            options=', schedule=Schedule("0 9 * * *", data=b\'{"order_id": "x"}\')',
        ),
    ),
    "a schedule that the others filter out": (
        (
            CODE,
            "    message_type=Order,",
            "    message_type=Order,\n    filter='attributes.a = \"1\"',",
        ),
        (
            CODE,
            'data=b\'{"order_id": "probe"}\'',
            'data=b\'{"order_id": "probe"}\', attributes={"a": "1"}',
        ),
        second("    bill: int = 0", options=', schedule=Schedule("0 9 * * *", data=b"{}")'),
        (CONFIG, "project =", 'ignore = ["subscription-deleted:count_orders"]\nproject ='),
    ),
    "a drain under 10 s": (variable("UCAM_FAAS_GRACE_SECONDS", "9.5"),),
    "all addresses": (variable("HOST", "0.0.0.0"),),
    "the same log level twice": (
        setting("count_orders", 'log_level = "DEBUG"'),
        variable("UCAM_FAAS_LOG_LEVEL", "DEBUG"),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", HARMLESS)
def test_a_harmless_change_has_no_finding(shop: Shop, clean_plan: str, name: str) -> None:
    shop.path(LAST).write_text(clean_plan)
    for edit in HARMLESS[name]:
        shop.edit(*edit)
    shop.plan()

    assert shop.check("--against", LAST) == []


def test_a_task_that_is_gone_and_was_not_protected_has_no_finding(
    shop: Shop, clean_plan: str
) -> None:
    last: dict[str, Any] = json.loads(clean_plan)
    last["tasks"]["old"] = last["tasks"]["show_order"]
    last["tasks"]["old"]["function"]["deletion_protection"] = False
    shop.path(LAST).write_text(json.dumps(last))

    assert shop.check("--against", LAST) == []


def limits(cpu: str, memory: str) -> Change:
    path = ("template", "containers", "resources", "limits")
    return put(f"{COUNT}{SERVICE}", *path, value={"cpu": cpu, "memory": memory})


ELSEWHERE: dict[str, tuple[Change, ...]] = {
    "a longer ack deadline that Cloud Run still waits for": (
        put(COUNT_PUSH, "ack_deadline_seconds", value=70),
    ),
    "a longer timeout of Cloud Run": (
        put(f"{COUNT}{SERVICE}", "template", "timeout", value="900s"),
    ),
    "the same size in other words": (limits("1000m", "0.5Gi"),),
    "a project's role of others": (
        add(
            "google_project_iam_member",
            "team",
            project="my-project",
            role="roles/viewer",
            member="group:team@example.org",
        ),
    ),
    "a role that only a project can give": (
        add(
            "google_project_iam_member",
            "sql",
            project="my-project",
            role="roles/cloudsql.client",
            member="serviceAccount:count-orders-runtime@my-project.iam.gserviceaccount.com",
        ),
    ),
    "a subscription of others that expires": (
        add("google_pubsub_subscription", "other", name="other", project="p", topic="other"),
    ),
    "a bucket that is open to all": (
        add(
            "google_storage_bucket_iam_member",
            "site",
            bucket="site",
            role="roles/storage.objectViewer",
            member="allUsers",
        ),
    ),
    "an HTTP task that is open to all": (
        add(
            "google_cloud_run_v2_service_iam_member",
            "open",
            name="show-order",
            role="roles/run.invoker",
            member="allUsers",
        ),
    ),
    "a grant by a role of one's own": (
        put(
            f"{COUNT}google_cloud_run_v2_service_iam_member.push[0]",
            "role",
            value="projects/my-project/roles/caller",
        ),
    ),
    "a grant to a group": (
        put(
            f"{PAY}google_cloud_run_v2_service_iam_member.push[0]",
            "member",
            value="group:pushers@example.org",
        ),
    ),
    "a service of others": (
        add("google_cloud_run_v2_service", "other", name="other", template=[]),
    ),
}


PLANNED: dict[str, tuple[Change, ...]] = {
    "a subscription that is updated": (plan_to(COUNT_PUSH, "update"),),
    "a topic that Terraform forgets": (plan_to(ORDERS, "forget"),),
    "a Cloud Run job that may be replaced": (
        plan_to(f"{CLEAN}{JOB}", *REPLACE, deletion_protection=False),
    ),
    "a service that may be replaced, with long retries": (
        plan_to(f"{PAY}{SERVICE}", *REPLACE, deletion_protection=False),
        plan_to(f"{PAY}google_cloud_run_v2_service_iam_member.push[0]", *REPLACE),
    ),
    "another account that pushes, with long retries": (
        plan_to(f"{PAY}google_cloud_run_v2_service_iam_member.push[0]", *REPLACE),
    ),
    "a grant that pushes do not need": (
        plan_to(f"{COUNT}{SERVICE}", "update"),
        plan_to(f'{COUNT}google_secret_manager_secret_iam_member.run_time["api-key"]', *REPLACE),
    ),
    "a schedule that is replaced": (plan_to(CLEAN_SCHEDULE, *REPLACE),),
    "a bucket, a secret and an API that no task uses": (
        gone("google_storage_bucket", name="site"),
        gone("google_secret_manager_secret", secret_id="old-key"),
        gone("google_project_service", service="cloudtasks.googleapis.com"),
    ),
    "an API that stays enabled": (
        gone("google_project_service", service="run.googleapis.com", disable_on_destroy=False),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PLANNED)
def test_a_deletion_that_loses_no_message_has_no_finding(
    shop: Shop, clean_plan: str, terraform_plans: TerraformPlans, name: str
) -> None:
    shop.path(PLAN).write_text(clean_plan)
    plan = terraform_plans.copy(made=True)
    for change in PLANNED[name]:
        change(plan)
    shop.path(TERRAFORM_PLAN).write_text(json.dumps(plan))

    assert shop.check("--terraform", TERRAFORM_PLAN) == []


@pytest.mark.slow
@pytest.mark.parametrize("made", [False, True])
@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_harmless_change_of_terraform_has_no_finding(
    shop: Shop, clean_plan: str, terraform_plans: TerraformPlans, name: str, made: bool
) -> None:
    shop.path(PLAN).write_text(clean_plan)
    plan = terraform_plans.copy(made=made)
    for change in ELSEWHERE[name]:
        change(plan)
    shop.path(TERRAFORM_PLAN).write_text(json.dumps(plan))

    assert shop.check("--terraform", TERRAFORM_PLAN) == []
