"""Rules of delivery in Terraform's plan: messages reach their task, and none is lost."""

from __future__ import annotations

from collections.abc import Iterator

from ucam_faas.deploy.checks.inputs import Inputs
from ucam_faas.deploy.checks.rule import rule
from ucam_faas.deploy.checks.terraform.deployments import (
    FROM_ANYWHERE,
    SUBSCRIPTION,
    TOPIC,
    full_name,
    path_of,
    pushes_of,
)
from ucam_faas.deploy.checks.terraform.resources import UNKNOWN, Resource
from ucam_faas.deploy.findings import Finding


@rule(
    "subscription-expires",
    why="Pub/Sub deletes it after that long without activity, and every message from then on is "
    "lost.",
)
def expires(inputs: Inputs) -> Iterator[Finding]:
    """A subscription of a task, or of its dead letters, that is deleted when it is not used."""
    for subscription in _of_tasks(inputs):
        ttl = subscription.get("expiration_policy", "ttl")
        if subscription.get("expiration_policy") is UNKNOWN or ttl in (UNKNOWN, ""):
            continue
        after = f"in {ttl}" if ttl else "after 31 days, Pub/Sub's default"
        yield Finding(
            subscription.place,
            f"{subscription.address} expires {after}.",
            'Write: expiration_policy { ttl = "" }',
        )


def _of_tasks(inputs: Inputs) -> Iterator[Resource]:
    """Yield the subscriptions of tasks, and the subscriptions that keep their dead letters."""
    pushes = [subscription for _, subscription in pushes_of(inputs)]
    yield from pushes
    topics = {full_name(push, "dead_letter_policy", "dead_letter_topic") for push in pushes}
    for subscription in inputs.terraform.of(SUBSCRIPTION) if inputs.terraform else ():
        known = full_name(subscription, "topic") in topics - {None, UNKNOWN}
        if known and subscription not in pushes:
            yield subscription


@rule(
    "dead-letters-unread",
    why="A topic without a subscription keeps no messages: they are lost.",
)
def unread(inputs: Inputs) -> Iterator[Finding]:
    """A dead-letter topic without a subscription."""
    if inputs.terraform is None:
        return
    made = {full_name(topic, "name") for topic in inputs.terraform.of(TOPIC)}
    read = {full_name(reader, "topic") for reader in inputs.terraform.of(SUBSCRIPTION)}
    for subscription in inputs.terraform.of(SUBSCRIPTION):
        topic = full_name(subscription, "dead_letter_policy", "dead_letter_topic")
        if topic in made and topic is not UNKNOWN and not read & {topic, UNKNOWN}:
            yield Finding(
                subscription.place,
                f"{subscription.address} puts dead letters into {topic}, a topic without "
                "subscription.",
                "Make a subscription to it, which never expires and keeps messages for 31 days.",
            )


@rule("push-path-wrong", why="Another task gets the messages, or each is answered 404.")
def path_wrong(inputs: Inputs) -> Iterator[Finding]:
    """A push to a path that isn't the task's."""
    for deployment, subscription in pushes_of(inputs):
        path = path_of(subscription)
        planned = deployment.planned.subscriptions.values()
        paths = [own.path for own in planned] or [deployment.planned.needs.path]
        if path not in (None, *paths):
            yield Finding(
                subscription.place,
                f"{subscription.address} pushes to {path or '/'}; the task is served at "
                f"{' and '.join(paths)}.",
                "Correct the path, or leave it to the plan.",
                deployment.planned.task.name,
            )


@rule(
    "push-kept-out",
    why="Cloud Run refuses it: only pushes of its own project or service perimeter are internal.",
)
def kept_out(inputs: Inputs) -> Iterator[Finding]:
    """A push from another project to a service that accepts internal requests only."""
    for deployment, subscription in pushes_of(inputs):
        projects = [part.get("project") for part in (subscription, deployment.run)]
        known = all(isinstance(project, str) for project in projects)
        ingress = deployment.run.get("ingress")
        inside = isinstance(ingress, str) and ingress != FROM_ANYWHERE
        if known and projects[0] != projects[1] and inside:
            yield Finding(
                subscription.place,
                f"{subscription.address} is in the project {projects[0]}, and "
                f"{deployment.run.address} in {projects[1]} has the ingress {ingress}.",
                "Make the subscription in the service's project (its topic may be in another), "
                'or say ingress = "all".',
                deployment.planned.task.name,
            )


@rule(
    "delivery-wrong",
    why="A worker doesn't start if one of its subscriptions pushes, and a service pulls nothing.",
)
def delivery_wrong(inputs: Inputs) -> Iterator[Finding]:
    """A subscription of a worker that pushes, or one of a service that doesn't."""
    for planned in inputs.receivers:
        for subscription in inputs.terraform.of(SUBSCRIPTION) if inputs.terraform else ():
            pushes = subscription.get("push_config")
            is_own = subscription.get("name") in planned.subscriptions
            if not is_own or pushes is UNKNOWN or bool(pushes) is not planned.is_worker:
                continue
            has = "pushes" if pushes else "doesn't push"
            kind = "a worker" if planned.is_worker else "a service"
            yield Finding(
                subscription.place,
                f"{subscription.address} {has}, and the task {planned.name!r} is {kind}.",
                f"{inputs.plan_again} Then plan with Terraform again.",
                planned.name,
            )


@rule("exactly-once-pushed", why="Pub/Sub refuses it: `terraform apply` fails.")
def exactly_once_pushed(inputs: Inputs) -> Iterator[Finding]:
    """A subscription with exactly-once delivery that pushes."""
    for deployment, subscription in pushes_of(inputs):
        if subscription.get("enable_exactly_once_delivery") and subscription.get("push_config"):
            yield Finding(
                subscription.place,
                f"{subscription.address} pushes, and has exactly-once delivery.",
                'Let a worker pull it, run_as="worker"; or leave it out, and let each message '
                "run once as a job, with idempotent=True.",
                deployment.planned.name,
            )


RULES = (expires, unread, path_wrong, kept_out, delivery_wrong, exactly_once_pushed)
