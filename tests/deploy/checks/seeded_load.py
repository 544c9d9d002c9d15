"""Faults of load, retries, payloads of one topic, and callers."""

from __future__ import annotations

from .seeded import (
    CODE,
    CONFIG,
    COUNTED,
    FOR_ALL,
    LAST,
    VARIABLES,
    Edit,
    Seed,
    schedule,
    setting,
    task,
    variable,
)

RETRY = (CODE, "retry=RetryPolicy(max_attempts=5)")
QUARTERS = (CODE, "*/15 * * * *")
TIMEOUT = "    timeout=timedelta(seconds=60),"


def retry(text: str) -> Edit:
    """Give `count_orders` other retries."""
    return *RETRY, f"retry=RetryPolicy({text})"


def second(fields: str, *, name: str = "bill_order", options: str = "") -> Edit:
    """Add a task on the topic of `count_orders`."""
    code = f"""class Bill(BaseModel):
    \"\"\"A bill.\"\"\"

{fields}


@ucam_faas.message_handler(message_type=Bill, topic="orders"{options})
def {name}(bill: Bill) -> None:
    \"\"\"Bill an order.\"\"\"


@ucam_faas.http("""
    return CODE, "@ucam_faas.http(", code


def page(name: str, caller: str = '"group:team@example.org"') -> Edit:
    """Add an HTTP task with a caller, or with none."""
    code = f"""@ucam_faas.http(path="/{name}", invokers=[{caller}])
def show_{name}() -> str:
    \"\"\"Show a page.\"\"\"
    return ""


@ucam_faas.raw_event("""
    return CODE, "@ucam_faas.raw_event(", code


BILL = (CODE, "@ucam_faas.message_handler(message_type=Bill")
HTTP = "@ucam_faas.http("
IMPORT_OS = (CODE, "from datetime", "import os\nfrom datetime")
REMIND = (CODE, '@ucam_faas.message_handler(topic="orders", schedule="0 9')
TARGET, TARGET_COUNT = '"target": "show_order"', '"target": "count_orders"'
ACCOUNT = "orders@my-project.iam.gserviceaccount.com"
KEY = "projects/my-project/locations/europe-west2/keyRings/shop/cryptoKeys/orders"
CHANNEL = "projects/my-project/notificationChannels/1"

LOAD = [
    Seed(
        "a schedule more frequent than the timeout",
        "schedule-overtakes-task",
        task("count_orders"),
        ((CODE, TIMEOUT, "    timeout=timedelta(minutes=10),"), (*QUARTERS, "*/5 * * * *")),
        says="after 300 s again, and a run may take 5 attempts of 600 s, its timeout",
    ),
    Seed(
        "steps that leave a short last interval",
        "schedule-overtakes-task",
        task("count_orders"),
        ((*QUARTERS, "*/29 * * * *"), (CODE, TIMEOUT, "    timeout=timedelta(seconds=150),")),
        says="after 120 s again",
    ),
    Seed(
        "a Cloud Run job that may still run",
        "schedule-overtakes-task",
        task("clean_up"),
        (schedule("30 * * * *"),),
        says="after 3600 s again, and a run may take 7200 s, its timeout",
    ),
    Seed(
        "a Cloud Run job with the default timeout each quarter of an hour",
        "schedule-overtakes-task",
        task("clean_up"),
        (schedule("*/15 * * * *"), (CODE, "timeout=timedelta(hours=2), ", "")),
        says="may take 3600 s, its timeout by default",
    ),
    Seed(
        "instances of two tasks over the quota",
        "instances-over-quota-together",
        (CONFIG, "max_instances = 6"),
        (
            (CONFIG, FOR_ALL, f"{FOR_ALL}\ncpu_quota = 20"),
            setting("count_orders", "max_instances = 5"),
            setting("pay_back", "max_instances = 6"),
        ),
        says="may need 23 CPUs and 11.5 GiB at a time: a quota of 20 CPUs",
    ),
    Seed(
        "memory of two tasks over the quota",
        "instances-over-quota-together",
        (CONFIG, "max_instances = 5"),
        (
            (CONFIG, FOR_ALL, f"{FOR_ALL}\ncpu_quota = 20"),
            setting("count_orders", 'max_instances = 4\nmemory = "4Gi"'),
            setting("pay_back", 'max_instances = 5\nmemory = "4Gi"'),
        ),
        says="19 CPUs and 41 GiB at a time",
    ),
    Seed(
        "instances of many tasks over twice the quota of a new project",
        "instances-over-quota-together",
        (CONFIG, "max_instances = 10"),
        (
            setting("count_orders", "max_instances = 10"),
            setting("pay_back", "max_instances = 10"),
            setting("show_order", "max_instances = 9"),
        ),
        says="4 tasks may need 50 CPUs",
    ),
    Seed(
        "warm instances of all tasks over the quota",
        "instances-over-quota-together",
        (CONFIG, "min_instances = 6"),
        ((CONFIG, FOR_ALL, f"{FOR_ALL}\nmin_instances = 6\ncpu_quota = 20"),),
        says="4 tasks keep 36 CPUs",
    ),
    Seed(
        "fewer threads than the concurrency",
        "concurrency-over-threads",
        VARIABLES,
        (variable("THREADS", "4"), (CODE, TIMEOUT, f"{TIMEOUT}\n    concurrency=20,")),
        says="has concurrency=20, and THREADS is 4",
    ),
    Seed(
        "a thousand at a time in half a gibibyte",
        "concurrency-over-memory",
        task("count_orders"),
        ((CODE, TIMEOUT, f"{TIMEOUT}\n    concurrency=1000,"),),
        says="runs 1000 executions at a time in 512Mi",
    ),
    Seed(
        "a task that publishes to its own topic",
        "publishes-to-itself",
        (CONFIG, "publishes_to"),
        ((CONFIG, 'publishes_to = ["refunds"]', 'publishes_to = ["orders"]'),),
    ),
]

