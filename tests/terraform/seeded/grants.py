"""Faults in IAM grants and in the order of creation."""

from __future__ import annotations

from tests.terraform.cases import JOB, WORKER
from tests.terraform.faults import GRANTS, Edit, Fault

from .places import (
    COUNTED,
    DEAD_LETTER,
    INVOKER,
    POOL,
    PUBLISHES,
    PUSH,
    SECRETS,
    STARTS,
    change,
    remove,
)

IN_GRANTS = [
    Fault(
        what="the collector may not write spans",
        edits=(Edit("telemetry.tf", "", '"roles/cloudtrace.agent", ', ""),),
        layer=GRANTS,
        says="missing: orders-runtime cloudtrace.agent project my-project",
    ),
    Fault(
        what="without this grant delivery attempts are not counted",
        edits=remove(COUNTED),
        layer=GRANTS,
        says="missing: Pub/Sub pubsub.subscriber subscription orders",
    ),
    Fault(
        what="the task may not read its secrets",
        edits=change(
            SECRETS,
            "toset([for secret in values(var.function.secrets) : secret.secret])",
            "toset([])",
        ),
        layer=GRANTS,
        says="missing: orders-runtime secretmanager.secretAccessor secret api-key",
    ),
    Fault(
        what="a role that allows more than is needed",
        edits=change(PUBLISHES, "roles/pubsub.publisher", "roles/pubsub.editor"),
        layer=GRANTS,
        says="too much: orders-runtime pubsub.editor topic invoices",
    ),
    Fault(
        what="a role that does not exist",
        edits=change(DEAD_LETTER, "roles/pubsub.publisher", "roles/pubsub.publishers"),
        layer=GRANTS,
        says="missing: Pub/Sub pubsub.publisher topic failed-refunds",
    ),
    Fault(
        what="the account that runs the task is also the one that calls it",
        edits=change(
            INVOKER,
            '"serviceAccount:${local.push_email}"',
            "local.run_time_member",
        ),
        layer=GRANTS,
        says="too much: orders-runtime run.invoker service orders",
    ),
    Fault(
        what="anyone may call the service",
        edits=change(INVOKER, '"serviceAccount:${local.push_email}"', '"allUsers"'),
        layer=GRANTS,
        says="a grant to anybody",
    ),
    Fault(
        what="a grant on the project instead of the topic",
        edits=(
            Edit(*PUBLISHES, '"google_pubsub_topic_iam_member"', '"google_project_iam_member"'),
            Edit(
                "iam.tf",
                'resource "google_project_iam_member"',
                "  topic   = local.topic_names[each.value]\n",
                "",
            ),
        ),
        layer=GRANTS,
        says="a grant on more than one resource",
    ),
    Fault(
        what="a grant that takes away what others granted",
        edits=(
            Edit(
                *PUBLISHES, '"google_pubsub_topic_iam_member"', '"google_pubsub_topic_iam_binding"'
            ),
            Edit(
                "iam.tf",
                'resource "google_pubsub_topic_iam_binding"',
                "member  = local.run_time_member",
                "members = [local.run_time_member]",
            ),
        ),
        layer=GRANTS,
        says="removes what others granted",
    ),
    Fault(
        what="the subscription does not wait for the grant to call the service",
        edits=change(PUSH, "    google_cloud_run_v2_service_iam_member.push,\n", ""),
        layer=GRANTS,
        says="needs roles/run.invoker",
    ),
    Fault(
        what="the worker pool does not wait for the grant to pull",
        edits=change(POOL, "    google_pubsub_subscription_iam_member.pull,\n", ""),
        layer=GRANTS,
        says="needs roles/pubsub.subscriber",
        use=WORKER,
    ),
    Fault(
        what="the subscription does not wait for the grant to make tokens",
        edits=change(PUSH, "    google_service_account_iam_member.push_token,\n", ""),
        layer=GRANTS,
        says="needs roles/iam.serviceAccount",
    ),
    Fault(
        what="the subscription does not wait for the grant to forward dead letters",
        edits=change(PUSH, "    google_pubsub_topic_iam_member.dead_letter_agent,\n", ""),
        layer=GRANTS,
        says="needs roles/pubsub.publisher",
    ),
    Fault(
        what="the scheduler may not run the Cloud Run job",
        edits=change(STARTS, "local.is_scheduled ? 1 : 0", "0"),
        use=JOB,
        layer=GRANTS,
        says="missing: yearly-report-scheduler run.invoker job yearly-report",
    ),
]
