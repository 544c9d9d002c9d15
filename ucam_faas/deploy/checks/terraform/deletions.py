"""The deletions in Terraform's plan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Any

from ucam_faas.deploy.checks.changes import KINDS_OF_TASKS, Change, Kind, Retries, shorter
from ucam_faas.deploy.checks.job_stores import stores_in
from ucam_faas.deploy.checks.terraform.deployments import (
    POOL,
    RUNS,
    SERVICE,
    SUBSCRIPTION,
    TOPIC,
    environ_of,
    full_name,
    seconds,
    targets,
)
from ucam_faas.deploy.checks.terraform.grants import INVOKER, TOKEN, short
from ucam_faas.deploy.checks.terraform.identity import moves_of
from ucam_faas.deploy.checks.terraform.resources import (
    UNKNOWN,
    Resource,
    ResourceChange,
    TerraformPlan,
)
from ucam_faas.tasks.topics import OWN_DEAD_LETTERS

_KINDS: dict[str, Kind] = {
    **{RUNS[run_as]: kind for run_as, kind in KINDS_OF_TASKS.items()},
    TOPIC: "topic",
}
_TAINTED = "replace_because_tainted"
_CAUSES = {"enable_message_ordering": "ordering", "location": "region"}
"""Our names of attributes."""


def changes_of(plan: TerraformPlan) -> list[Change]:
    """Return the deletions of everything that holds or carries messages, and the left stores."""
    moves, services = moves_of(plan), _services(plan.changes)
    pools = list(_before(plan.changes, POOL))
    dead_letter_topics = {
        full_name(subscription, "dead_letter_policy", "dead_letter_topic")
        for subscription in _before(plan.changes, SUBSCRIPTION)
    } - {None}
    changes = []
    for change in plan.changes:
        before = change.before
        if before is None or not change.is_deleted:
            continue
        if before.type == SUBSCRIPTION:
            kind = _kind_of(before, dead_letter_topics)
        elif before.type in _KINDS:
            kind = _KINDS[before.type]
        else:
            continue
        owner = _owner_of(before, services, pools)
        changes.append(_deletion(change, before, kind, moves, owner=owner))
    return [*changes, *_lost_grants(plan, moves, services), *_left_stores(plan)]


def _owner_of(
    resource: Resource, services: Sequence[ResourceChange], pools: Sequence[Resource]
) -> str | None:
    """Return the name of the task that something belongs to."""
    if resource.type in RUNS.values():
        return _target(resource)
    service = _service_of(resource, services) or _pool_of(resource, pools)
    if service is not None:
        return _target(service)
    topic = str(short(resource.get("topic" if resource.type == SUBSCRIPTION else "name")))
    tasks = {_target(change.before) for change in services if change.before}
    owner = topic.removesuffix(OWN_DEAD_LETTERS)
    return owner if owner != topic and owner in tasks else None


def _kind_of(subscription: Resource, dead_letter_topics: Set[Any]) -> Kind:
    if subscription.get("cloud_storage_config"):
        return "archive"
    is_pushed = bool(subscription.get("push_config"))
    # By the module's name for it: a topic may outlive the tasks that put dead letters into it.
    has_letters = (
        subscription.name == "dead_letter" or full_name(subscription, "topic") in dead_letter_topics
    )
    return "dead letters" if has_letters and not is_pushed else "subscription"


def _deletion(
    change: ResourceChange,
    before: Resource,
    kind: Kind,
    moves: Mapping[str, str],
    *,
    owner: str | None,
    name: str | None = None,
    retries: Retries | None = None,
) -> Change:
    topic, project = before.get("topic"), before.get("project")
    return Change(
        kind=kind,
        name=name or str(short(before.get("name"))),
        place=before.place,
        replaced="create" in change.actions,
        causes=tuple(_CAUSES.get(cause, cause) for cause in change.causes),
        project=project,
        topic=_shortened(topic, project) if before.type == SUBSCRIPTION else None,
        owner=owner,
        protected=before.get("deletion_protection") is True
        or before.get("deletion_policy") == "PREVENT",
        tainted=change.reason == _TAINTED,
        address=before.address,
        moves_to=moves.get(before.address, ""),
        retries=retries,
    )


def _shortened(topic: Any, project: Any) -> Any:
    """Return the name of a topic: short, if it is in this project."""
    return str(topic).removeprefix(f"projects/{project}/topics/")


def _before(changes: Iterable[ResourceChange], *types: str) -> Iterator[Resource]:
    return (change.before for change in changes if change.before and change.before.type in types)


def _services(changes: Iterable[ResourceChange]) -> Sequence[ResourceChange]:
    return [change for change in changes if change.before and change.before.type == SERVICE]


def _target(service: Resource) -> str:
    """Return the name of the task that a resource runs; failing that, its own."""
    names = targets(service)
    return names[0] if len(names) == 1 else str(service.get("name"))


def _service_of(subscription: Resource, services: Iterable[ResourceChange]) -> Resource | None:
    """Return the service that a subscription pushes to now."""
    endpoint = str(subscription.get("push_config", "push_endpoint"))
    for change in services:
        uri = change.before and change.before.get("uri")
        if isinstance(uri, str) and uri and endpoint.startswith(uri):
            return change.before
    return None


def _pool_of(subscription: Resource, pools: Iterable[Resource]) -> Resource | None:
    """Return the worker pool that pulls from a subscription: that of its module."""
    in_module = [pool for pool in pools if pool.module == subscription.module]
    return in_module[0] if len(in_module) == 1 else None


def _lost_grants(
    plan: TerraformPlan, moves: Mapping[str, str], services: Sequence[ResourceChange]
) -> Iterator[Change]:
    """Yield a deleted grant of each subscription that stays, if pushes need it."""
    for change in plan.changes:
        subscription = change.before
        if subscription is None or subscription.type != SUBSCRIPTION or change.is_deleted:
            continue
        if change.after and not change.after.get("push_config"):
            continue  # a worker pulls from now on
        service = _service_of(subscription, services)
        retries = shorter(*map(_retries, filter(None, (subscription, change.after))))
        if service is None or retries is None:
            continue
        for grant in plan.changes:
            if grant.before is service and grant.reason == _TAINTED:
                continue  # a deletion of the service, which `untaint` undoes
            if grant.before and grant.is_deleted and _carries(grant.before, subscription, service):
                name, owner = str(service.get("name")), _target(service)
                yield _deletion(
                    grant,
                    grant.before,
                    "push grant",
                    moves,
                    owner=owner,
                    name=name,
                    retries=retries,
                )
                break


def _left_stores(plan: TerraformPlan) -> Iterator[Change]:
    """Yield the stores of jobs that a task uses now, and none after the apply."""
    kept = {store for run in plan.of(*RUNS.values()) for store in stores_in(environ_of(run))}
    unsure = {
        name
        for run in plan.of(*RUNS.values())
        for name, value in environ_of(run).items()
        if value is UNKNOWN
    }
    left: dict[tuple[str, Kind, str], Resource] = {}
    for run in _before(plan.changes, *RUNS.values()):
        left |= dict.fromkeys(stores_in(environ_of(run)), run)
    for store in left.keys() - kept:
        variable, kind, name = store
        if variable not in unsure:
            yield Change(kind=kind, name=name, place=left[store].place)


def _carries(grant: Resource, subscription: Resource, service: Resource) -> bool:
    """Return True if a push of the subscription needs the grant, or is lost with the service."""
    account = subscription.get("push_config", "oidc_token", "service_account_email")
    if grant.type == SERVICE:
        return grant is service
    if grant.type == f"{SERVICE}_iam_member":
        member = str(grant.get("member")).rpartition(":")[2]
        on = short(grant.get("name")) == service.get("name")
        return on and grant.get("role") in INVOKER and member == account
    if grant.type == "google_service_account_iam_member":
        return short(grant.get("service_account_id")) == account and grant.get("role") in TOKEN
    return False


def _retries(subscription: Resource) -> Retries | None:
    """Return the retries of its messages; None: they never become dead letters."""
    attempts = subscription.get("dead_letter_policy", "max_delivery_attempts")
    if not isinstance(attempts, int):
        return None
    topic = subscription.get("dead_letter_policy", "dead_letter_topic")
    least, most = (
        seconds(subscription.get("retry_policy", f"{name}_backoff")) or 0
        for name in ("minimum", "maximum")
    )
    return Retries(
        subscription=str(subscription.get("name")),
        dead_letter_topic=_shortened(topic, subscription.get("project")),
        least_seconds=least,
        most_seconds=most,
        attempts=attempts,
    )
