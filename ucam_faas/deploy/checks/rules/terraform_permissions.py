"""Rules of permissions in Terraform's plan: each account has the roles it needs, and no more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ucam_faas.deploy.checks.inputs import Inputs, configured
from ucam_faas.deploy.checks.rule import rule
from ucam_faas.deploy.checks.terraform.deployments import (
    SCHEDULE,
    SUBSCRIPTION,
    TOPIC,
    Deployment,
    deployments,
    full_name,
    pushes_of,
)
from ucam_faas.deploy.checks.terraform.grants import (
    ABOVE,
    ACT_AS,
    ALL,
    CLOUD_SQL,
    DATABASE,
    ENQUEUER,
    INVOKER,
    OBJECTS,
    PUBLISHER,
    READ_OBJECTS,
    SECRETS,
    SUBSCRIBER,
    TOKEN,
    grants_of,
    is_agent,
    short,
)
from ucam_faas.deploy.checks.terraform.resources import UNKNOWN, Resource, TerraformPlan, email_of
from ucam_faas.deploy.findings import Finding
from ucam_faas.deploy.job_places import JobPlaces
from ucam_faas.deploy.roles import kind_of, parse
from ucam_faas.deploy.telemetry import ROLES as TELEMETRY_ROLES, TO_GOOGLE
from ucam_faas.deploy.terraform_variables import PlannedTask
from ucam_faas.tasks.mounts import volume_of
from ucam_faas.tasks.task import Kind

_AGENT = "service-PROJECT_NUMBER@gcp-sa-pubsub.iam.gserviceaccount.com"
_DEFAULT_ACCOUNTS = ("-compute@developer.gserviceaccount.com", "@appspot.gserviceaccount.com")
_AUDIENCE = ("push_config", "oidc_token", "audience")
_OIDC = ("push_config", "oidc_token", "service_account_email")


def _grant(resource: Resource, who: str, role: str, on: str, task: str | None = None) -> Finding:
    return Finding(
        resource.place,
        f"{resource.address}: {who} lacks {role} on {on}.",
        f"Grant {role} on {on}, and on nothing more, to {who}.",
        task,
    )


@rule("push-refused", why="Cloud Run answers every push with 403, and the task never runs.")
def push_refused(inputs: Inputs) -> Iterator[Finding]:
    """A push without a token, for another audience, or as an account that may not call it."""
    for deployment, subscription, account in _pushes(inputs):
        name, task = deployment.run.get("name"), deployment.planned.task.name
        if account is None:
            yield Finding(
                subscription.place,
                f"{subscription.address} pushes without a token.",
                "Give it an oidc_token, of an account that may call the service.",
                task,
            )
        elif not _is_audience(deployment, subscription):
            yield Finding(
                subscription.place,
                f"{subscription.address} has tokens for the audience "
                f"{subscription.get(*_AUDIENCE)}, which isn't the service's address.",
                "Set the audience to the service's uri, or add it to its custom_audiences.",
                task,
            )
        elif not _given(inputs, "cloud_run_v2_service", name, INVOKER, account):
            yield _grant(subscription, _who(account), INVOKER[0], f"the service {name}", task)


def _is_audience(deployment: Deployment, subscription: Resource) -> bool:
    """Return True if Cloud Run takes, or may take, a token's audience; the default is fine."""
    audience, address = subscription.get(*_AUDIENCE), deployment.run.get("uri")
    if not isinstance(audience, str) or not isinstance(address, str) or not audience or not address:
        return True
    name = str(deployment.run.get("name"))
    own = audience.startswith((address, f"https://{name}-")) and ".run.app" in audience
    customs = deployment.run.get("custom_audiences") or ()
    return audience.startswith(address) or own or customs is UNKNOWN or audience in customs


@rule("push-unsigned", why="Pub/Sub cannot sign its requests as that account, and sends none.")
def push_unsigned(inputs: Inputs) -> Iterator[Finding]:
    """A push as an account for which Pub/Sub may not sign tokens."""
    for deployment, subscription, account in _pushes(inputs):
        if account is not None and not _agent_has(inputs, "service_account", account, TOKEN):
            on = f"the account {_who(account)}"
            yield _grant(subscription, _AGENT, TOKEN[1], on, deployment.planned.task.name)


