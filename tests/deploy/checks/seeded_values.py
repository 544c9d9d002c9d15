"""Faults of values that contradict each other: roles, versions of secrets, delays and payloads."""

from __future__ import annotations

from .seeded import (
    CODE,
    CONFIG,
    COUNTED,
    FOR_ALL,
    LAST,
    SIGNATURE,
    VARIABLES,
    Edit,
    Seed,
    option,
    setting,
    task,
    variable,
)

QUEUE = "projects/my-project/locations/europe-west2/queues/delays"
STORE: Edit = (
    CONFIG,
    FOR_ALL,
    f'{FOR_ALL}\nenvironment = {{ UCAM_FAAS_JOB_STORE = "firestore:my-project/jobs", '
    f'UCAM_FAAS_DELAY_QUEUE = "{QUEUE}", UCAM_FAAS_PAYLOADS = "gs://shop-payloads" }}',
)
"""A store of jobs, a queue of delays and a bucket of payloads."""
OF_ANOTHER_OWNER = SIGNATURE["cut_film"].replace("(\n", '(\n    subscription="films",\n')
NAME = '"name": "count-orders"'
PAYLOADS_OF_LAST = f'{NAME}, "jobs": {{"payloads": {{"bucket": "shop-payloads", "days": %d}}}}'


def delayed(by: str) -> tuple[Edit, ...]:
    """Send jobs with a delay."""
    return (
        STORE,
        option('sends=["pay_back"]'),
        (CODE, COUNTED, f"{COUNTED}\n    pay_back.send_many([b''], delay={by})"),
    )


def versions(first: str, second: str) -> tuple[Edit, ...]:
    """Give two tasks one secret."""
    return (
        setting("count_orders", f'secrets = {{ MAIL_KEY = "{first}" }}'),
        setting("pay_back", f'secrets = {{ MAIL_KEY = "{second}" }}'),
    )


def role(text: str) -> Edit:
    """Give `count_orders` a role."""
    return setting("count_orders", f'roles = ["{text}"]')


def granted(text: str, says: str, *edits: Edit) -> Seed:
    """Return the fault of a role that the plan grants already."""
    return Seed(
        f"a role that the plan grants: {text}",
        "role-granted-twice",
        (CONFIG, f'"{text}"'),
        (*edits, role(text)),
        says=says,
    )


VALUE_SEEDS = [
    granted("pubsub.publisher on projects/my-project/topics/refunds", "for the topics to which"),
    granted(
        "roles/secretmanager.secretAccessor on projects/my-project/secrets/api-key",
        "for secrets.API_KEY",
    ),
    granted("storage.objectUser on gs://shop-payloads", "for its jobs' payloads", STORE),
    granted(f"cloudtasks.enqueuer on {QUEUE}", "its jobs", STORE, option('sends=["pay_back"]')),
    Seed(
        "a role on a volume that the plan grants",
        "role-granted-twice",
        (CONFIG, "roles = "),
        (
            (
                CONFIG,
                '"bigquery.dataEditor on',
                '"storage.objectViewer on gs://rates", "bigquery.dataEditor on',
            ),
        ),
        says="for volumes./mnt/rates",
    ),
    Seed(
        "a role on a worker's subscription that the plan grants",
        "role-granted-twice",
        (CONFIG, "subscriptions/cut_film"),
        (
            setting(
                "cut_film",
                'roles = ["pubsub.subscriber on projects/my-project/subscriptions/cut_film"]',
            ),
        ),
        says="for its subscription",
    ),
    Seed(
        "one secret in two versions",
        "secret-versions-differ",
        (CONFIG, '"mail:3"'),
        versions("mail:3", "projects/my-project/secrets/mail/versions/10"),
        says="is version 3 of the secret 'mail', and of the task 'pay_back' version 10",
    ),
    Seed(
        "a delay that payloads don't survive",
        "delay-too-long",
        (CODE, "pay_back.send_many("),
        delayed("timedelta(days=45)"),
        says="a delay of 45 days, and longest_delay_days is 30",
    ),
    Seed(
        "payloads that are kept for less time than before",
        "payloads-kept-shorter",
        (CONFIG, "longest_delay_days"),
        (
            STORE,
            (CONFIG, "project = ", "longest_delay_days = 2\nproject = "),
            (LAST, NAME, PAYLOADS_OF_LAST % 62),
        ),
        says="for 62 days now",
    ),
    Seed(
        "a key in BigQuery's EU",
        "region-unknown",
        (CONFIG, "kms_key"),
        (
            setting(
                "pay_back",
                'kms_key = "projects/my-project/locations/EU/keyRings/r/cryptoKeys/k"',
            ),
        ),
        says="is in 'EU', and Google writes locations in lower case",
    ),
]

