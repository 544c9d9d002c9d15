"""Faults for the clean collection, each with the rule that has to find it, and where."""

from __future__ import annotations

from dataclasses import dataclass

CODE, CONFIG, LAST = "main.py", "ucam-faas.toml", "last.json"
SIGNATURE = {
    "count_orders": "@ucam_faas.message_handler(\n    message_type=Order",
    "pay_back": "@ucam_faas.message_handler(\n    message_type=None",
    "show_order": "@ucam_faas.http(",
    "cut_film": '@ucam_faas.message_handler(\n    run_as="worker"',
    "clean_up": "@ucam_faas.raw_event(",
}
"""The first lines of the decorators in the clean collection."""

Edit = tuple[str, str, str]
"""A file, a text in it, and the text that replaces it."""


@dataclass(frozen=True, slots=True)
class Seed:
    """A fault.

    Args:
        name: what it is.
        rule: that finds it.
        at: file, and a text on the line that is named; or a file alone.
        edits: the changes that make the fault.
        also: the other rules that it breaks, too.
        planned: whether the plan's file on disk is written after the edits, so that it is new.
        says: a part of the report's text.
    """

    name: str
    rule: str
    at: tuple[str, str]
    edits: tuple[Edit, ...]
    also: tuple[str, ...] = ()
    planned: bool = True
    says: str = ""


def task(name: str) -> tuple[str, str]:
    """Return the place of a task's decorator."""
    return CODE, SIGNATURE[name]


def setting(task_name: str, line: str) -> Edit:
    """Add a line to a task's table of the configuration."""
    header = f"[task.{task_name}]\n"
    if task_name in ("count_orders", "pay_back"):
        return CONFIG, header, header + line + "\n"
    return CONFIG, "[task.count_orders]\n", f"{header}{line}\n\n[task.count_orders]\n"


def variable(name: str, value: str) -> Edit:
    """Add a variable to a task's environment."""
    return CONFIG, 'MODE = "strict"', f'MODE = "strict", {name} = "{value}"'


def schedule(expression: str, zone: str = "Etc/UTC") -> Edit:
    """Give the Cloud Run job another schedule."""
    return CODE, 'Schedule("0 3 * * *")', f'Schedule("{expression}", time_zone="{zone}")'


VARIABLES = (CONFIG, "environment = ")
CLEAN_UP = 'schedule=Schedule("0 3 * * *")'

