"""The exact IAM grants of each use of the module: none missing, none extra."""

from __future__ import annotations

from typing import Any

import pytest

from .answers import Resource, Snapshot
from .cases import USES, Use
from .conftest import Deploy
from .grants import Grant, broad_grants_in, grants_in
from .needs import unmet_needs

pytestmark = pytest.mark.slow

each_use = pytest.mark.parametrize("use", USES, ids=lambda use: use.name)


def grants(text: str) -> set[Grant]:
    """Read lines of: who | role | on what."""
    rows = [[cell.strip() for cell in line.split("|")] for line in text.strip().splitlines()]
    return {Grant(who, LONG_ROLES.get(role, role), on) for who, role, on in rows}


LONG_ROLES = {
    "OPENID": "iam.serviceAccountOpenIdTokenCreator",
    "TOKENS": "iam.serviceAccountTokenCreator",
}


EXPECTED = {
    "service": grants("""
        orders-push            | run.invoker                  | service orders
        group:team@example.org | run.invoker                  | service orders
        Pub/Sub                | OPENID                       | account orders-push
        Pub/Sub                | TOKENS                       | account orders-archive
        Pub/Sub                | pubsub.subscriber            | subscription orders
        Pub/Sub                | pubsub.subscriber            | subscription refunds
        Pub/Sub                | pubsub.publisher             | topic orders-dead-letter
        Pub/Sub                | pubsub.publisher             | topic failed-refunds
        orders-runtime         | pubsub.publisher             | topic orders-dead-letter
        orders-runtime         | pubsub.publisher             | topic failed-refunds
        orders-runtime         | pubsub.publisher             | topic invoices
        orders-runtime         | secretmanager.secretAccessor | secret api-key
        orders-runtime         | secretmanager.secretAccessor | secret signing-key
        orders-runtime         | storage.objectUser           | bucket my-reports
        orders-runtime         | storage.objectViewer         | bucket my-prices
        orders-runtime         | cloudsql.client              | instance shop
        orders-runtime         | cloudsql.client              | instance old
        orders-runtime         | cloudtrace.agent             | project my-project
        orders-runtime         | monitoring.metricWriter      | project my-project
        orders-archive         | storage.objectCreator        | bucket my-dead-letters
        orders-archive         | storage.legacyBucketReader   | bucket my-dead-letters
    """),
    "worker": grants("""
        Pub/Sub        | TOKENS                       | account orders-archive
        Pub/Sub        | pubsub.subscriber            | subscription orders
        Pub/Sub        | pubsub.subscriber            | subscription refunds
        Pub/Sub        | pubsub.publisher             | topic orders-dead-letter
        Pub/Sub        | pubsub.publisher             | topic failed-refunds
        orders-runtime | pubsub.subscriber            | subscription orders
        orders-runtime | pubsub.subscriber            | subscription refunds
        orders-runtime | pubsub.viewer                | subscription orders
        orders-runtime | pubsub.viewer                | subscription refunds
        orders-runtime | pubsub.publisher             | topic orders-dead-letter
        orders-runtime | pubsub.publisher             | topic failed-refunds
        orders-runtime | pubsub.publisher             | topic invoices
        orders-runtime | secretmanager.secretAccessor | secret api-key
        orders-runtime | secretmanager.secretAccessor | secret signing-key
        orders-runtime | storage.objectUser           | bucket my-reports
        orders-runtime | storage.objectViewer         | bucket my-prices
        orders-runtime | cloudsql.client              | instance shop
        orders-runtime | cloudsql.client              | instance old
        orders-runtime | cloudtrace.agent             | project my-project
        orders-runtime | monitoring.metricWriter      | project my-project
        orders-archive | storage.objectCreator        | bucket my-dead-letters
        orders-archive | storage.legacyBucketReader   | bucket my-dead-letters
    """),
    "job": grants("""
        yearly-report-scheduler | run.invoker                  | job yearly-report
        yearly-report-runtime   | pubsub.publisher             | topic reports
        yearly-report-runtime   | secretmanager.secretAccessor | secret api-key
        yearly-report-runtime   | cloudsql.client              | instance shop
        yearly-report-runtime   | storage.objectUser           | bucket reports
        yearly-report-runtime   | pubsub.viewer                | topic orders
        yearly-report-runtime   | pubsub.subscriber            | subscription orders
        yearly-report-runtime   | secretmanager.viewer         | secret api-key
        yearly-report-runtime   | bigquery.dataEditor          | dataset sales
        yearly-report-runtime   | run.invoker                  | service shop
        yearly-report-runtime   | run.invoker                  | job count
        yearly-report-runtime   | cloudtasks.viewer            | queue later
        yearly-report-runtime   | cloudkms.cryptoKeyDecrypter  | key tasks
        yearly-report-runtime   | TOKENS                       | account sign
    """),
    "long_running_job": grants("""
        yearly-report-scheduler | run.invoker | job yearly-report
    """),
    "worker_task": grants("""
        Pub/Sub               | pubsub.subscriber | subscription import-grades
        Pub/Sub               | pubsub.publisher  | topic import-grades-dead-letter
        import-grades-runtime | pubsub.publisher  | topic import-grades-dead-letter
        import-grades-runtime | pubsub.subscriber | subscription import-grades
        import-grades-runtime | pubsub.viewer     | subscription import-grades
    """),
    "http_task_with_domain": grants(""),
    "task_with_sidecars": grants("""
        resize-photo-push    | run.invoker             | service resize-photo
        Pub/Sub              | OPENID                  | account resize-photo-push
        Pub/Sub              | pubsub.subscriber       | subscription resize-photo
        Pub/Sub              | pubsub.publisher        | topic resize-photo-dead-letter
        resize-photo-runtime | pubsub.publisher        | topic resize-photo-dead-letter
        resize-photo-runtime | cloudtrace.agent        | project my-project
        resize-photo-runtime | monitoring.metricWriter | project my-project
    """),
    "protobuf_task": grants("""
        orders-push    | run.invoker       | service orders
        Pub/Sub        | OPENID            | account orders-push
        Pub/Sub        | pubsub.subscriber | subscription orders
        Pub/Sub        | pubsub.publisher  | topic orders-dead-letter
        orders-runtime | pubsub.publisher  | topic orders-dead-letter
        orders-runtime | pubsub.publisher  | topic invoices
    """),
    "pubsub_task": grants("""
        welcome-email-push    | run.invoker                  | service welcome-email
        Pub/Sub               | OPENID                       | account welcome-email-push
        Pub/Sub               | pubsub.subscriber            | subscription welcome-email
        Pub/Sub               | pubsub.publisher             | topic welcome-email-dead-letter
        welcome-email-runtime | pubsub.publisher             | topic welcome-email-dead-letter
        welcome-email-runtime | secretmanager.secretAccessor | secret mail-api-key
    """),
    "scheduled_task": grants("""
        nightly-cleanup-push    | run.invoker       | service nightly-cleanup
        Pub/Sub                 | OPENID            | account nightly-cleanup-push
        Pub/Sub                 | pubsub.subscriber | subscription nightly-cleanup
        Pub/Sub                 | pubsub.publisher  | topic nightly-cleanup-dead-letter
        nightly-cleanup-runtime | pubsub.publisher  | topic nightly-cleanup-dead-letter
    """),
    "tasks_from_plan": grants("""
        ucam-faas-push        | run.invoker                  | service count-orders
        ucam-faas-push        | run.invoker                  | service send-invoices
        ucam-faas-scheduler   | run.invoker                  | job report
        Pub/Sub               | OPENID                       | account ucam-faas-push
        Pub/Sub               | pubsub.subscriber            | subscription count_orders
        Pub/Sub               | pubsub.subscriber            | subscription send_invoices
        Pub/Sub               | pubsub.publisher             | topic failed-orders
        Pub/Sub               | pubsub.publisher             | topic send_invoices-dead-letter
        count-orders-runtime  | pubsub.publisher             | topic failed-orders
        count-orders-runtime  | pubsub.publisher             | topic invoices
        count-orders-runtime  | secretmanager.secretAccessor | secret api-key
        send-invoices-runtime | pubsub.publisher             | topic send_invoices-dead-letter
    """),
}
"""By use of the module."""


