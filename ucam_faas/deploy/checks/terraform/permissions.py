"""Rules of Terraform's plan: everybody may do what they have to, and nobody more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ucam_faas.deploy.checks.rule import rule
from ucam_faas.deploy.checks.subject import Subject
from ucam_faas.deploy.checks.terraform.deployed import (
    SCHEDULE,
    SUBSCRIPTION,
    TOPIC,
    Deployed,
    deployed,
    full_name,
)
from ucam_faas.deploy.checks.terraform.grants import (
    ABOVE,
    ALL,
    INVOKER,
    PUBLISHER,
    SECRETS,
    SUBSCRIBER,
    TOKEN,
    grants_of,
    is_agent,
    short,
)
from ucam_faas.deploy.checks.terraform.plan import UNKNOWN, Resource, TerraformPlan, email_of
from ucam_faas.deploy.findings import Fault
from ucam_faas.tasks.task import Kind

_AGENT = "service-PROJECT_NUMBER@gcp-sa-pubsub.iam.gserviceaccount.com"
_OIDC = ("push_config", "oidc_token", "service_account_email")


def _grant(resource: Resource, who: str, role: str, on: str, task: str | None = None) -> Fault:
    return Fault(
        resource.place,
        f"{resource.address}: {who} has not {role} on {on}.",
        f"Grant {role} on {on}, and on nothing more, to {who}.",
        task,
    )


@rule("push-refused", why="Cloud Run answers every push with 403, and the task never runs.")
def push_refused(subject: Subject) -> Iterator[Fault]:
    """A push without a token, or by an account that may not call the service."""
    for found, subscription, account in _pushes(subject):
        name, task = found.run.get("name"), found.one.task.name
        if account is None:
            yield Fault(
                subscription.place,
                f"{subscription.address} pushes without a token.",
                "Give it an oidc_token, of an account that may call the service.",
                task,
            )
        elif not _given(subject, "cloud_run_v2_service", name, INVOKER, account):
            yield _grant(subscription, _who(account), INVOKER[0], f"the service {name}", task)


@rule("push-unsigned", why="Pub/Sub cannot sign its calls as that account, and sends none.")
def push_unsigned(subject: Subject) -> Iterator[Fault]:
    """An account of pushes as which Pub/Sub may not sign."""
    for found, subscription, account in _pushes(subject):
        if account is not None and not _agent_has(subject, "service_account", account, TOKEN):
            on = f"the account {_who(account)}"
            yield _grant(subscription, _AGENT, TOKEN[1], on, found.one.task.name)


def _pushes(subject: Subject) -> Iterator[tuple[Deployed, Resource, Any]]:
    for found in deployed(subject):
        for subscription in found.subscriptions:
            assert subject.terraform is not None
            if subscription.get("push_config"):
                account = subject.terraform.account(subscription, *_OIDC)
                yield found, subscription, account


def _given(subject: Subject, kind: str, on: Any, roles: tuple[str, ...], member: Any) -> bool:
    assert subject.terraform is not None
    return any(one.gives(kind, on, roles, member) for one in grants_of(subject.terraform))


def _agent_has(subject: Subject, kind: str, on: Any, roles: tuple[str, ...]) -> bool:
    assert subject.terraform is not None
    return any(
        any(map(is_agent, one.members)) and one.gives(kind, on, roles, UNKNOWN)
        for one in grants_of(subject.terraform)
    )


def _who(account: Any) -> str:
    return "its account" if account is UNKNOWN else str(account)


@rule("one-account-for-both", why="What may call the service may do all that the task may.")
def one_account(subject: Subject) -> Iterator[Fault]:
    """A task that runs as the account as which messages are pushed to it."""
    for found, subscription, account in _pushes(subject):
        run_time = _run_time(subject, found)
        if account is not None and account is not UNKNOWN and account == run_time:
            yield Fault(
                subscription.place,
                f"{subscription.address} pushes as {account}, as which the task runs.",
                "Push as an account of its own, which may only call the service.",
                found.one.task.name,
            )


def _run_time(subject: Subject, found: Deployed) -> Any:
    assert subject.terraform is not None
    path = (*found.template, "service_account")
    if found.run.given(*path, default=None) is None:
        return None
    return subject.terraform.account(found.run, *path)


@rule("default-account", why="It may change almost everything in the project.")
def default_account(subject: Subject) -> Iterator[Fault]:
    """A task that runs as the project's default account."""
    for found in deployed(subject):
        account = _run_time(subject, found)
        if account is None or str(account).endswith("-compute@developer.gserviceaccount.com"):
            yield Fault(
                found.run.place,
                f"{found.run.address} runs as the project's default account.",
                "Give it a service_account of its own.",
                found.one.task.name,
            )


@rule("dead-letters-refused", why="Attempts are not counted: the message is delivered for ever.")
def dead_letters_refused(subject: Subject) -> Iterator[Fault]:
    """Dead letters that Pub/Sub may not publish, or not take off the subscription."""
    if subject.terraform is None:
        return
    made = {full_name(topic, "name") for topic in subject.terraform.of(TOPIC)}
    for found in subject.terraform.of(SUBSCRIPTION):
        topic = full_name(found, "dead_letter_policy", "dead_letter_topic")
        if topic is None:
            continue
        if topic in made and not _agent_has(subject, "pubsub_topic", topic, PUBLISHER):
            yield _grant(found, _AGENT, PUBLISHER[0], f"the topic {topic}")
        name = found.get("name")
        if not _agent_has(subject, "pubsub_subscription", name, SUBSCRIBER):
            yield _grant(found, _AGENT, SUBSCRIBER[0], f"the subscription {name}")