CONFIGURATION = [
    Seed(
        "a misspelt key",
        "configuration-unusable",
        (CONFIG, "memmory"),
        (setting("pay_back", 'memmory = "1Gi"'),),
        planned=False,
        says="Did you mean 'memory'?",
    ),
    Seed(
        "a value outside Google's limits",
        "configuration-unusable",
        (CONFIG, "message_retention_seconds"),
        ((CONFIG, "= 86400", "= 60"),),
        planned=False,
    ),
    Seed(
        "a table for a task that does not exist",
        "configuration-unusable",
        (CONFIG, "[task.pay_bakc]"),
        ((CONFIG, "[task.pay_back]", "[task.pay_bakc]"),),
        planned=False,
        says="there is no task 'pay_bakc'",
    ),
    Seed(
        "values that do not fit together",
        "configuration-unusable",
        (CONFIG, "cpu = 4"),
        (setting("pay_back", "cpu = 4"),),
        planned=False,
    ),
    Seed(
        "retention of a Cloud Run job, which has no subscription",
        "setting-without-effect",
        (CONFIG, "message_retention_seconds = 700"),
        (setting("clean_up", "message_retention_seconds = 700"),),
    ),
    Seed(
        "concurrency with a part of a CPU",
        "concurrency-without-cpu",
        (CONFIG, "cpu = 0.5"),
        (
            setting("count_orders", "cpu = 0.5"),
            (CODE, "    timeout=timedelta(seconds=60),", "    concurrency=8,\n"),
        ),
    ),
    Seed(
        "more instances than the region's quota of CPUs allows",
        "instances-over-quota",
        (CONFIG, "max_instances = 21"),
        (setting("pay_back", "max_instances = 21"),),
        says="a quota of 20 CPUs in the region allows 10",
    ),
    Seed(
        "more instances than the region's quota of memory allows",
        "instances-over-quota",
        (CONFIG, "max_instances = 9"),
        (setting("pay_back", 'max_instances = 9\nmemory = "4Gi"'),),
        says="allows 8",
    ),
    Seed(
        "a rule to ignore that does not exist",
        "ignore-unknown",
        (CONFIG, "ignore ="),
        (setting("pay_back", 'ignore = ["schedule-rarely"]'),),
    ),
    Seed(
        "a name that is too long for Cloud Run",
        "name-refused",
        task("show_order"),
        ((CODE, "def show_order", f"def show_{'o' * 45}"),),
        planned=False,
    ),
    Seed(
        "a name that is too short for Pub/Sub",
        "name-refused",
        task("count_orders"),
        ((CODE, "def count_orders", "def co"),),
        planned=False,
        also=("configuration-unusable",),  # of the task's table
    ),
    Seed(
        "two names that are one in Cloud Run",
        "names-collide",
        task("pay_back"),
        ((CODE, "def show_order", "def Pay_Back"),),
        planned=False,
    ),
    Seed(
        "a task with the name of the subscription that keeps another's dead letters",
        "names-collide",
        task("pay_back"),
        (
            (
                CODE,
                "filter='attributes",
                'name="count_orders-dead-letter",\n    filter=\'attributes',
            ),
            (CONFIG, "[task.pay_back]", "[task.count_orders-dead-letter]"),
            (CONFIG, "task.pay_back.sidecars", "task.count_orders-dead-letter.sidecars"),
        ),
        planned=False,
        says="The subscription 'count_orders-dead-letter' would be that of",
    ),
    Seed(
        "a name that is too long with its suffix",
        "derived-name-too-long",
        task("count_orders"),
        ((CODE, "def count_orders", f"def count{'_' * 240}"), (CONFIG, "[task.count_orders]", "")),
        also=("protected-deleted", "subscription-deleted", "dead-letters-deleted"),
    ),
    Seed(
        "an existing topic with a misspelt name",
        "existing-topic-unused",
        (CONFIG, "existing_topics"),
        ((CONFIG, "region =", 'existing_topics = ["order"]\nregion ='),),
        says="the topic 'order'",
    ),
]

DELIVERY = [
    Seed(
        "retention shorter than the attempts",
        "retries-outlast-retention",
        (CONFIG, "message_retention_seconds"),
        ((CONFIG, "= 86400", "= 3000"),),
        also=("retention-shortened",),
        says="10 attempts of the task 'pay_back' may take 5430 s",
    ),
    Seed(
        "no dead letters and almost a day's retention",
        "failures-lost-early",
        (CONFIG, "message_retention_seconds"),
        (
            (CONFIG, "= 86400", "= 86399"),
            (CODE, "max_attempts=10", "max_attempts=None"),
        ),
        also=("ordered-blocked",),
    ),
    Seed(
        "a worker pool without instances",
        "worker-without-instances",
        task("cut_film"),
        ((CODE, 'run_as="worker", ', 'run_as="worker", min_instances=0, '),),
    ),
    Seed(
        "ingress of a worker",
        "setting-without-effect",
        (CONFIG, "ingress"),
        ((CONFIG, "[task.pay_back]", '[task.cut_film]\ningress = "all"\n\n[task.pay_back]'),),
        says="it is a worker pool",
    ),
    Seed(
        "invokers of a worker",
        "setting-without-effect",
        task("cut_film"),
        ((CODE, 'run_as="worker", ', 'run_as="worker", invokers=["group:team@example.org"], '),),
        says="invokers of the task 'cut_film' has no effect: it is a worker pool",
    ),
    Seed(
        "dead letters into the task's own topic",
        "dead-letters-return",
        task("pay_back"),
        ((CODE, '"failed-refunds"', '"refunds"'),),
        also=("dead-letters-deleted",),
    ),
    Seed(
        "dead letters that come back through another task",
        "dead-letters-return",
        task("count_orders"),
        (
            (CODE, '"failed-refunds"', '"orders"'),
            (CODE, "    timeout=timedelta(seconds=60),", '    dead_letter_topic="refunds",\n'),
        ),
        also=("dead-letters-deleted",),
    ),
    Seed(
        "an archive of dead letters that are elsewhere",
        "archive-without-effect",
        (CONFIG, "dead_letter_archive"),
        (
            (CODE, '"failed-refunds"', '"projects/other-project/topics/failed-refunds"'),
            setting("pay_back", 'dead_letter_archive = "my-bucket"'),
        ),
        also=("dead-letters-deleted",),
    ),
    Seed(
        "publishing to a missing topic",
        "topic-missing",
        (CONFIG, "publishes_to"),
        ((CONFIG, '["refunds"]', '["refund"]'),),
    ),
    Seed(
        "a filter that contradicts itself",
        "filter-matches-nothing",
        task("pay_back"),
        ((CODE, '= "refund"\'', '= "a" AND NOT attributes:kind\''),),
        also=("subscription-deleted",),
    ),
]