def _pushes(inputs: Inputs) -> Iterator[tuple[Deployment, Resource, Any]]:
    for deployment, subscription in pushes_of(inputs):
        assert inputs.terraform is not None
        if subscription.get("push_config"):
            yield deployment, subscription, inputs.terraform.account(subscription, *_OIDC)


def _given(inputs: Inputs, kind: str, on: Any, roles: tuple[str, ...], member: Any) -> bool:
    assert inputs.terraform is not None
    return any(grant.gives(kind, on, roles, member) for grant in grants_of(inputs.terraform))


def _agent_has(inputs: Inputs, kind: str, on: Any, roles: tuple[str, ...]) -> bool:
    assert inputs.terraform is not None
    return any(
        any(map(is_agent, grant.members)) and grant.gives(kind, on, roles, UNKNOWN)
        for grant in grants_of(inputs.terraform)
    )


def _who(account: Any) -> str:
    return "its account" if account is UNKNOWN else str(account)


@rule("one-account-for-both", why="A caller of the service then has all the roles of the task.")
def one_account(inputs: Inputs) -> Iterator[Finding]:
    """A task that runs as the account that pushes its messages."""
    for deployment, subscription, account in _pushes(inputs):
        run_time = _run_time(inputs, deployment)
        if account is not None and account is not UNKNOWN and account == run_time:
            yield Finding(
                subscription.place,
                f"{subscription.address} pushes as {account}, the account of the task.",
                "Push as an account of its own, which may only call the service.",
                deployment.planned.task.name,
            )


def _run_time(inputs: Inputs, deployment: Deployment) -> Any:
    assert inputs.terraform is not None
    path = (*deployment.template, "service_account")
    if deployment.run.given(*path, default=None) is None:
        return None
    return inputs.terraform.account(deployment.run, *path)


@rule("default-account", why="It may change almost everything in the project.")
def default_account(inputs: Inputs) -> Iterator[Finding]:
    """A task that runs as the project's default account."""
    for planned in inputs.planned:
        if str(planned.merged["service_account"]).endswith(_DEFAULT_ACCOUNTS):
            yield Finding(
                configured(planned, "service_account"),
                f"The task {planned.name!r} runs as the project's default account.",
                "Leave service_account out: Terraform makes an account for the task.",
                planned.name,
            )
    for deployment in deployments(inputs):
        account = _run_time(inputs, deployment)
        if account is None or str(account).endswith(_DEFAULT_ACCOUNTS):
            yield Finding(
                deployment.run.place,
                f"{deployment.run.address} runs as the project's default account.",
                "Give it a service_account of its own.",
                deployment.planned.task.name,
            )


@rule(
    "dead-letters-refused",
    why="Pub/Sub does not count attempts, and never stops delivering.",
)
def dead_letters_refused(inputs: Inputs) -> Iterator[Finding]:
    """Dead letters that Pub/Sub may not publish, or not remove from the subscription."""
    if inputs.terraform is None:
        return
    made = {full_name(topic, "name") for topic in inputs.terraform.of(TOPIC)}
    for subscription in inputs.terraform.of(SUBSCRIPTION):
        topic = full_name(subscription, "dead_letter_policy", "dead_letter_topic")
        if topic is None:
            continue
        if topic in made and not _agent_has(inputs, "pubsub_topic", topic, PUBLISHER):
            yield _grant(subscription, _AGENT, PUBLISHER[0], f"the topic {topic}")
        name = subscription.get("name")
        if not _agent_has(inputs, "pubsub_subscription", name, SUBSCRIBER):
            yield _grant(subscription, _AGENT, SUBSCRIBER[0], f"the subscription {name}")


@rule("pull-refused", why="The worker ends when it starts, or gets no messages.")
def pull_refused(inputs: Inputs) -> Iterator[Finding]:
    """A subscription from which a worker's account may not pull."""
    for deployment, account in _own_accounts(inputs):
        for subscription in deployment.subscriptions if deployment.planned.is_worker else ():
            name, task = subscription.get("name"), deployment.planned.task.name
            if not _given(inputs, "pubsub_subscription", name, SUBSCRIBER, account):
                on = f"the subscription {name}"
                yield _grant(deployment.run, _who(account), SUBSCRIBER[0], on, task)


