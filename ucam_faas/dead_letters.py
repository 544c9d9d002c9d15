"""Putting a message on its dead-letter topic before its delivery is acknowledged.

Attribute names of the source are Google's ("Dead-letter topics"), so that what reads dead letters
need not know who wrote them.
"""

from __future__ import annotations

from ucam_faas import reports
from ucam_faas.envelopes import Envelope
from ucam_faas.exceptions import EnvelopeError
from ucam_faas.limits import MAX_ATTRIBUTE_VALUE_BYTES, MAX_ATTRIBUTES
from ucam_faas.outcomes import DeadLetter, DeadLettered, Outcome, answer, name
from ucam_faas.pubsub import SUBSCRIPTION_PATH, MessagePublishedData
from ucam_faas.runtime import Runtime
from ucam_faas.task import Task

REASON_ATTRIBUTE = "ucam_faas_reason"
TASK_ATTRIBUTE = "ucam_faas_task"


def topic_for(task: Task, outcome: Outcome, runtime: Runtime) -> str | None:
    """Return the topic that this outcome sends a message to, if any."""
    wanted = isinstance(outcome, DeadLetter) or answer(outcome).permanent
    if not wanted or runtime.publisher is None:
        return None
    return runtime.dead_letter_topic(task)


def settle(
    task: Task, outcome: Outcome, envelope: Envelope, runtime: Runtime, *, elapsed_seconds: float
) -> Outcome:
    """Publish the dead letter that an outcome asks for.

    Publishing has what is left of the task's own timeout, but at least 1 and at most 10 seconds.

    Returns:
        DeadLettered when the message is on the topic; otherwise the outcome as it was, which is
        no acknowledgement: nothing is lost.
    """
    topic = topic_for(task, outcome, runtime)
    if topic is None or runtime.publisher is None:
        return outcome
    try:
        published = envelope.published()
    except EnvelopeError:
        return outcome  # there is no message that could be kept
    message, reason = published.message, outcome.reason or name(outcome)
    attributes = _attributes(task, reason, published)
    timeout = task.policy.timeout
    left = timeout.total_seconds() - elapsed_seconds if timeout is not None else 10.0
    try:
        runtime.publisher.publish(
            topic,
            message.data,
            attributes,
            ordering_key=message.ordering_key,
            timeout_seconds=min(max(left, 1.0), 10.0),
        )
    except Exception as error:  # whatever a publisher raises: not published
        reports.log_problem("ucam_faas_dead_letter_failed", task=task.name, error=error)
        return outcome
    return DeadLettered(reason)


def _attributes(task: Task, reason: str, published: MessagePublishedData) -> dict[str, str]:
    """Return the message's own attributes, and as many of ours as the limit leaves room for."""
    message = published.message
    # Pub/Sub refuses keys that start with goog from publishers; its clients added these.
    kept = {k: _cut(v) for k, v in message.attributes.items() if not k.lower().startswith("goog")}
    added = {REASON_ATTRIBUTE: _cut(reason), TASK_ATTRIBUTE: task.name}
    subscription = SUBSCRIPTION_PATH.fullmatch(published.subscription)
    if subscription:
        added["CloudPubSubDeadLetterSourceSubscription"] = subscription["subscription"]
        added["CloudPubSubDeadLetterSourceSubscriptionProject"] = subscription["project"]
    if published.delivery_attempt is not None:
        added["CloudPubSubDeadLetterSourceDeliveryCount"] = str(published.delivery_attempt)
    if message.publish_time is not None:
        time = message.publish_time.isoformat()
        added["CloudPubSubDeadLetterSourceTopicPublishTime"] = time
    for key, value in added.items():
        if key in kept or len(kept) < MAX_ATTRIBUTES:
            kept[key] = value
    return kept


def _cut(text: str) -> str:
    return text.encode(errors="replace")[:MAX_ATTRIBUTE_VALUE_BYTES].decode(errors="ignore")
