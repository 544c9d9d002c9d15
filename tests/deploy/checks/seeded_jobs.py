"""Faults for Terraform's plan of the clean collection with jobs, as if written by hand."""

from __future__ import annotations

import json
from dataclasses import replace

from .seeded import CONFIG, FOR_ALL, Edit, option
from .seeded_terraform import COUNT, PAY, Change, Plan, TerraformSeed, add, drop, put

STORE = f"""{FOR_ALL}

[environment]
UCAM_FAAS_JOB_STORE = "firestore:my-project/jobs"
UCAM_FAAS_DELAY_QUEUE = "projects/my-project/locations/europe-west2/queues/delays"
UCAM_FAAS_PAYLOADS = "gs://shop-payloads"
"""
EDITS: list[Edit] = [(CONFIG, FOR_ALL, STORE), option('idempotent=True, sends=["pay_back"]')]
"""A store, a queue, a bucket, and a task that sends to another."""

SHARED = "wakes@my-project.iam.gserviceaccount.com"
SHARED_ACCOUNT: Edit = (
    CONFIG,
    "UCAM_FAAS_PAYLOADS",
    f'UCAM_FAAS_DELAY_ACCOUNT = "{SHARED}"\nUCAM_FAAS_PAYLOADS',
)

TASKS = "module.tasks."
SWEEP = f'{TASKS}module.task["shop-sweep"].'
INBOX = f'{COUNT}google_pubsub_subscription.push["count_orders-inbox"]'
BUCKET = f'{TASKS}google_storage_bucket.payloads["shop-payloads"]'
ACCOUNT = "count-orders-runtime@my-project.iam.gserviceaccount.com"


def move(old: str, new: str) -> Change:
    """Put a text in place of another in what will be; the deployment still has the old one."""

    def change(plan: Plan) -> None:
        plan["planned_values"] = json.loads(json.dumps(plan["planned_values"]).replace(old, new))

    return change


JOB_SEEDS = [
    TerraformSeed(
        "another job store",
        "job-store-left",
        (move("firestore:my-project/jobs", "firestore:my-project/others"),),
        also=("terraform-differs",),
        says="no task uses the job store of shop in firestore:my-project/jobs.",
    ),
    TerraformSeed(
        "no grant to send",
        "publish-refused",
        (
            drop(
                f'{COUNT}google_pubsub_topic_iam_member.publishes_to["projects/my-project/topics/pay_back-inbox"]'
            ),
        ),
        says=f"{ACCOUNT} lacks roles/pubsub.publisher on the topic pay_back-inbox",
    ),
    TerraformSeed(
        "no grant for the sweep to wake",
        "publish-refused",
        (
            drop(
                f'{SWEEP}google_pubsub_topic_iam_member.publishes_to["projects/my-project/topics/pay_back-inbox"]'
            ),
        ),
        says="shop-sweep-runtime@my-project.iam.gserviceaccount.com lacks",
    ),
    TerraformSeed(
        "no grant on the database of jobs",
        "jobs-refused",
        (drop(f'{TASKS}google_project_iam_member.job_store["count_orders"]'),),
        says=f"{ACCOUNT} lacks roles/datastore.user on the firestore database projects/my-project/",
    ),
    TerraformSeed(
        "no grant on the queue of delays",
        "jobs-refused",
        (drop(f'{TASKS}google_cloud_tasks_queue_iam_member.jobs["count_orders"]'),),
        says=f"{ACCOUNT} lacks roles/cloudtasks.enqueuer on the cloud tasks queue projects/",
    ),
    TerraformSeed(
        "no grant to act as the account that publishes wakes",
        "jobs-refused",
        (drop(f'{TASKS}google_service_account_iam_member.wakes["count_orders"]'),),
        says=f"{ACCOUNT} lacks roles/iam.serviceAccountUser on the service account {ACCOUNT}",
    ),
    TerraformSeed(
        "no grant on the bucket of payloads",
        "jobs-refused",
        (drop(f'{TASKS}google_storage_bucket_iam_member.payloads["count_orders"]'),),
        says=f"{ACCOUNT} lacks roles/storage.objectUser on the storage bucket shop-payloads",
    ),
    TerraformSeed(
        "a bucket of payloads that is open to all",
        "granted-to-all",
        (
            add(
                "google_storage_bucket_iam_member",
                "open",
                bucket="shop-payloads",
                role="roles/storage.objectViewer",
                member="allUsers",
            ),
        ),
        at=("infra/extra.tf", 'resource "google_storage_bucket_iam_member"'),
        file=("infra/extra.tf", 'resource "google_storage_bucket_iam_member" "open" {\n}\n'),
    ),
    TerraformSeed(
        "a bucket that deletes payloads while jobs need them",
        "payloads-deleted-early",
        (put(BUCKET, "lifecycle_rule", "condition", "age", value=30),),
        says="deletes objects after 30 days, and the jobs of the task 'count_orders' need them for",
    ),
    TerraformSeed(
        "an inbox whose ack deadline is shorter than the timeout",
        "deadline-ladder",
        (put(INBOX, "ack_deadline_seconds", value=30),),
        says=f"{INBOX} has an ack deadline of 30 s; expected at least the task's 60 s",
    ),
    TerraformSeed(
        "an inbox whose ack deadline is longer than Cloud Run's timeout",
        "deadline-ladder",
        (put(INBOX, "ack_deadline_seconds", value=600),),
        says=f"{INBOX} has an ack deadline of 600 s; expected at most Cloud Run's",
    ),
    TerraformSeed(
        "an inbox with an attempt limit",
        "terraform-differs",
        (
            put(
                INBOX,
                "dead_letter_policy",
                value=[{"max_delivery_attempts": 5, "dead_letter_topic": None}],
            ),
        ),
        says="the number of attempts is 5; the code and the configuration say absent",
    ),
    TerraformSeed(
        "a task without its inbox",
        "terraform-task-missing",
        (drop(f'{PAY}google_pubsub_subscription.push["pay_back-inbox"]'),),
        at=("main.py", "@ucam_faas.message_handler(\n    message_type=None"),
        says="no subscription that pushes to /pay_back/inbox",
    ),
    TerraformSeed(
        "a deployment without its sweep",
        "terraform-task-missing",
        (drop(f"{SWEEP}google_cloud_run_v2_service.this[0]"),),
        at=("", ""),
        says="no Cloud Run service for 'shop-sweep'",
    ),
    TerraformSeed(
        "a sweep that is paused",
        "terraform-differs",
        (put(f'{SWEEP}google_cloud_scheduler_job.schedule["shop-sweep"]', "paused", value=True),),
        says="paused is True; the code and the configuration say False",
    ),
]
JOB_SEEDS = [replace(seed, made=True) for seed in JOB_SEEDS]

SHARED_SEEDS = [
    TerraformSeed(
        "no grant to act as the account that tasks share",
        "jobs-refused",
        (drop(f'{TASKS}google_service_account_iam_member.wakes["count_orders"]'),),
        made=True,
        says=f"{ACCOUNT} lacks roles/iam.serviceAccountUser on the service account {SHARED}",
    ),
    TerraformSeed(
        "no grant for the account that tasks share to publish wakes",
        "jobs-refused",
        (drop(f'{TASKS}google_pubsub_topic_iam_member.wakes["{SHARED} pay_back-inbox"]'),),
        made=True,
        says=f"{SHARED} lacks roles/pubsub.publisher on the pubsub topic pay_back-inbox",
    ),
]