RETRIES = [
    Seed(
        "no backoff",
        "retries-too-fast",
        task("count_orders"),
        (retry("max_attempts=12, min_backoff=timedelta(0), max_backoff=timedelta(0)"),),
        says="12 attempts without a wait between them",
    ),
    Seed(
        "many attempts within a minute",
        "retries-too-fast",
        task("count_orders"),
        (
            retry(
                "max_attempts=20, min_backoff=timedelta(seconds=1), "
                "max_backoff=timedelta(seconds=2)"
            ),
        ),
        also=("schedule-overtakes-task",),
        says="20 attempts within 37 s",
    ),
    Seed(
        "endless attempts in a hurry",
        "retries-too-fast",
        task("count_orders"),
        (
            retry(
                "max_attempts=None, min_backoff=timedelta(seconds=1), "
                "max_backoff=timedelta(seconds=2)"
            ),
        ),
        also=("dead-letters-deleted",),
        says="endless attempts, with waits of 2 s at most",
    ),
    Seed(
        "ordered messages without dead letters",
        "ordered-blocked",
        task("count_orders"),
        (
            (CODE, 'topic="orders"', 'topic="orders", ordered=True'),
            retry("max_attempts=None"),
        ),
        also=("dead-letters-deleted", "subscription-deleted"),
    ),
]

RETRIES.append(
    Seed(
        "ordered messages with a hundred attempts",
        "ordered-blocked",
        task("pay_back"),
        ((CODE, "max_attempts=10", "max_attempts=100"),),
        also=("retries-outlast-retention",),
        says="has 100 attempts, with waits of",
    )
)
PAIRS = [
    Seed(
        "a field that is a text for one task and a number for another",
        "payloads-exclude-each-other",
        BILL,
        (second("    order_id: int"),),
        says="'order_id' is string for 'count_orders', and integer for 'bill_order'",
    ),
    Seed(
        "a required field that the other task refuses",
        "payloads-exclude-each-other",
        BILL,
        (
            second(
                "    model_config = {'extra': 'forbid'}\n    pence: int = 0\n    vat: int = 0",
            ),
        ),
        says="'order_id' is required for 'count_orders', and refused for 'bill_order'",
    ),
    Seed(
        "kinds that are separated in the model alone",
        "payloads-exclude-each-other",
        BILL,
        (
            (
                CODE,
                "    pence: int = 0\n",
                "    pence: int = 0\n    kind: Literal['new'] = 'new'\n",
            ),
            (CODE, "from pydantic", "from typing import Literal\n\nfrom pydantic"),
            second("    kind: Literal['bill']"),
        ),
        says="'kind' is 'new' for 'count_orders', and 'bill' for 'bill_order'",
    ),
    Seed(
        "a list and an object",
        "payloads-exclude-each-other",
        (CODE, SECOND := "@ucam_faas.message_handler(message_type=list[int], topic"),
        (
            (
                CODE,
                "@ucam_faas.http(",
                f'{SECOND}="orders")\ndef add(numbers: list[int]) -> None:\n    """Add."""\n\n\n'
                "@ucam_faas.http(",
            ),
        ),
        says="it is object for 'count_orders', and array for 'add'",
    ),
]