@rule("secret-refused", why="Cloud Run cannot read the secret, and does not start the container.")
def secret_refused(subject: Subject) -> Iterator[Fault]:
    """A secret that the task's account may not read."""
    for found, account in _own_accounts(subject):
        for variable, value in found.environ.items():
            kind = "secret_manager_secret"
            if isinstance(value, tuple) and not _given(subject, kind, value[0], SECRETS, account):
                on = f"the secret {value[0]} of {variable}"
                yield _grant(found.run, _who(account), SECRETS[0], on, found.one.task.name)


@rule("publish-refused", why="Publishing fails, when the task is running.")
def publish_refused(subject: Subject) -> Iterator[Fault]:
    """A topic of `publishes_to` on which the task's account may not publish."""
    for found, account in _own_accounts(subject):
        for topic in subject.variables(found.one)["function"]["publishes_to"]:
            if not _given(subject, "pubsub_topic", topic, PUBLISHER, account):
                on, task = f"the topic {topic}", found.one.task.name
                yield _grant(found.run, _who(account), PUBLISHER[0], on, task)


def _own_accounts(subject: Subject) -> Iterator[tuple[Deployed, Any]]:
    """Yield tasks with accounts that are made here: those of others may have grants elsewhere."""
    accounts = subject.terraform.of("google_service_account") if subject.terraform else ()
    made = {email_of(one) for one in accounts}
    for found in deployed(subject):
        account = _run_time(subject, found)
        if account is UNKNOWN or account in made:
            yield found, account


@rule("schedule-refused", why="Cloud Scheduler is answered 403, and the job never runs.")
def schedule_refused(subject: Subject) -> Iterator[Fault]:
    """A schedule whose account may not run the job."""
    for found in deployed(subject):
        assert subject.terraform is not None
        wanted = subject.variables(found.one)["triggers"]["cron_schedules"]
        for schedule in subject.terraform.of(SCHEDULE):
            if found.one.task.run_as != "job" or schedule.get("name") not in wanted:
                continue
            path = ("http_target", "oauth_token", "service_account_email")
            account, name = subject.terraform.account(schedule, *path), found.run.get("name")
            if not _given(subject, "cloud_run_v2_job", name, INVOKER, account or "-"):
                who, on = _who(account or "nobody"), f"the job {name}"
                yield _grant(schedule, who, INVOKER[0], on, found.one.task.name)


@rule("granted-above", why="The role holds for everything in it, not for what the task needs.")
def granted_above(subject: Subject) -> Iterator[Fault]:
    """A role of a task's account, or of Pub/Sub's, on a whole project, folder or organization."""
    if subject.terraform is None:
        return
    ours = _accounts(subject, subject.terraform)
    for grant in grants_of(subject.terraform):
        for member in grant.members:
            known = member is not UNKNOWN and (member in ours or is_agent(member))
            if grant.kind in ABOVE and known:
                yield Fault(
                    grant.resource.place,
                    f"{grant.resource.address} gives {member} {grant.role} on the {grant.kind}.",
                    "Grant it on the one resource that needs it.",
                )


def _accounts(subject: Subject, plan: TerraformPlan) -> set[Any]:
    """Return the accounts of the tasks: as which they run, are called and are scheduled."""
    modules = {found.run.module for found in deployed(subject)}
    made = {email_of(one) for one in plan.of("google_service_account") if one.module in modules}
    return made | {_run_time(subject, found) for found in deployed(subject)}


@rule("granted-to-all", why="Anybody in the world may do it.")
def granted_to_all(subject: Subject) -> Iterator[Fault]:
    """A role for everybody on what is a task's; but HTTP tasks may be open to all."""
    if subject.terraform is None:
        return
    ours = set(_of_tasks(subject))
    for grant in grants_of(subject.terraform):
        if (grant.kind, grant.on) in ours and not {*ALL}.isdisjoint(grant.members):
            yield Fault(
                grant.resource.place,
                f"{grant.resource.address} gives everybody {grant.role}.",
                "Grant it to those who need it.",
            )


def _of_tasks(subject: Subject) -> Iterator[tuple[str, Any]]:
    """Yield the kinds and names of what belongs to tasks, as grants name them."""
    for found in deployed(subject):
        if found.one.task.kind is not Kind.HTTP:
            yield found.run.type.removeprefix("google_"), found.run.get("name")
        for subscription in found.subscriptions:
            yield "pubsub_subscription", subscription.get("name")
            for path in (("topic",), ("dead_letter_policy", "dead_letter_topic")):
                yield "pubsub_topic", short(subscription.get(*path))
        for value in found.environ.values():
            if isinstance(value, tuple):
                yield "secret_manager_secret", short(value[0])


RULES = (
    push_refused,
    push_unsigned,
    one_account,
    default_account,
    dead_letters_refused,
    secret_refused,
    publish_refused,
    schedule_refused,
    granted_above,
    granted_to_all,
)
