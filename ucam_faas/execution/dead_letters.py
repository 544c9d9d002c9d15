"""Putting a message on its dead-letter topic before its delivery is acknowledged.

It does that at once for a message that can never be handled, and at the last attempt for one that
keeps failing. The attributes that name its source are Google's ("Dead-letter
topics"), so that readers of dead letters don't have to know who published them.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from ucam_faas.events.messages import SUBSCRIPTION_PATH, MessagePublishedData
from ucam_faas.execution.decisions import fault
from ucam_faas.execution.execution import Decision, Execution
from ucam_faas.execution.hops import HOPS_ATTRIBUTE, is_over
from ucam_faas.execution.replays import is_uncounted
from ucam_faas.execution.runtime import Runtime
from ucam_faas.gcp.limits import MAX_ATTRIBUTE_VALUE_BYTES, MAX_ATTRIBUTES
from ucam_faas.logs.problems import log_problem
from ucam_faas.outcomes import DeadLetter, DeadLettered, Done, Outcome, Refused, answer, name
from ucam_faas.tasks.policies import MIN_ATTEMPTS
from ucam_faas.tasks.task import Task
from ucam_faas.tasks.triggers import is_googles

REASON_ATTRIBUTE = "ucam_faas_reason"
TASK_ATTRIBUTE = "ucam_faas_task"
MESSAGE_ID_ATTRIBUTE = "ucam_faas_message_id"
FINGERPRINT_ATTRIBUTE = "ucam_faas_fingerprint"
ERROR_ATTRIBUTE = "ucam_faas_error"
FIRST_ATTEMPT_ATTRIBUTE = "ucam_faas_first_attempt"
LAST_ATTEMPT_ATTRIBUTE = "ucam_faas_last_attempt"
ADDED_ATTRIBUTES = (
    *(REASON_ATTRIBUTE, TASK_ATTRIBUTE, MESSAGE_ID_ATTRIBUTE, FINGERPRINT_ATTRIBUTE),
    *(ERROR_ATTRIBUTE, FIRST_ATTEMPT_ATTRIBUTE, LAST_ATTEMPT_ATTRIBUTE),
)
"""The package's own attributes of a dead letter."""
GOOGLE_PREFIX = "CloudPubSubDeadLetter"
"""Begins Google's."""
SUBSCRIPTION_ATTRIBUTE = f"{GOOGLE_PREFIX}SourceSubscription"


def may_publish(execution: Execution, outcome: Outcome) -> bool:
    """Return True if `settle` may publish; it reads no body, so it may be asked on an event loop.

    Where the number of the attempt is in a body that hasn't been read yet, `settle` decides.
    """
    task, runtime, published = execution.task, execution.runtime, execution.delivery.published
    if isinstance(outcome, Done) or runtime.publisher is None or answer(outcome).acknowledges:
        return False
    if not _is_permanent(outcome) and published and not _is_last(task, published, runtime):
        return False
    return runtime.dead_letter_topic(task) is not None


def settle(execution: Execution, decision: Decision) -> Outcome:
    """Publish the message if it can't succeed, or won't be delivered again.

    Publishing has the time that is left of the task's own timeout, but at least 1 and at most 10
    seconds.

    Returns:
        DeadLettered when the message is on the topic; otherwise the decision's outcome, which is
        no acknowledgement: nothing is lost. After the last attempt Pub/Sub then forwards it.
    """
    outcome = decision.outcome
    if not may_publish(execution, outcome):
        if not isinstance(outcome, Done):
            note_attempt(execution, outcome)
        return outcome
    try:
        published = execution.delivery.with_message().published
    except Refused:
        return outcome  # there is no message that could be kept
    assert published is not None, "it was just read"
    reason = _reason(execution, decision, published)
    if reason is None:
        note_attempt(execution, outcome)
        return outcome
    attributes = _attributes(execution, decision, reason, published)
    try:
        _publish(execution, published, attributes)
    except Exception as problem:  # whatever a publisher raises: not published
        log_problem("ucam_faas_dead_letter_failed", task=execution.task.name, error=problem)
        return outcome
    execution.runtime.attempts.forget(published)
    return DeadLettered(reason)


def _reason(
    execution: Execution, decision: Decision, published: MessagePublishedData
) -> str | None:
    """Return why the message is dead; None: it will be delivered again."""
    outcome, task, runtime = decision.outcome, execution.task, execution.runtime
    reason = outcome.reason or name(outcome)
    if _is_permanent(outcome):
        return reason
    if not _is_last(task, published, runtime):
        return None
    if outcome.reason is None and decision.error is not None:
        reason = type(decision.error).__qualname__
    return f"{reason} (attempt {_number(published, runtime)}, the last)"


def _publish(
    execution: Execution, published: MessagePublishedData, attributes: dict[str, str]
) -> None:
    """Publish the message in the time that is left of the task's timeout: 1 to 10 seconds."""
    task, runtime, message = execution.task, execution.runtime, published.message
    topic, publisher, timeout = (
        runtime.dead_letter_topic(task),
        runtime.publisher,
        task.policy.timeout,
    )
    assert topic is not None, "asked by `may_publish`"
    assert publisher is not None, "asked by `may_publish`"
    if is_over(attributes, runtime.settings.max_hops):
        del attributes[HOPS_ATTRIBUTE]  # or its readers would refuse it, too
    left = 10.0
    if timeout is not None:
        left = timeout.total_seconds() - execution.elapsed_seconds()
    publisher.publish(
        topic,
        message.data,
        attributes,
        ordering_key=message.ordering_key,
        timeout_seconds=min(max(left, 1.0), 10.0),
    )