FOR_ALL = 'region = "europe-west2"'
COUNTED = '"""Count the orders."""'
FIRESTORE = f'{FOR_ALL}\nenvironment = {{ UCAM_FAAS_JOB_STORE = "firestore:my-project/jobs" }}'


QUEUE = "projects/my-project/locations/europe-west2/queues/delays"


def with_more(name: str, value: str) -> str:
    """Return the lines with a store for all tasks, and another variable."""
    return FIRESTORE.replace(" }", f', {name} = "{value}" }}')


def option(text: str) -> Edit:
    """Give `count_orders` an option."""
    return CODE, 'topic="orders"', f'topic="orders", {text}'


JOBS = [
    Seed(
        "jobs of messages without a store",
        "job-store-missing",
        task("count_orders"),
        (option("idempotent=True"),),
        says="has idempotent=, and no job store",
    ),
    Seed(
        "live jobs of a key without a store",
        "job-store-missing",
        task("count_orders"),
        (option("unique=lambda order: order.order_id, max_pending=5"),),
        says="has unique= and max_pending=, and no job store",
    ),
    Seed(
        "a limit without a store",
        "job-store-missing",
        task("count_orders"),
        (option('limit=ucam_faas.Limit("printer")'),),
        says="has limit=, and no job store",
    ),
    Seed(
        "jobs over HTTP without a store",
        "job-store-missing",
        (CODE, "crm = "),
        (
            (
                CODE,
                "@ucam_faas.http(",
                "crm = ucam_faas.jobs_over_http(count_orders)\n\n\n@ucam_faas.http(",
            ),
        ),
        says="has jobs over HTTP, and no job store",
    ),
    Seed(
        "a store in a file",
        "job-store-local",
        (CONFIG, "UCAM_FAAS_JOB_STORE"),
        ((CONFIG, FOR_ALL, FIRESTORE.replace("firestore:my-project/jobs", "sqlite:jobs.db")),),
    ),
    Seed(
        "a misspelt store",
        "job-store-unknown",
        (CONFIG, "UCAM_FAAS_JOB_STORE"),
        ((CONFIG, FOR_ALL, FIRESTORE.replace("firestore:", "firestroe:")),),
    ),
    Seed(
        "a store without a project",
        "job-store-unknown",
        (CONFIG, "UCAM_FAAS_JOB_STORE"),
        ((CONFIG, FOR_ALL, FIRESTORE.replace("my-project/jobs", "/jobs")),),
        says="is 'firestore:/jobs'",
    ),
    Seed(
        "a store for one task alone",
        "jobs-not-swept",
        (CONFIG, "UCAM_FAAS_JOB_STORE"),
        (variable("UCAM_FAAS_JOB_STORE", "firestore:my-project/jobs"),),
        says="The job store of the task 'count_orders' isn't the one of all tasks",
    ),
    Seed(
        "another store for one task",
        "jobs-not-swept",
        (CONFIG, 'secrets = { UCAM_FAAS_JOB_STORE = "jobs-url" }'),
        (
            (CONFIG, FOR_ALL, FIRESTORE),
            setting("pay_back", 'secrets = { UCAM_FAAS_JOB_STORE = "jobs-url" }'),
        ),
    ),
    Seed(
        "payloads in a directory",
        "job-store-local",
        (CONFIG, "UCAM_FAAS_PAYLOADS"),
        ((CONFIG, FOR_ALL, with_more("UCAM_FAAS_PAYLOADS", "file:/payloads")),),
    ),
    Seed(
        "a bucket with a folder",
        "job-store-unknown",
        (CONFIG, "UCAM_FAAS_PAYLOADS"),
        ((CONFIG, FOR_ALL, with_more("UCAM_FAAS_PAYLOADS", "gs://shop/payloads")),),
        says="is 'gs://shop/payloads'; expected gs://BUCKET",
    ),
    Seed(
        "events of one task alone",
        "sweep-differs",
        (CONFIG, "UCAM_FAAS_EVENTS_TOPIC"),
        ((CONFIG, FOR_ALL, FIRESTORE), variable("UCAM_FAAS_EVENTS_TOPIC", "events")),
        says="of the task 'count_orders' is events, and of the sweep not set",
    ),
    Seed(
        "another bucket of payloads for one task",
        "sweep-differs",
        (CONFIG, 'UCAM_FAAS_PAYLOADS = "gs://other"'),
        (
            (CONFIG, FOR_ALL, with_more("UCAM_FAAS_PAYLOADS", "gs://shop")),
            variable("UCAM_FAAS_PAYLOADS", "gs://other"),
        ),
        says="is gs://other, and of the sweep gs://shop",
    ),
    Seed(
        "a queue in another project than the tasks' accounts",
        "queue-account-elsewhere",
        (CONFIG, "UCAM_FAAS_DELAY_QUEUE"),
        ((CONFIG, FOR_ALL, with_more("UCAM_FAAS_DELAY_QUEUE", QUEUE.replace("my-", "their-"))),),
        says="as its own account, of the project my-project",
    ),
    Seed(
        "a queue in another project than the account that the tasks share",
        "queue-account-elsewhere",
        (CONFIG, "UCAM_FAAS_DELAY_QUEUE"),
        (
            (
                CONFIG,
                FOR_ALL,
                with_more("UCAM_FAAS_DELAY_QUEUE", QUEUE).replace(
                    " }",
                    ', UCAM_FAAS_DELAY_ACCOUNT = "wakes@their-project.iam.gserviceaccount.com" }',
                ),
            ),
        ),
        says="as wakes@their-project.iam.gserviceaccount.com, of the project their-project",
    ),
    Seed(
        "jobs that are kept for less time than messages",
        "jobs-forgotten-early",
        (CONFIG, "message_retention_seconds = 1209600"),
        (
            (CONFIG, FOR_ALL, FIRESTORE),
            option("idempotent=True"),
            setting("count_orders", "message_retention_seconds = 1209600"),
        ),
        says="keeps an ended job for 7 days, and Pub/Sub a message for 14",
    ),
    Seed(
        "a send that the decorator doesn't state",
        "send-not-stated",
        (CODE, "pay_back.send(b"),
        ((CODE, COUNTED, f"{COUNTED}\n    pay_back.send(b'')"),),
        says="The task 'count_orders' sends jobs to 'pay_back', and its sends= lacks it",
    ),
    Seed(
        "a send by name that the decorator doesn't state",
        "send-not-stated",
        (CODE, "ucam_faas.send("),
        ((CODE, COUNTED, f'{COUNTED}\n    ucam_faas.send("shop.pay_back", b"")'),),
    ),
    Seed(
        "a batch whose callback the members' decorator doesn't state",
        "callback-not-stated",
        task("pay_back"),
        (
            (CONFIG, FOR_ALL, FIRESTORE),
            option('sends=["pay_back"]'),
            (CODE, COUNTED, f"{COUNTED}\n    pay_back.send_many([], then='count_orders')"),
        ),
        says="sends a batch of 'pay_back', whose last job wakes the callback 'count_orders'",
    ),
    Seed(
        "lanes without an inbox",
        "lanes-without-inbox",
        task("count_orders"),
        (option("lanes=3"),),
        says="The task 'count_orders' has lanes=, and no inbox",
    ),
    Seed(
        "a send to a lane that the receiver doesn't have",
        "lane-missing",
        (CODE, "pay_back.send(b"),
        (
            (CONFIG, FOR_ALL, FIRESTORE),
            option('sends=["pay_back"]'),
            (CODE, COUNTED, f"{COUNTED}\n    pay_back.send(b'', lane=1)"),
        ),
        says="sends to the lane 'lane-1' of 'pay_back', which has default",
    ),
    Seed(
        "a delay without a queue",
        "delay-without-queue",
        (CODE, "pay_back.send_many("),
        (
            (CONFIG, FOR_ALL, FIRESTORE),
            option('sends=["pay_back"]'),
            (CODE, COUNTED, f"{COUNTED}\n    pay_back.send_many([b''], delay=timedelta(1))"),
        ),
        says="sends jobs with a delay, and UCAM_FAAS_DELAY_QUEUE isn't set",
    ),
    Seed(
        "a misspelt receiver",
        "receiver-missing",
        task("count_orders"),
        (option('sends=["shop.pay_bakc"]'),),
        says="sends to 'pay_bakc'",
    ),
    Seed(
        "a receiver that gets no messages",
        "receiver-missing",
        task("count_orders"),
        (option('sends=["show_order"]'),),
    ),
]

