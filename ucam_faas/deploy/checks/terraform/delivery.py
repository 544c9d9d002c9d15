"""Rules of Terraform's plan: that messages come to the task, and that none is lost."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from ucam_faas.deploy.checks.rule import rule
from ucam_faas.deploy.checks.subject import Subject
from ucam_faas.deploy.checks.terraform.deployed import (
    FROM_ANYWHERE,
    SUBSCRIPTION,
    TOPIC,
    deployed,
    full_name,
)
from ucam_faas.deploy.checks.terraform.plan import UNKNOWN, Resource
from ucam_faas.deploy.findings import Fault


@rule(
    "subscription-expires",
    why="Pub/Sub deletes it after that long without activity, and every message from then on is "
    "lost.",
)
def expires(subject: Subject) -> Iterator[Fault]:
    """A subscription of a task, or of its dead letters, that is deleted when it is not used."""
    for found in _of_tasks(subject):
        ttl = found.get("expiration_policy", "ttl")
        if found.get("expiration_policy") is UNKNOWN or ttl in (UNKNOWN, ""):
            continue
        after = f"in {ttl}" if ttl else "after 31 days, Pub/Sub's default"
        yield Fault(
            found.place,
            f"{found.address} expires {after}.",
            'Write: expiration_policy { ttl = "" }',
        )


def _of_tasks(subject: Subject) -> Iterator[Resource]:
    """Yield the subscriptions of tasks, and those that keep their dead letters."""
    pushes = [one for found in deployed(subject) for one in found.subscriptions]
    yield from pushes
    topics = {full_name(one, "dead_letter_policy", "dead_letter_topic") for one in pushes}
    for found in subject.terraform.of(SUBSCRIPTION) if subject.terraform else ():
        if full_name(found, "topic") in topics - {None, UNKNOWN} and found not in pushes:
            yield found


@rule("dead-letters-unread", why="A topic keeps nothing for those who come later: they are lost.")
def unread(subject: Subject) -> Iterator[Fault]:
    """A dead-letter topic without a subscription."""
    if subject.terraform is None:
        return
    made = {full_name(topic, "name") for topic in subject.terraform.of(TOPIC)}
    read = {full_name(found, "topic") for found in subject.terraform.of(SUBSCRIPTION)}
    for found in subject.terraform.of(SUBSCRIPTION):
        topic = full_name(found, "dead_letter_policy", "dead_letter_topic")
        if topic in made and topic is not UNKNOWN and not read & {topic, UNKNOWN}:
            yield Fault(
                found.place,
                f"{found.address} puts dead letters into {topic}, which has no subscription.",
                "Make a subscription to it, which never expires and keeps messages for 31 days.",
            )


@rule("push-path-wrong", why="Another task gets the messages, or each is answered 404.")
def path_wrong(subject: Subject) -> Iterator[Fault]:
    """A push to another path than the task's."""
    for found in deployed(subject):
        for subscription in found.subscriptions:
            endpoint = subscription.get("push_config", "push_endpoint")
            path = urlsplit(endpoint).path if isinstance(endpoint, str) else None
            if path not in (None, found.one.needs.path):
                yield Fault(
                    subscription.place,
                    f"{subscription.address} pushes to {path or '/'}; the task is served at "
                    f"{found.one.needs.path}.",
                    "Correct the path, or leave it to the plan.",
                    found.one.task.name,
                )


@rule(
    "push-kept-out",
    why="Cloud Run refuses it: only pushes of its own project or service perimeter are internal.",
)
def kept_out(subject: Subject) -> Iterator[Fault]:
    """A push from another project to a service that lets in internal requests only."""
    for found in deployed(subject):
        for subscription in found.subscriptions:
            projects = [one.get("project") for one in (subscription, found.run)]
            known = all(isinstance(project, str) for project in projects)
            ingress = found.run.get("ingress")
            inside = isinstance(ingress, str) and ingress != FROM_ANYWHERE
            if known and projects[0] != projects[1] and inside:
                yield Fault(
                    subscription.place,
                    f"{subscription.address} is in the project {projects[0]}, and "
                    f"{found.run.address} in {projects[1]} has the ingress {ingress}.",
                    "Make the subscription in the service's project (its topic may be in another), "
                    'or say ingress = "all".',
                    found.one.task.name,
                )


RULES = (expires, unread, path_wrong, kept_out)
