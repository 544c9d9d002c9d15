"""The deployed collection works: the example collection, from its code to its effects.

`ucam-faas plan` → terraform plan and apply → the resources of Terraform's state, in the embedded
Pub/Sub and Cloud Scheduler → the container image, with the environment of that state → gcloud.
Nothing of the deployment is typed again here; `cloud` says what is not as in the state.

Not proven, because nothing of Google's runs here: that its APIs take what Terraform sends them,
permissions, the tokens of pushes and schedules, Cloud Run itself (scaling, probes, network), and
that Pub/Sub keeps to its backoff as exactly as the embedded one.
"""

from __future__ import annotations

import json
import sys
from base64 import b64decode
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.clients.gcloud import Gcloud
from tests.container.engine import ROOT, Container
from tests.integration.processes import wait_until
from ucam_faas import RetryPolicy
from ucam_faas.config import Settings
from ucam_faas.local_testing import EmbeddedCloud
from ucam_faas.tasks import registry
from ucam_faas.tasks.needs import TaskNeeds, needs_of
from ucam_faas.tasks.policies import backoffs

from . import cloud, guide

pytestmark = pytest.mark.slow

PUBLISH = "gcloud pubsub topics publish"
PULL = (
    "gcloud pubsub subscriptions pull report_stock-dead-letter "
    "--project=$PROJECT --limit=10 --format=json"
)
"""Shows dead letters with all that they have; `ucam-faas dlq` of the guide is tried elsewhere."""
PROJECT = guide.variables()["PROJECT"]
A_MOMENT = timedelta(milliseconds=1)
ATTEMPTS = RetryPolicy().max_attempts or 0
WAITS = backoffs(RetryPolicy(), ATTEMPTS - 1)


def publish(gcloud: Gcloud, command: str) -> str:
    """Run a command that publishes, and return the message's id."""
    (message_id,) = guide.run(gcloud, command)["messageIds"]
    return str(message_id)


def executions(container: Container, message_id: str, count: int) -> list[dict[str, Any]]:
    """Wait for so many executions of a message, and return what was logged about them."""

    def find() -> list[dict[str, Any]]:
        lines = container.log(message_id=message_id)
        return lines if len(lines) >= count else []

    lines = wait_until(find, f"{count} executions of message {message_id}")
    assert len(lines) == count
    return lines


def test_a_service_serves_its_own_task_alone(
    report_stock: Container, remove_old_exports: Container
) -> None:
    names = [
        line["tasks"]
        for container in (report_stock, remove_old_exports)
        for line in container.log(message="ucam_faas_serving")
    ]

    assert names == [["report_stock"], ["remove_old_exports"]]


def test_a_message_is_handled(
    local: EmbeddedCloud, gcloud: Gcloud, report_stock: Container
) -> None:
    command, _ = guide.commands(f"{PUBLISH} report_stock")

    message_id = publish(gcloud, command)
    local.wait_idle()

    (execution,) = executions(report_stock, message_id, 1)
    assert execution["outcome"] == "done"
    assert execution["logging.googleapis.com/labels"]["task"] == "report_stock"


