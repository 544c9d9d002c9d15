"""Create the topics, subscriptions and jobs that tasks need, in the embedded Pub/Sub.

Repeated after each change of the code: existing resources that match stay as they are, with
their messages; resources made here that no task needs any more are deleted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from ucam_faas.dev.topic_schemas import TopicSchemas
from ucam_faas.emulator.api import protos
from ucam_faas.emulator.core.queues import Queue
from ucam_faas.emulator.emulator import Emulator
from ucam_faas.emulator.errors import RpcError
from ucam_faas.emulator.scheduler import api as scheduler_api
from ucam_faas.gcp.limits import MAX_RETENTION_SECONDS
from ucam_faas.tasks.needs import TaskNeeds, full_topic, job_id
from ucam_faas.tasks.subscriptions import dead_letter_topics, subscriptions_of

LOCATION = "local"
LABEL = "made-by"
OURS = "ucam-faas-dev"
_IMMUTABLE = ("topic", "filter", "enable_message_ordering")
_MUTABLE = (
    "push_config",
    "ack_deadline_seconds",
    "retry_policy",
    "dead_letter_policy",
    "expiration_policy",
    "message_retention_duration",
)
DEAD_LETTERS_KEPT = timedelta(seconds=MAX_RETENTION_SECONDS)
"""As long as the Terraform module keeps them."""


class Provisioning:
    """Keeps an emulator in step with the tasks.

    Args:
        emulator: where the resources are.
        project: of the resources.
    """

    def __init__(self, emulator: Emulator, project: str) -> None:
        self._emulator = emulator
        self._project = project

    def apply(
        self,
        plans: Sequence[TaskNeeds],
        url: str,
        push: dict[str, str],
        *,
        existing_topics: Sequence[str] = (),
        schemas: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
        whole: bool = True,
        down: Collection[str] = (),
    ) -> list[str]:
        """Create the resources that the tasks need, and return a sentence on each other change.

        Args:
            plans: the tasks.
            url: where they are served; none: only topics and jobs are made.
            push: audience and service account of the token that pushes carry; empty: none.
            existing_topics: topics that the cloud has without the tasks.
            schemas: type, definition and encoding of the schemas of topics, by their names.
            whole: there are no other tasks; False: the resources of other tasks stay.
            down: names of the tasks that cannot run now: their messages wait.

        Raises:
            RpcError: the emulator refuses something.
        """
        # One of another owner is replaced by one that is named after the task.
        plans = [replace(plan, subscription=None) for plan in plans]
        pushed = [plan for plan in plans if plan.topic is not None]
        for plan in pushed:
            read = [each.topic for each in subscriptions_of(plan, plan.lanes).values()]
            for topic in (*read, *dead_letter_topics(plan)):
                self._topic(full_topic(topic, self._project))
        for topic in existing_topics:
            self._topic(full_topic(topic, self._project))
        changes = TopicSchemas(self._emulator, self._project).apply(schemas, whole=whole)
        wanted: list[Any] = []
        if url:
            for plan in pushed:
                wanted += self._of_task(plan, "" if plan.name in down else url, push)
            wanted += self._of_dead_letters(pushed)
        changes += [self._subscription(proto) for proto in wanted]
        names = {proto.name for proto in wanted}
        retired: dict[str, list[str]] = {"deleted": [], "kept": []}
        for name, subscription in list(self._emulator.resources.subscriptions.items()):
            if subscription.proto.labels.get(LABEL) != OURS or name in names:
                continue
            if fate := self._retire(name, subscription, whole=whole):
                retired[fate].append(_short(name))
        changes += [_retirement(fate, names, whole=whole) for fate, names in retired.items()]
        self._jobs(plans, whole=whole)
        self._emulator.hub.changed()
        return list(filter(None, changes))

    def next_runs(self, plans: Sequence[TaskNeeds]) -> dict[str, float | None]:
        """Return when each schedule runs next, in epoch seconds; None: it is paused."""
        jobs = self._jobs_by_name()
        times: dict[str, float | None] = {}
        for plan in plans:
            for number in range(len(plan.schedules)):
                job = jobs.get(self.job_name(plan, number))
                if job is not None:
                    times[job_id(plan, number)] = job.schedule_time
        return times

    def dead_letters(self, plans: Sequence[TaskNeeds]) -> dict[str, int]:
        """Return how many dead letters wait, by subscription; those without any are left out."""
        counts: dict[str, int] = {}
        for proto in self._of_dead_letters([plan for plan in plans if plan.topic is not None]):
            there = self._emulator.resources.subscriptions.get(proto.name)
            if there is not None and there.queue is not None:
                counts[_short(proto.name)] = self._count(there.queue)
        return {name: count for name, count in counts.items() if count}

    def _count(self, queue: Queue) -> int:
        """Count the messages that aren't acknowledged, of a subscription without a filter."""
        taken = len(queue.unacknowledged())
        new = self._emulator.engine.storage.read(queue.log.number, queue.cursor)
        return taken + sum(1 for _ in new)

    def _has_messages(self, subscription: Any) -> bool:
        """Return True if a subscription has unacknowledged messages, also some that it filters."""
        queue = subscription.queue
        return queue is not None and self._count(queue) > 0

    def _topic(self, name: str) -> None:
        if name not in self._emulator.resources.topics:
            self._emulator.publisher.create_topic(protos.Topic(name=name))

    def _of_task(self, plan: TaskNeeds, url: str, push: dict[str, str]) -> Iterator[Any]:
        """Yield the subscriptions of a task; without an URL, they keep their messages."""
        for name, wanted in subscriptions_of(plan, plan.lanes).items():
            resource = {**wanted.resource(name, self._project), "labels": {LABEL: OURS}}
            proto = protos.ParseDict(resource, protos.Subscription())
            if url:
                proto.push_config.push_endpoint = f"{url}{wanted.path}"
                if not wanted.wrapped:
                    proto.push_config.no_wrapper.write_metadata = True
            if url and push:
                proto.push_config.oidc_token.audience = push["audience"]
                proto.push_config.oidc_token.service_account_email = push["email"]
            yield proto

    def _of_dead_letters(self, plans: Sequence[TaskNeeds]) -> list[Any]:
        """Return the subscriptions that keep dead letters, where no task takes them all."""
        read = {full_topic(plan.topic or "", self._project) for plan in plans if not plan.filter}
        names = {plan.name for plan in plans}
        subscriptions: dict[str, Any] = {}
        for plan in plans:
            for topic in sorted(dead_letter_topics(plan)):
                full = full_topic(topic, self._project)
                if full not in read and full not in subscriptions:
                    name = _short(full)
                    while name in names:
                        name += "-kept"
                    names.add(name)
                    subscriptions[full] = protos.Subscription(
                        name=f"projects/{self._project}/subscriptions/{name}",
                        topic=full,
                        labels={LABEL: OURS},
                        message_retention_duration=DEAD_LETTERS_KEPT,
                    )
        return list(subscriptions.values())

    def _subscription(self, wanted: Any) -> str:
        """Create or update a subscription; return a sentence if it had to be recreated."""
        name, change = wanted.name, ""
        wanted.expiration_policy.SetInParent()  # never: some schedules run once a year
        subscription = self._emulator.resources.subscriptions.get(name)
        if subscription is not None and any(
            getattr(subscription.proto, field) != getattr(wanted, field) for field in _IMMUTABLE
        ):
            lost = "; its messages are lost" * self._has_messages(subscription)
            self._emulator.resources.drop_subscription(name)
            change = f"recreated the subscription {_short(name)}: "
            change += f"its topic, filter or order has changed{lost}"
            subscription = None
        if subscription is None:
            self._emulator.subscriber.create_subscription(wanted)
        else:
            update = protos.SUBSCRIBER["UpdateSubscription"][0](subscription=wanted)
            update.update_mask.paths.extend(_MUTABLE)
            self._emulator.subscriber.update_subscription(update)
        return change

    def _retire(self, name: str, subscription: Any, *, whole: bool) -> str:
        """Delete an unused subscription, or stop its pushes if it has messages.

        Returns:
            `deleted`, `kept`; nothing if it had been kept before.
        """
        if whole and not self._has_messages(subscription):
            self._emulator.resources.drop_subscription(name)
            return "deleted"
        if not subscription.proto.push_config.push_endpoint:
            return ""
        request = protos.SUBSCRIBER["ModifyPushConfig"][0](subscription=name)
        self._emulator.subscriber.modify_push_config(request)
        return "kept"

    def _jobs(self, plans: Sequence[TaskNeeds], *, whole: bool) -> None:
        wanted: set[str] = set()
        for plan in plans:
            for number, schedule in enumerate(plan.schedules):
                name = self.job_name(plan, number)
                wanted.add(name)
                self._job(
                    {
                        "name": name,
                        "description": OURS,
                        "schedule": schedule.expression,
                        "timeZone": schedule.time_zone,
                        "pubsubTarget": {
                            "topicName": full_topic(plan.topic or "", self._project),
                            "data": schedule.data,
                            "attributes": schedule.attributes,
                        },
                    },
                    paused=schedule.paused,
                )
        for job in self._jobs_by_name().values():
            if whole and job.description == OURS and job.name not in wanted:
                self._emulator.schedules.scheduler.delete(job.name)

    def _job(self, wanted: dict[str, Any], *, paused: bool) -> None:
        """Create or update a job; a job that a user paused or resumed stays so."""
        api, methods = self._emulator.scheduler, scheduler_api.methods()
        name = wanted["name"]
        parent = name.rpartition("/jobs/")[0]
        create, update = methods["CreateJob"][0], methods["UpdateJob"][0]
        try:
            api.create_job(protos.ParseDict({"parent": parent, "job": wanted}, create()))
        except RpcError as error:
            if error.code != "ALREADY_EXISTS":
                raise
            api.update_job(protos.ParseDict({"job": wanted}, update()))
            return
        if paused:
            self._emulator.schedules.scheduler.pause(name, self._emulator.hub.wall_time())

    def job_name(self, plan: TaskNeeds, number: int) -> str:
        """Return the full name of the job of a task's schedule; 0 is the first."""
        return f"projects/{self._project}/locations/{LOCATION}/jobs/{job_id(plan, number)}"

    def _jobs_by_name(self) -> dict[str, Any]:
        return {job.name: job for job in self._emulator.schedules.scheduler.list()}


def _retirement(fate: str, names: Sequence[str], *, whole: bool) -> str:
    """Return a sentence on subscriptions that no task uses; nothing for none.

    >>> _retirement("kept", ["a", "b"], whole=True)
    'kept the subscriptions a, b and their messages: no task needs them any more'
    """
    if not names:
        return ""
    noun, them, their = "subscription", "it", "its"
    if len(names) > 1:
        noun, them, their = "subscriptions", "them", "their"
    messages = f" and {their} messages" if fate == "kept" else ""
    why = f"no task needs {them} any more" if whole else f"--target leaves {them} out"
    return f"{fate} the {noun} {', '.join(names)}{messages}: {why}"


def _short(name: str) -> str:
    return name.rpartition("/")[2]