SCHEDULES = [
    Seed(
        "the first Monday, which cron does not know",
        "schedule-on-either-day",
        task("clean_up"),
        (schedule("0 3 1-7 * MON"),),
    ),
    Seed(
        "the last day of the month, as 31",
        "schedule-skips-months",
        task("clean_up"),
        (schedule("0 3 31 * *"),),
        says="does not run in February, April, June, September, November",
    ),
    Seed("29 February", "schedule-rare", task("clean_up"), (schedule("0 3 29 2 *"),)),
    Seed(
        "a time that London leaps over",
        "schedule-skipped",
        task("clean_up"),
        (schedule("30 1 * * *", "Europe/London"),),
        also=("schedule-repeated",),
        says="-03-",
    ),
    Seed(
        "a time that New York has twice",
        "schedule-repeated",
        task("clean_up"),
        (schedule("30 1 * * *", "America/New_York"),),
        says="-11-",
    ),
    Seed(
        "the same message by two schedules",
        "schedules-coincide",
        task("clean_up"),
        ((CODE, CLEAN_UP, 'schedule=[Schedule("0 3 * * *"), Schedule("0 */3 * * MON")]'),),
    ),
    Seed(
        "a schedule for a topic of another project",
        "schedule-topic-elsewhere",
        task("count_orders"),
        ((CODE, 'topic="orders"', 'topic="projects/theirs/topics/orders"'),),
        also=("topic-deleted", "subscription-deleted"),
        says="publishes to projects/theirs/topics/orders, and the deployment is in my-project",
    ),
]