PAIRS.append(
    Seed(
        "dead letters that another task can't read",
        "dead-letters-misread",
        (CODE, "@ucam_faas.message_handler(\n    message_type=list[int],\n    topic"),
        (
            (CODE, '"failed-refunds"', '"orders"'),
            (CODE, 'message_type=None,\n    topic="ref', 'message_type=list[int],\n    topic="ref'),
            (CODE, "def pay_back(data: bytes)", "def pay_back(data: list[int])"),
        ),
        also=("dead-letters-deleted",),
    )
)
CALLERS = [
    Seed(
        "a task of messages that anyone may call",
        "called-by-all",
        (CONFIG, "invokers"),
        (setting("count_orders", 'invokers = ["allUsers"]'),),
        says="may be called by allUsers, and it is meant for pushes of Pub/Sub",
    ),
    Seed(
        "a Cloud Run job that anyone may start",
        "called-by-all",
        (CONFIG, "invokers"),
        (setting("clean_up", 'invokers = ["allAuthenticatedUsers"]'),),
    ),
    Seed(
        "an HTTP task that lost its callers",
        "called-by-none",
        task("show_order"),
        ((LAST, TARGET, f'{TARGET}, "invokers": ["group:team@example.org"]'),),
        says="has no callers (invokers), and the last plan had some",
    ),
    Seed(
        "the only HTTP task without callers, of three",
        "called-by-none",
        task("show_order"),
        (page("rooms"), page("people")),
        says="has no callers (invokers), and all other HTTP tasks have some",
    ),
    Seed(
        "an HTTP task that is open to the internet, and to no caller",
        "called-by-none",
        task("show_order"),
        (setting("show_order", 'ingress = "all"'),),
        says='its ingress is "all"',
    ),
    Seed(
        "people behind an internal ingress",
        "called-by-none",
        (CONFIG, "invokers"),
        (setting("show_order", 'invokers = ["domain:example.org"]'),),
        says="its ingress is internal, which keeps requests of people out",
    ),
]

CALLERS.append(
    Seed(
        "a page for anyone that is closed",
        "called-by-none",
        (CONFIG, "invokers"),
        (
            setting("show_order", 'invokers = ["allUsers"]'),
            (LAST, TARGET, f'{TARGET}, "ingress": "INGRESS_TRAFFIC_ALL"'),
        ),
        says='its ingress was "all", and is internal',
    )
)
CALLERS.append(
    Seed(
        "the default account of Compute Engine",
        "default-account",
        (CONFIG, "service_account"),
        (setting("count_orders", 'service_account = "12-compute@developer.gserviceaccount.com"'),),
        says="'count_orders' runs as the project's default account",
    )
)
CALLERS.append(
    Seed(
        "a variable that isn't set",
        "variable-missing",
        (CODE, 'os.environ["COURSES_URL"]'),
        ((CODE, COUNTED, f'{COUNTED}\n    os.environ["COURSES_URL"]'), IMPORT_OS),
        says="reads COURSES_URL, and it isn't set",
    )
)
PAIRS.append(
    Seed(
        "a schedule that another task can't read",
        "schedule-misread",
        REMIND,
        (
            (
                CODE,
                HTTP,
                '@ucam_faas.message_handler(topic="orders", schedule="0 9 * * *")\n'
                f'def remind() -> None:\n    """Remind."""\n\n\n{HTTP}',
            ),
        ),
        says="'count_orders', which reads the topic, too, refuses it",
    )
)
LOST = [
    Seed(
        "retention of ten minutes instead of a week",
        "retention-shortened",
        (CONFIG, "message_retention_seconds = 3600"),
        (setting("count_orders", "message_retention_seconds = 3600"),),
        says="keeps a message for 604800 s now, and 3600 s after the apply",
    ),
    Seed(
        "far fewer attempts",
        "attempts-lowered",
        task("pay_back"),
        ((LAST, '"max_attempts": 10', '"max_attempts": 20'),),
        says="has 20 attempts now, and 10 after the apply",
    ),
    Seed(
        "a task without the account that it had",
        "account-changed",
        task("count_orders"),
        ((LAST, TARGET_COUNT, f'{TARGET_COUNT}, "service_account": "{ACCOUNT}"'),),
        says=f"runs as {ACCOUNT} now, and after the apply as an account that is made for it",
    ),
    Seed(
        "another account",
        "account-changed",
        (CONFIG, "service_account"),
        (
            (LAST, TARGET_COUNT, f'{TARGET_COUNT}, "service_account": "{ACCOUNT}"'),
            setting("count_orders", f'service_account = "new-{ACCOUNT}"'),
        ),
        says=f"after the apply as new-{ACCOUNT}",
    ),
    Seed(
        "a task without its key",
        "safeguard-removed",
        task("count_orders"),
        ((LAST, '"name": "count-orders"', f'"name": "count-orders", "kms_key": "{KEY}"'),),
        says="kms_key is set for 'count_orders' now, and not after the apply",
    ),
    Seed(
        "a task without channels for its incidents",
        "safeguard-removed",
        task("count_orders"),
        (
            (
                LAST,
                '"name": "count-orders"',
                f'"name": "count-orders", "alerting": {{"notification_channels": ["{CHANNEL}"]}}',
            ),
        ),
        says="alert_channels is set for 'count_orders' now, and not after",
    ),
]

LOAD_SEEDS = [*LOAD, *RETRIES, *PAIRS, *CALLERS, *LOST]
