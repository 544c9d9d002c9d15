"""Where faults are planted: files of the module, and how a block in them begins."""

from __future__ import annotations

from tests.terraform.faults import Edit

PUSH = ("pubsub.tf", 'resource "google_pubsub_subscription" "push"')
TRIGGER = ("pubsub.tf", 'resource "google_pubsub_topic" "trigger"')
KEEPER = ("pubsub.tf", 'resource "google_pubsub_subscription" "dead_letter" ')
SERVICE = ("service.tf", 'resource "google_cloud_run_v2_service" "this"')
POOL = ("worker.tf", 'resource "google_cloud_run_v2_worker_pool" "this"')
SCHEDULE = ("scheduler.tf", 'resource "google_cloud_scheduler_job" "schedule"')
ERRORS = ("alerts.tf", 'resource "google_monitoring_alert_policy" "errors"')
RUN_TIME = ("iam.tf", 'resource "google_service_account" "run_time"')
INVOKER = ("iam.tf", 'resource "google_cloud_run_v2_service_iam_member" "push"')
TOKEN = ("iam.tf", 'resource "google_service_account_iam_member" "push_token"')
DEAD_LETTER_TOPIC = ("pubsub.tf", 'resource "google_pubsub_topic" "dead_letter"')
DEAD_LETTER = ("iam.tf", 'resource "google_pubsub_topic_iam_member" "dead_letter_agent"')
COUNTED = ("iam.tf", 'resource "google_pubsub_subscription_iam_member" "dead_letter_agent"')
SECRETS = ("iam.tf", 'resource "google_secret_manager_secret_iam_member" "run_time"')
PUBLISHES = ("iam.tf", 'resource "google_pubsub_topic_iam_member" "publishes_to"')
STARTS = ("iam.tf", 'resource "google_cloud_run_v2_job_iam_member" "scheduler"')


def change(place: tuple[str, str], old: str, new: str) -> tuple[Edit, ...]:
    return (Edit(*place, old, new),)


def remove(place: tuple[str, str]) -> tuple[Edit, ...]:
    return (Edit(*place, "", ""),)