PAYLOADS = [
    Seed(
        "a field that was removed",
        "payload-changed",
        task("count_orders"),
        ((CODE, "    pence: int = 0\n", ""),),
        says="pence",
    ),
    Seed(
        "a field of another type",
        "payload-changed",
        task("count_orders"),
        ((CODE, "pence: int = 0", "pence: list[int] = []"),),
    ),
    Seed(
        "a new field that is required",
        "payload-changed",
        task("count_orders"),
        (
            (CODE, "    pence: int = 0\n", "    pence: int = 0\n    customer: str\n"),
            (CODE, '{"order_id": "probe"}', '{"order_id": "probe", "customer": "ada"}'),
        ),
    ),
    Seed(
        "a Cloud Run job that takes a payload and gets none",
        "job-without-input",
        (CODE, "@ucam_faas.message_handler(\n    message_type=Order, run_as"),
        ((CODE, "raw_event(\n    run_as", "message_handler(\n    message_type=Order, run_as"),),
    ),
]

ENVIRONMENT = [
    Seed(
        "a drain of 10 s", "drain-too-long", VARIABLES, (variable("UCAM_FAAS_GRACE_SECONDS", "10"),)
    ),
    Seed("a number that is none", "variable-refused", VARIABLES, (variable("THREADS", "many"),)),
    Seed(
        "a port for the container alone", "unreachable", VARIABLES, (variable("HOST", "127.0.0.1"),)
    ),
    Seed(
        "an emulator in the cloud",
        "emulator-deployed",
        VARIABLES,
        (variable("PUBSUB_EMULATOR_HOST", "localhost:8085"),),
    ),
    Seed("a password", "secret-in-sight", VARIABLES, (variable("DB_PASSWORD", "hunter2"),)),
    Seed(
        "a password in an address",
        "secret-in-sight",
        VARIABLES,
        (variable("DATABASE", "postgresql://shop:hunter2@db/shop"),),
    ),
    Seed(
        "two log levels",
        "log-level-twice",
        VARIABLES,
        (setting("count_orders", 'log_level = "DEBUG"'), variable("UCAM_FAAS_LOG_LEVEL", "ERROR")),
    ),
    Seed(
        "an audience without an account",
        "half-verified",
        VARIABLES,
        (variable("UCAM_FAAS_PUSH_AUDIENCE", "https://example.org"),),
    ),
    Seed(
        "callers without an audience",
        "half-verified",
        VARIABLES,
        (variable("UCAM_FAAS_JOBS_CALLERS", "crm@example.org"),),
        says="UCAM_FAAS_JOBS_CALLERS is set, and UCAM_FAAS_JOBS_AUDIENCE is not",
    ),
]