@rule("secret-refused", why="Cloud Run cannot read the secret, and does not start the container.")
def secret_refused(inputs: Inputs) -> Iterator[Finding]:
    """A secret that the task's account may not read."""
    for deployment, account in _own_accounts(inputs):
        for variable, value in {**deployment.environ, **deployment.mounts}.items():
            kind = "secret_manager_secret"
            if isinstance(value, tuple) and not _given(inputs, kind, value[0], SECRETS, account):
                on = f"the secret {value[0]} of {variable}"
                yield _grant(
                    deployment.run, _who(account), SECRETS[0], on, deployment.planned.task.name
                )


@rule("publish-refused", why="Publishing fails at run time.")
def publish_refused(inputs: Inputs) -> Iterator[Finding]:
    """A topic of `publishes_to` on which the task's account may not publish."""
    for deployment, account in _own_accounts(inputs):
        for topic in deployment.planned.publishes_to:
            if not _given(inputs, "pubsub_topic", topic, PUBLISHER, account):
                on, task = f"the topic {topic}", deployment.planned.task.name
                yield _grant(deployment.run, _who(account), PUBLISHER[0], on, task)


def _own_accounts(inputs: Inputs) -> Iterator[tuple[Deployment, Any]]:
    """Yield tasks whose accounts this plan makes: other accounts may have grants elsewhere."""
    accounts = inputs.terraform.of("google_service_account") if inputs.terraform else ()
    made = {email_of(account) for account in accounts}
    for deployment in deployments(inputs):
        account = _run_time(inputs, deployment)
        if account is UNKNOWN or account in made:
            yield deployment, account


@rule(
    "jobs-refused",
    why="Sending fails, jobs aren't woken at their time, or their data can't be read.",
)
def jobs_refused(inputs: Inputs) -> Iterator[Finding]:
    """A database, a queue or a bucket of jobs that the task's account may not use."""
    for deployment, account in _own_accounts(inputs):
        for kind, on, roles, who in _needs_of_jobs(deployment.planned.jobs, account):
            if not _given(inputs, kind, on, roles, who):
                what, task = f"the {kind.replace('_', ' ')} {on}", deployment.planned.task.name
                yield _grant(deployment.run, _who(who), roles[0], what, task)


def _needs_of_jobs(
    places: JobPlaces, account: Any
) -> Iterator[tuple[str, Any, tuple[str, ...], Any]]:
    """Yield kinds and names of resources, with the roles on them that an account needs."""
    if places.firestore:
        yield "firestore_database", places.firestore, DATABASE, account
    if places.queue:
        yield "cloud_tasks_queue", places.queue, ENQUEUER, account
        yield "service_account", places.account or account, ACT_AS, account
    if places.account:
        for inbox in places.inboxes:
            yield "pubsub_topic", inbox, PUBLISHER, places.account
    if places.payloads:
        yield "storage_bucket", places.payloads.name, OBJECTS, account


@rule(
    "volume-refused",
    why="Cloud Run cannot mount the bucket, and does not start the container; connections to Cloud "
    "SQL fail.",
)
def volume_refused(inputs: Inputs) -> Iterator[Finding]:
    """A bucket or a Cloud SQL instance that the task mounts, and its account may not use."""
    for deployment, account in _own_accounts(inputs):
        for path, text in deployment.planned.merged["volumes"].items():
            volume = volume_of(text, path)
            roles = READ_OBJECTS if volume.read_only else OBJECTS
            place = ("storage_bucket", volume.bucket)
            if volume.bucket and not _given(inputs, *place, roles, account):
                on, task = f"the bucket {volume.bucket} at {path}", deployment.planned.name
                yield _grant(deployment.run, _who(account), roles[0], on, task)
        for connection in deployment.planned.merged["cloud_sql"]:
            project, _, name = connection.rsplit(":", 2)
            places = (("cloud_sql_instance", name), ("project", project))
            if not any(_given(inputs, *place, CLOUD_SQL, account) for place in places):
                on, task = f"the Cloud SQL instance {connection}", deployment.planned.name
                yield _grant(deployment.run, _who(account), CLOUD_SQL[0], on, task)


@rule("role-refused", why="The task's calls are refused at run time.")
def role_refused(inputs: Inputs) -> Iterator[Finding]:
    """A role of the configuration, or of the collector, that the task's account lacks."""
    for deployment, account in _own_accounts(inputs):
        for role, on, others in _roles_of(inputs, deployment.planned):
            if not _given(inputs, kind_of(on) or "", on, (role, *others), account):
                task = deployment.planned.name
                yield _grant(deployment.run, _who(account), role, on, task)


