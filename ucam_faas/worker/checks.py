"""The subscriptions of a worker at its start: made on a laptop, and none of them may push."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ucam_faas.config import Settings
from ucam_faas.exceptions import ConfigurationError, PubsubError
from ucam_faas.logs.problems import log_problem
from ucam_faas.tasks.cloud_names import Naming
from ucam_faas.tasks.needs import full_topic, needs_of
from ucam_faas.tasks.subscriptions import dead_letter_topics, subscriptions_of
from ucam_faas.tasks.task import Task
from ucam_faas.tasks.topics import keeper_of
from ucam_faas.worker import protos
from ucam_faas.worker.connection import Connection, RpcError, code_of
from ucam_faas.worker.sources import Source

CALL_SECONDS = 20.0


async def declare(
    connection: Connection, tasks: Sequence[Task], settings: Settings, project: str
) -> None:
    """Make the topics and subscriptions of tasks that are missing on an emulator.

    Raises:
        ConfigurationError: the emulator doesn't answer.
    """
    for task in tasks:
        needs = Naming.of(settings).needs(needs_of(task, settings))
        subscriptions = subscriptions_of(needs, needs.lanes)
        read = [subscription.topic for subscription in subscriptions.values()]
        for topic in [*read, *sorted(dead_letter_topics(needs))]:
            name = full_topic(topic, project)
            await _make(connection.create_topic, protos.Topic(name=name))
        wanted = [each.resource(name, project) for name, each in subscriptions.items()]
        for topic in dead_letter_topics(needs):
            name = keeper_of(topic.rpartition("/")[2])
            wanted.append(
                {
                    "name": f"projects/{project}/subscriptions/{name}",
                    "topic": full_topic(topic, project),
                }
            )
        for subscription in wanted:
            request = protos.ParseDict(subscription, protos.Subscription())
            await _make(connection.create_subscription, request)


async def check(
    connection: Connection, sources: Sequence[Source], *, has_jobs: bool
) -> list[Source]:
    """Refuse subscriptions that can't be pulled, and return the sources to pull.

    Args:
        has_jobs: there is a store. Without one, a deployment has no inbox for a task that no other
            one sends to.

    Raises:
        ConfigurationError: one is missing, or pushes.
    """
    able = list(sources)
    for source in sources:
        request = protos.GetSubscriptionRequest(subscription=source.subscription)
        try:
            subscription = await connection.get_subscription(request, timeout=CALL_SECONDS)
        except RpcError as error:
            if code_of(error) == "NOT_FOUND" and source.is_inbox and not has_jobs:
                able.remove(source)
                continue
            if code_of(error) != "PERMISSION_DENIED":
                raise _not_there(source, error) from error
            log_problem("ucam_faas_subscription_not_checked", subscription=source.subscription)
            continue
        endpoint = subscription.push_config.push_endpoint
        if endpoint:
            raise ConfigurationError(
                f"The subscription {source.subscription} of the task {source.task.name!r} pushes "
                f"to {endpoint}; expected a subscription without a push endpoint, which a worker "
                'can pull. Write run_as="worker" on the task, and deploy it. On a laptop, '
                "`ucam-faas dev` has made it: run the worker against an emulator of its own "
                "(`ucam-faas emulator`)."
            )
    return able


def _not_there(source: Source, error: Any) -> ConfigurationError:
    code = code_of(error)
    if code == "NOT_FOUND":
        trigger = source.task.trigger
        is_existing = trigger and trigger.subscription and not source.is_inbox
        maker = "Its owner" if is_existing else "Terraform"
        how = "" if is_existing else " from the plan (`ucam-faas plan`)"
        return ConfigurationError(
            f"The subscription {source.subscription} of the task {source.task.name!r} doesn't "
            f"exist. {maker} makes it{how}; on an emulator, --auto-declare does."
        )
    return ConfigurationError(
        f"Pub/Sub doesn't say how {source.subscription} delivers: {code}: {error.details()}"
    )


async def _make(call: Any, request: Any) -> None:
    try:
        await call(request, timeout=CALL_SECONDS)
    except RpcError as error:
        code = code_of(error)
        if code == "ALREADY_EXISTS":
            return
        problem = f"{code}: {error.details()}"
        if code == "UNAVAILABLE":
            raise PubsubError(
                f"No Pub/Sub answers at PUBSUB_EMULATOR_HOST ({problem}). Start one with "
                "`ucam-faas emulator`; the variable is HOST:PORT, such as 127.0.0.1:8085."
            ) from error
        raise ConfigurationError(f"The emulator doesn't make {request.name}: {problem}") from error