def test_every_use_has_its_list_of_grants() -> None:
    assert {use.name for use in USES} == EXPECTED.keys()


@each_use
def test_the_state_has_exactly_the_listed_grants(use: Use, deploy: Deploy) -> None:
    state = deploy(use).state

    assert grants_in(state) == EXPECTED[use.name]


@each_use
def test_the_plan_shows_every_grant_before_it_is_made(use: Use, deploy: Deploy) -> None:
    """The names of accounts are not known yet, so the grants on accounts are only counted."""
    planned = grants_in(deploy(use).plan)

    known = {grant for grant in EXPECTED[use.name] if not grant.on.startswith("account ")}
    assert {grant for grant in planned if not grant.on.startswith("account ")} == known
    assert len([grant for grant in planned if grant.on.startswith("account ")]) == len(
        {grant[:2] for grant in EXPECTED[use.name] - known}
    )


@each_use
def test_nothing_is_granted_on_more_than_one_resource_or_to_anybody(
    use: Use, deploy: Deploy
) -> None:
    deployment = deploy(use)

    assert broad_grants_in(deployment.plan) == []
    assert broad_grants_in(deployment.state) == []


@each_use
def test_grants_are_made_before_the_resources_that_need_them(use: Use, deploy: Deploy) -> None:
    assert unmet_needs(deploy(use).state) == []


@each_use
def test_the_accounts_of_a_task_differ(use: Use, deploy: Deploy) -> None:
    """It runs, Pub/Sub calls it and the scheduler runs it, each under its own account."""
    running, calling = accounts_in(deploy(use).state)

    assert running
    assert bool(calling) == (use.name not in WITHOUT_CALLER)
    assert running & calling == set()


WITHOUT_CALLER = ("http_task_with_domain", "worker_task")
"""Uses in which neither Pub/Sub nor Cloud Scheduler calls a task."""


def accounts_in(state: Snapshot) -> tuple[set[str], set[str]]:
    """Return the accounts that services run as, and those that call or publish."""
    templates = [
        *(run.values["template"][0] for run in state.of("google_cloud_run_v2_service")),
        *(run.values["template"][0] for run in state.of("google_cloud_run_v2_worker_pool")),
        *(run.values["template"][0]["template"][0] for run in state.of("google_cloud_run_v2_job")),
    ]
    calling = {
        block["service_account_email"]
        for resource in state.resources
        for block in blocks_with_account(resource)
    }
    return {template["service_account"] for template in templates}, calling


def blocks_with_account(resource: Resource) -> list[dict[str, Any]]:
    values = resource.values
    return [
        *(token for push in values.get("push_config", []) for token in push["oidc_token"]),
        *(token for target in values.get("http_target", []) for token in target["oauth_token"]),
        *values.get("cloud_storage_config", []),
    ]