def _roles_of(inputs: Inputs, planned: PlannedTask) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield the roles of `roles` and of the collector: role, resource, and roles that suffice."""
    for role, on in map(parse, planned.merged["roles"]):
        yield role, on, ()
    if inputs.plan and planned.merged["telemetry"].get("collector") == TO_GOOGLE:
        for role, others in TELEMETRY_ROLES.items():
            yield role, f"projects/{inputs.plan.project}", others


@rule("schedule-refused", why="Cloud Scheduler is answered 403, and the Cloud Run job never runs.")
def schedule_refused(inputs: Inputs) -> Iterator[Finding]:
    """A schedule whose account may not run the Cloud Run job."""
    for deployment in deployments(inputs):
        assert inputs.terraform is not None
        wanted = deployment.planned.schedules
        for schedule in inputs.terraform.of(SCHEDULE):
            if not deployment.planned.is_cloud_run_job or schedule.get("name") not in wanted:
                continue
            path = ("http_target", "oauth_token", "service_account_email")
            account, name = inputs.terraform.account(schedule, *path), deployment.run.get("name")
            if not _given(inputs, "cloud_run_v2_job", name, INVOKER, account or "-"):
                who, on = (
                    _who(account or "a caller without an account"),
                    f"the Cloud Run job {name}",
                )
                yield _grant(schedule, who, INVOKER[0], on, deployment.planned.task.name)


@rule(
    "granted-above",
    why="The role covers everything in it, not only the resources that the task needs.",
)
def granted_above(inputs: Inputs) -> Iterator[Finding]:
    """A role of a task's account, or of Pub/Sub's, on a whole project, folder or organization."""
    if inputs.terraform is None:
        return
    ours = _accounts(inputs, inputs.terraform)
    for grant in grants_of(inputs.terraform):
        for member in grant.members:
            known = member is not UNKNOWN and (member in ours or is_agent(member))
            if grant.kind in ABOVE and known and not grant.is_lowest:
                yield Finding(
                    grant.resource.place,
                    f"{grant.resource.address} gives {member} {grant.role} on the {grant.kind}.",
                    "Grant it on the one resource that needs it.",
                )


def _accounts(inputs: Inputs, plan: TerraformPlan) -> set[Any]:
    """Return the accounts that run, call and schedule the tasks: of their modules, or shared."""
    modules = {deployment.run.module for deployment in deployments(inputs)}
    modules |= {module.rpartition(".module.")[0] for module in modules} - {""}
    accounts = plan.of("google_service_account")
    made = {email_of(account) for account in accounts if account.module in modules}
    return made | {_run_time(inputs, deployment) for deployment in deployments(inputs)}


@rule("granted-to-all", why="Anyone in the world has it.")
def granted_to_all(inputs: Inputs) -> Iterator[Finding]:
    """A role for allUsers on a resource of a task; but HTTP tasks may be open to all."""
    if inputs.terraform is None:
        return
    ours = set(_of_tasks(inputs))
    for grant in grants_of(inputs.terraform):
        if (grant.kind, grant.on) in ours and not {*ALL}.isdisjoint(grant.members):
            yield Finding(
                grant.resource.place,
                f"{grant.resource.address} gives anyone {grant.role}.",
                "Grant it to those who need it.",
            )


def _of_tasks(inputs: Inputs) -> Iterator[tuple[str, Any]]:
    """Yield the kinds and names of the tasks' resources, as grants name them."""
    for deployment in deployments(inputs):
        if deployment.planned.task.kind is not Kind.HTTP:
            yield deployment.run.type.removeprefix("google_"), deployment.run.get("name")
        for subscription in deployment.subscriptions:
            yield "pubsub_subscription", subscription.get("name")
            for path in (("topic",), ("dead_letter_policy", "dead_letter_topic")):
                yield "pubsub_topic", short(subscription.get(*path))
        for value in deployment.environ.values():
            if isinstance(value, tuple):
                yield "secret_manager_secret", short(value[0])
        if bucket := deployment.planned.jobs.payloads:
            yield "storage_bucket", bucket.name


RULES = (
    push_refused,
    push_unsigned,
    one_account,
    default_account,
    dead_letters_refused,
    pull_refused,
    secret_refused,
    publish_refused,
    jobs_refused,
    volume_refused,
    role_refused,
    schedule_refused,
    granted_above,
    granted_to_all,
)