def refuse_used_up(execution: Execution) -> None:
    """Refuse a replay that has had all its attempts, and no dead letter: they timed out, say.

    Raises:
        DeadLetter: it is one.
    """
    published, runtime, task = execution.delivery.published, execution.runtime, execution.task
    if published is None or not is_uncounted(published) or runtime.publisher is None:
        return
    limit, total = _limit(task, published, runtime), runtime.attempts.of(published).total
    if limit is not None and total >= limit and runtime.dead_letter_topic(task) is not None:
        raise DeadLetter(f"{total} attempts failed, without time to publish a dead letter")


def _is_permanent(outcome: Outcome) -> bool:
    """Return True if no further delivery of the message can succeed."""
    return isinstance(outcome, DeadLetter) or answer(outcome).permanent


def _is_last(task: Task, published: MessagePublishedData, runtime: Runtime) -> bool:
    """Return True if the message shouldn't, or won't, be delivered again.

    Pub/Sub counts to the subscription's `max_delivery_attempts`, which isn't part of a push. The
    deployment sets UCAM_FAAS_MAX_ATTEMPTS to it; otherwise the task's RetryPolicy counts. If the
    subscription's limit is lower, Pub/Sub forwards the message before. Pub/Sub can't count to less
    than 5, so there the RetryPolicy always counts. The attempts of a replay in an inbox are counted
    by this process.
    """
    limit, attempt = _limit(task, published, runtime), _number(published, runtime)
    if limit is None:
        return False
    if task.trigger is None and not is_uncounted(published):
        return False  # an HTTP task
    return attempt is not None and attempt >= limit


def _number(published: MessagePublishedData, runtime: Runtime) -> int | None:
    """Return the number of the attempt; None: the subscription has no dead-letter policy."""
    if is_uncounted(published):
        return runtime.attempts.of(published).total + 1
    return published.delivery_attempt


def _limit(task: Task, published: MessagePublishedData, runtime: Runtime) -> int | None:
    if task.trigger is not None and task.trigger.subscription and not is_uncounted(published):
        return runtime.settings.max_attempts  # its owner's
    limit = task.policy.retry.max_attempts
    if limit is None or limit >= MIN_ATTEMPTS:
        limit = runtime.settings.max_attempts or limit
    return limit


def note_attempt(execution: Execution, outcome: Outcome) -> None:
    """Remember a failed attempt for the message's dead letter, if there may be one later."""
    runtime, published = execution.runtime, execution.delivery.published
    if published is None or runtime.publisher is None or answer(outcome).acknowledges:
        return
    if published.delivery_attempt == 1 or is_uncounted(published):
        runtime.attempts.note(published, _began(execution))


def _attributes(
    execution: Execution, decision: Decision, reason: str, published: MessagePublishedData
) -> dict[str, str]:
    """Return the message's own attributes, and the package's as far as the limit leaves room."""
    message, task = published.message, execution.task
    kept = {key: _cut(text) for key, text in message.attributes.items() if _is_own(key)}
    added = {REASON_ATTRIBUTE: _cut(reason), TASK_ATTRIBUTE: task.name}
    if message.message_id:
        added[MESSAGE_ID_ATTRIBUTE] = message.message_id
    cause = fault(task, decision)
    added[FINGERPRINT_ATTRIBUTE] = cause.fingerprint
    subscription = SUBSCRIPTION_PATH.fullmatch(published.subscription)
    if subscription:
        added[SUBSCRIPTION_ATTRIBUTE] = subscription["subscription"]
        added[f"{GOOGLE_PREFIX}SourceSubscriptionProject"] = subscription["project"]
    number = _number(published, execution.runtime)
    if number is not None:
        added[f"{GOOGLE_PREFIX}SourceDeliveryCount"] = str(number)
    if message.publish_time is not None:
        added[f"{GOOGLE_PREFIX}SourceTopicPublishTime"] = message.publish_time.isoformat()
    added[ERROR_ATTRIBUTE] = _cut(cause.summary)
    began = _began(execution)
    added[LAST_ATTEMPT_ATTRIBUTE] = _time(began)
    first = began if number == 1 else execution.runtime.attempts.of(published).first
    if first is not None:
        added[FIRST_ATTEMPT_ATTRIBUTE] = _time(first)
    for key, value in added.items():
        if key in kept or len(kept) < MAX_ATTRIBUTES:
            kept[key] = value
    return kept


def _is_own(key: str) -> bool:
    """Return True for an attribute that the message has from its publisher.

    A script may have sent a dead letter again as it was.
    """
    return not (key in ADDED_ATTRIBUTES or key.startswith(GOOGLE_PREFIX) or is_googles(key))


def _began(execution: Execution) -> datetime:
    return execution.runtime.clock.now() - timedelta(seconds=execution.elapsed_seconds())


def _time(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds")


def _cut(text: str) -> str:
    return text.encode(errors="replace")[:MAX_ATTRIBUTE_VALUE_BYTES].decode(errors="ignore")