def test_a_message_that_fails_is_retried_as_planned_and_then_a_dead_letter(
    local: EmbeddedCloud, gcloud: Gcloud, report_stock: Container
) -> None:
    _, command = guide.commands(f"{PUBLISH} report_stock")
    begin = local.clock.now()

    message_id = publish(gcloud, command)
    local.advance(timedelta())
    for attempt, seconds in enumerate(WAITS, 1):
        local.advance(timedelta(seconds=seconds) - A_MOMENT)
        executions(report_stock, message_id, attempt)
        local.advance(A_MOMENT)
        executions(report_stock, message_id, attempt + 1)

    lines = executions(report_stock, message_id, ATTEMPTS)
    assert [line["outcome"] for line in lines] == ["failed"] * len(WAITS) + ["dead_lettered"]
    (received,) = guide.run(gcloud, PULL)
    letter = received["message"]
    published = letter["attributes"].pop("CloudPubSubDeadLetterSourceTopicPublishTime")
    assert datetime.fromisoformat(published) == begin
    names = ("ucam_faas_first_attempt", "ucam_faas_last_attempt")
    first, last = (datetime.fromisoformat(letter["attributes"].pop(name)) for name in names)
    assert first <= last
    assert letter["attributes"].pop("ucam_faas_fingerprint").startswith("1:")
    assert letter["attributes"].pop("ucam_faas_error").startswith("UCAMFAASException at ")
    assert letter["attributes"] == {
        "sender": "guide",
        "ucam_faas_task": "report_stock",
        "ucam_faas_reason": f"UCAMFAASException (attempt {ATTEMPTS}, the last)",
        "ucam_faas_message_id": message_id,
        "CloudPubSubDeadLetterSourceDeliveryCount": str(ATTEMPTS),
        "CloudPubSubDeadLetterSourceSubscription": "report_stock",
        "CloudPubSubDeadLetterSourceSubscriptionProject": PROJECT,
    }
    assert json.loads(b64decode(letter["data"])) == {"warehouse": "moon", "counts": {}}


def test_a_message_that_can_never_be_handled_is_a_dead_letter_at_once(
    local: EmbeddedCloud, gcloud: Gcloud, report_stock: Container
) -> None:
    """The task publishes it, to the topic that its environment names."""
    command, _ = guide.commands(f"{PUBLISH} report_stock")

    message_id = publish(gcloud, f"{command} --message=nonsense")
    local.wait_idle()

    (execution,) = executions(report_stock, message_id, 1)
    assert execution["outcome"] == "dead_lettered"
    (received,) = guide.run(gcloud, PULL)
    assert b64decode(received["message"]["data"]) == b"nonsense"
    assert received["message"]["attributes"]["ucam_faas_task"] == "report_stock"


def test_each_subscription_is_what_the_decorators_ask_for(
    local: EmbeddedCloud, pubsub: cloud.ReachablePubsub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    tasks = registry.load(str(ROOT / "example_tasks"))
    plans = [needs_of(task, Settings()) for task in tasks if task.run_as == "service"]
    asked_for = {plan.name: as_asked_for(plan) for plan in plans if plan.topic is not None}

    subscriptions = {name: as_found(pubsub.port, name) for name in asked_for}

    assert len(subscriptions) > 5
    assert subscriptions == asked_for


def as_asked_for(plan: TaskNeeds) -> dict[str, Any]:
    """Return what a task needs of its subscription, in the API's words."""
    return {
        "topic": f"projects/{PROJECT}/topics/{plan.topic}",
        "filter": plan.filter,
        "ordered": plan.ordered,
        "wrapped": plan.wrapped,
        "path": plan.path,
        "ack_deadline": plan.ack_deadline_seconds,
        "retry": {
            "minimumBackoff": f"{plan.min_backoff_seconds:g}s",
            "maximumBackoff": f"{plan.max_backoff_seconds:g}s",
        },
        "dead_letter": {
            "deadLetterTopic": f"projects/{PROJECT}/topics/{plan.dead_letter_topic}",
            "maxDeliveryAttempts": plan.max_attempts,
        },
    }


def as_found(port: int, name: str) -> dict[str, Any]:
    """Return the same of a subscription that is there."""
    subscription = cloud.get(port, f"projects/{PROJECT}/subscriptions/{name}")
    return {
        "topic": subscription["topic"],
        "filter": subscription.get("filter"),
        "ordered": subscription.get("enableMessageOrdering", False),
        "wrapped": "noWrapper" not in subscription["pushConfig"],
        "path": urlsplit(subscription["pushConfig"]["pushEndpoint"]).path,
        "ack_deadline": subscription["ackDeadlineSeconds"],
        "retry": subscription.get("retryPolicy"),
        "dead_letter": subscription.get("deadLetterPolicy"),
    }