PLANS_BEFORE = [
    Seed(
        "a plan that was not written again",
        "plan-out-of-date",
        ("ucam-faas.auto.tfvars.json", '"MODE"'),
        ((CONFIG, '"strict"', '"lax"'),),
        planned=False,
        says="the task 'count_orders' differs in function.environment.MODE",
    ),
    Seed(
        "a plan for another region",
        "plan-out-of-date",
        ("ucam-faas.auto.tfvars.json", '"region"'),
        ((CONFIG, '"europe-west2"', '"europe-west1"'),),
        planned=False,
        also=("protected-deleted", "region-differs"),
        says="region is 'europe-west2', and should be 'europe-west1'",
    ),
]

PROTECTED = '"deletion_protection": true,\n        "environment": {\n          "MODE"'

STRICT = '"MODE": "strict"'
DELETIONS = [
    Seed(
        "a job store that is removed",
        "job-store-left",
        (LAST, '"UCAM_FAAS_JOB_STORE"'),
        (
            (
                LAST,
                STRICT,
                f'{STRICT},\n"UCAM_FAAS_JOB_STORE": "postgresql://me:secret@db:5432/jobs?x=1"',
            ),
        ),
        says="no task uses the job store of default in postgresql://db:5432/jobs.",
    ),
    Seed(
        "another job store",
        "job-store-left",
        (LAST, '"UCAM_FAAS_JOB_STORE"'),
        (
            (CONFIG, FOR_ALL, FIRESTORE),
            (LAST, STRICT, f'{STRICT},\n"UCAM_FAAS_JOB_STORE": "firestore:my-project"'),
        ),
        says="the job store of default in firestore:my-project.",
    ),
    Seed(
        "another application in the same store",
        "job-store-left",
        (LAST, '"UCAM_FAAS_JOB_STORE"'),
        (
            (CONFIG, FOR_ALL, FIRESTORE),
            (
                LAST,
                STRICT,
                f'{STRICT},\n"UCAM_FAAS_APP": "shop",\n'
                '"UCAM_FAAS_JOB_STORE": "firestore:my-project/jobs"',
            ),
        ),
        says="the job store of shop in firestore:my-project/jobs.",
    ),
    Seed(
        "another secret with the job store",
        "job-store-left",
        (LAST, '"UCAM_FAAS_JOB_STORE"'),
        (
            (CONFIG, FOR_ALL, f'{FOR_ALL}\nsecrets = {{ UCAM_FAAS_JOB_STORE = "new-url" }}'),
            (
                LAST,
                '"API_KEY": {',
                '"UCAM_FAAS_JOB_STORE": {"secret": "old-url", "version": "3"}, "API_KEY": {',
            ),
        ),
        says="the job store of default in old-url.",
    ),
    Seed(
        "another bucket of payloads",
        "job-store-left",
        (LAST, '"UCAM_FAAS_PAYLOADS"'),
        (
            (CONFIG, FOR_ALL, with_more("UCAM_FAAS_PAYLOADS", "gs://new")),
            (
                LAST,
                STRICT,
                f'{STRICT},\n"UCAM_FAAS_PAYLOADS": "gs://old",\n'
                '"UCAM_FAAS_JOB_STORE": "firestore:my-project/jobs"',
            ),
        ),
        says="the payload store of default in gs://old.",
    ),
    Seed(
        "another filter of a subscription that there is",
        "subscription-deleted",
        task("pay_back"),
        ((CODE, '"refund"', '"credit"'),),
        says="would replace the subscription 'pay_back': its filter changes",
    ),
    Seed(
        "another topic of the only reader",
        "topic-deleted",
        (LAST, '"orders": {'),
        ((CODE, 'topic="orders"', 'topic="sales"'),),
        also=("subscription-deleted",),
        says="would delete the topic 'orders'",
    ),
    Seed(
        "a topic that is named in full from now on",
        "topic-deleted",
        (LAST, '"orders": {'),
        ((CODE, 'topic="orders"', 'topic="projects/my-project/topics/orders"'),),
    ),
    Seed(
        "a task without dead letters from now on",
        "dead-letters-deleted",
        (LAST, '"failed-refunds": {'),
        (
            (CODE, "max_attempts=10", "max_attempts=None"),
            (CODE, '    dead_letter_topic="failed-refunds",\n', ""),
        ),
        also=("ordered-blocked",),
        says="would delete the subscription 'failed-refunds-kept'",
    ),
    Seed(
        "a task that is gone, and protected",
        "protected-deleted",
        (LAST, '"show_order": {'),
        ((CODE, "@ucam_faas.http(path", "dict(path"), (CODE, "def show_order", "def _show_order")),
        says="would delete the service 'show-order'",
    ),
    Seed(
        "a service that becomes a Cloud Run job",
        "protected-deleted",
        task("count_orders"),
        (
            (CODE, '    topic="orders",\n', '    run_as="cloud-run-job",\n'),
            (CODE, '    schedule=Schedule("*/15 * * * *", data=b\'{"order_id": "probe"}\'),\n', ""),
            (CONFIG, '"refunds"', '"projects/their-project/topics/refunds"'),
        ),
        also=("subscription-deleted", "dead-letters-deleted", "topic-deleted"),
    ),
    Seed(
        "another region",
        "protected-deleted",
        (CONFIG, "region ="),
        ((CONFIG, '"europe-west2"', '"europe-west1"'),),
        also=("region-differs",),
        says="would replace the Cloud Run job 'clean-up': its region changes",
    ),
    Seed(
        "another project",
        "subscription-deleted",
        (CONFIG, "project ="),
        ((CONFIG, '"my-project"', '"other-project"'),),
        also=("dead-letters-deleted", "topic-deleted", "protected-deleted"),
        says="its project changes",
    ),
    Seed(
        "another region of a service that is not protected, with short retries",
        "push-grant-deleted",
        (CONFIG, "region ="),
        (
            (LAST, PROTECTED, PROTECTED.replace("true", "false")),
            (CONFIG, '"europe-west2"', '"europe-west1"'),
        ),
        also=("protected-deleted", "region-differs"),
        says="The retries of a message are used up after 150 s",
    ),
]

SEEDS = [
    *CONFIGURATION,
    *DELIVERY,
    *JOBS,
    *SCHEDULES,
    *PAYLOADS,
    *ENVIRONMENT,
    *PLANS_BEFORE,
    *DELETIONS,
]
