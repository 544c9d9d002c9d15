"""The deployed settings of a task, from Terraform's plan or the last plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ucam_faas.deploy.checks.inputs import Inputs
from ucam_faas.deploy.checks.terraform.deployments import (
    RUNS,
    SUBSCRIPTION,
    seconds,
    targets,
    template_of,
)
from ucam_faas.deploy.checks.terraform.resources import Resource, TerraformPlan, email_of
from ucam_faas.deploy.terraform_variables import PlannedTask


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """How long a subscription keeps messages, and how often it delivers one.

    Args:
        attempts: None: without end.
    """

    seconds: float | None
    attempts: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """A task as it is deployed.

    Args:
        account: that it runs as; None: one that was made for it.
        has_channels: incidents of it are sent somewhere; None: it isn't known.
        subscriptions: by name.
    """

    account: str | None = None
    kms_key: str | None = None
    has_channels: bool | None = None
    subscriptions: Mapping[str, Kept] = field(default_factory=dict)


def deployed(inputs: Inputs, planned: PlannedTask) -> Deployed | None:
    """Return what a task has now; None: it is new, or isn't known."""
    if inputs.terraform is not None:
        return _in_terraform(inputs.terraform, planned)
    arguments = inputs.last.tasks.get(planned.name) if inputs.last else None
    return None if arguments is None else _in_plan(arguments)


def _in_plan(arguments: Mapping[str, Any]) -> Deployed:
    subscriptions = arguments.get("triggers", {}).get("subscriptions", {})
    alerting = arguments.get("alerting")
    return Deployed(
        account=arguments.get("function", {}).get("service_account"),
        kms_key=arguments.get("kms_key"),
        has_channels=bool(isinstance(alerting, dict) and alerting.get("notification_channels")),
        subscriptions={
            name: Kept(
                seconds=needs.get("message_retention_seconds"),
                attempts=(needs.get("dead_letter") or {}).get("max_attempts"),
            )
            for name, needs in subscriptions.items()
        },
    )


def _in_terraform(plan: TerraformPlan, planned: PlannedTask) -> Deployed | None:
    before = [change.before for change in plan.changes if change.before]
    runs = (resource for resource in before if resource.type in RUNS.values())
    run = next((run for run in runs if planned.name in targets(run)), None)
    if run is None:
        return None
    made = {email_of(account) for account in before if account.type == "google_service_account"}
    account = run.get(*template_of(run), "service_account") or None
    return Deployed(
        account=None if account in made else account,
        kms_key=run.get(*template_of(run), "encryption_key") or None,
        subscriptions={
            str(subscription.get("name")): _kept(subscription)
            for subscription in before
            if subscription.type == SUBSCRIPTION
        },
    )


def _kept(subscription: Resource) -> Kept:
    attempts = subscription.get("dead_letter_policy", "max_delivery_attempts")
    return Kept(
        seconds=seconds(subscription.get("message_retention_duration")),
        attempts=attempts if isinstance(attempts, int) else None,
    )