VALUE_SEEDS += [
    Seed(
        "the right to publish on a subscription",
        "role-misplaced",
        (CONFIG, "roles ="),
        (role("pubsub.publisher on projects/my-project/subscriptions/pay_back"),),
        says="a pubsub subscription has no such role",
    ),
    Seed(
        "a role of buckets on a topic",
        "role-misplaced",
        (CONFIG, "roles ="),
        (role("storage.objectUser on projects/my-project/topics/refunds"),),
        says="a pubsub topic has no such role",
    ),
    Seed(
        "a file with a key",
        "credentials-deployed",
        VARIABLES,
        (variable("GOOGLE_APPLICATION_CREDENTIALS", "/etc/keys/tasks.json"),),
        says="is /etc/keys/tasks.json",
    ),
    Seed(
        "a key as a variable",
        "credentials-deployed",
        (CONFIG, "GOOGLE_APPLICATION_CREDENTIALS"),
        (setting("count_orders", 'secrets = { GOOGLE_APPLICATION_CREDENTIALS = "key" }'),),
        says="is a secret's content",
    ),
    Seed(
        "a schema that its topic would lose",
        "topic-schema-deleted",
        task("count_orders"),
        ((LAST, '"orders": {', '"orders": {"schema": {"type": "AVRO"}}, "old": {'),),
        also=("topic-deleted",),
        says="The topic 'orders' has a schema now",
    ),
    Seed(
        "an archive beside the subscription of another owner",
        "archive-without-effect",
        (CONFIG, "dead_letter_archive"),
        (
            (CODE, SIGNATURE["cut_film"], OF_ANOTHER_OWNER),
            setting("cut_film", 'dead_letter_archive = "my-bucket"'),
        ),
        also=("subscription-deleted", "dead-letters-deleted", "topic-deleted"),
        says="it has none",
    ),
]

HARMLESS: dict[str, tuple[Edit, ...]] = {
    "a role to attach a subscription to a topic": (
        role("pubsub.subscriber on projects/my-project/topics/refunds"),
    ),
    "a role of one's own on a subscription": (
        role("projects/my-project/roles/publisher on projects/my-project/subscriptions/pay_back"),
    ),
    "a role for one's account on another": (
        role("iam.serviceAccountTokenCreator on projects/my-project/serviceAccounts/a@b.c"),
    ),
    "an empty variable for credentials": (variable("GOOGLE_APPLICATION_CREDENTIALS", ""),),
    "another role on a topic to which the task publishes": (
        role("pubsub.viewer on projects/my-project/topics/refunds"),
    ),
    "a role on another project's secret of the same name": (
        role("secretmanager.secretAccessor on projects/mail-project/secrets/api-key"),
    ),
    "a role to write to a volume that is read only": (
        (
            CONFIG,
            '"bigquery.dataEditor on',
            '"storage.objectUser on gs://rates", "bigquery.dataEditor on',
        ),
    ),
    "one secret in one version": versions("mail:3", "projects/my-project/secrets/mail/versions/3"),
    "one secret whose newest version one task tries": versions("mail:3", "mail"),
    "an old version beside the new one": (
        setting("count_orders", 'secrets = { OLD_KEY = "mail:3", MAIL_KEY = "mail:4" }'),
        setting("pay_back", 'secrets = { MAIL_KEY = "mail:4" }'),
    ),
    "secrets of two projects with one name": versions(
        "mail:3", "projects/other-1/secrets/mail/versions/4"
    ),
    "a delay that is just short enough": delayed("timedelta(days=30)"),
    "a delay that isn't known": delayed("timedelta(days=len(order.order_id))"),
    "payloads that are kept a little shorter": (
        STORE,
        (CONFIG, "project = ", "longest_delay_days = 20\nproject = "),
        (LAST, NAME, PAYLOADS_OF_LAST % 38),
    ),
}
