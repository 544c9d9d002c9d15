"""The metrics. No label has values that a sender can choose, or that differ in each message."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry.context import Context, set_value
from opentelemetry.metrics import Meter, MeterProvider

from ucam_faas.outcomes import DeadLettered, Outcome, name
from ucam_faas.tasks.task import Task
from ucam_faas.telemetry import attributes
from ucam_faas.telemetry.arrival import Arrival

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0)
AGES = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0, 600.0, 3600.0, 6 * 3600.0, 86400.0, 604800.0)
ATTEMPTS = (1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0)
_PLAIN = set_value("ucam_faas", True, Context())
"""A context without a span, for measurements that need no exemplar: each is a lot of the cost."""


class Metrics:
    """The instruments of one process.

    Args:
        provider: makes them.
        scope: the name of the package.
    """

    def __init__(self, provider: MeterProvider, scope: str) -> None:
        meter = provider.get_meter(scope)

        def histogram(name: str, unit: str, text: str, bounds: tuple[float, ...]) -> Any:
            return meter.create_histogram(
                name, unit, text, explicit_bucket_boundaries_advisory=list(bounds)
            )

        self.process_duration = histogram(
            "messaging.process.duration", "s", "Duration of executions of messages.", SECONDS
        )
        self.invoke_duration = histogram(
            "faas.invoke_duration", "s", "Duration of other executions.", SECONDS
        )
        self.operation_duration = histogram(
            "messaging.client.operation.duration", "s", "Duration of publishes.", SECONDS
        )
        self.age = histogram("ucam_faas.message.age", "s", "Age of messages when they start.", AGES)
        self.attempts = histogram(
            "ucam_faas.message.attempt", "{attempt}", "Attempts, by their numbers.", ATTEMPTS
        )
        self.queue_wait = histogram(
            "ucam_faas.queue.wait", "s", "Wait in the process, from arrival to start.", SECONDS
        )
        self.sent = _counter(
            meter, "messaging.client.sent.messages", "{message}", "Messages published."
        )
        self.consumed = _counter(
            meter, "messaging.client.consumed.messages", "{message}", "Messages delivered."
        )
        self.outcomes = _counter(
            meter, "ucam_faas.outcomes", "{delivery}", "Deliveries that ended, by outcome."
        )
        self.dead_letters = _counter(
            meter, "ucam_faas.dead_letters", "{message}", "Messages put on dead-letter topics."
        )
        self.abandoned_threads = _counter(
            meter, "ucam_faas.threads.abandoned", "{thread}", "Threads stuck past a deadline."
        )

    def began(self, arrival: Arrival) -> None:
        """Record the start of an execution."""
        task = {"ucam_faas.task": arrival.task.name}
        self.queue_wait.record(arrival.waited_seconds, task, _PLAIN)
        for age in arrival.ages_seconds:
            self.age.record(age, task, _PLAIN)
        for delivery in arrival.batch or (arrival.delivery,):
            if delivery.delivery_attempt is not None:
                self.attempts.record(delivery.delivery_attempt, task, _PLAIN)

    def ended(
        self,
        arrival: Arrival,
        error_type: str | None,
        outcomes: Sequence[Outcome],
        seconds: float | None,
    ) -> None:
        """Record the end of a delivery.

        Args:
            error_type: of a failure.
            outcomes: of its messages.
            seconds: of its execution; None: it had none.
        """
        task = {"ucam_faas.task": arrival.task.name}
        trigger = attributes.trigger(arrival.task, arrival.delivery, arrival.batch)
        for outcome, count in Counter(map(name, outcomes)).items():
            self.outcomes.add(count, {**task, "ucam_faas.outcome": outcome}, _PLAIN)
        if dead := sum(isinstance(outcome, DeadLettered) for outcome in outcomes):
            self.dead_letters.add(dead, task, _PLAIN)
        labels = {**task, "faas.trigger": trigger}
        if trigger == "pubsub":
            labels = {**task, **_PROCESS}
            self.consumed.add(len(arrival.batch) or 1, labels, _PLAIN)
        if seconds is not None:
            durations = self.process_duration if trigger == "pubsub" else self.invoke_duration
            durations.record(seconds, _with_error(labels, error_type))

    def sent_to(self, topic: str, count: int, error: BaseException | None, seconds: float) -> None:
        """Record a publish."""
        kind = None if error is None else type(error).__qualname__
        labels = {**_PUBLISH, "messaging.destination.name": attributes.short(topic)}
        labels = _with_error(labels, kind)
        self.sent.add(count, labels, _PLAIN)
        self.operation_duration.record(seconds, labels)

    def abandoned(self, task: Task) -> None:
        """Count a thread."""
        self.abandoned_threads.add(1, {"ucam_faas.task": task.name})


_PROCESS = {**attributes.SYSTEM, "messaging.operation.name": "process"}
_PUBLISH = {
    **attributes.SYSTEM,
    "messaging.operation.name": "publish",
    "messaging.operation.type": "send",
}


def _counter(meter: Meter, name: str, unit: str, text: str) -> Any:
    return meter.create_counter(name, unit, text)


def _with_error(labels: Mapping[str, Any], error_type: str | None) -> dict[str, Any]:
    """Return labels with the kind of a failure, if there is one."""
    return dict(labels) if error_type is None else {**labels, "error.type": error_type}
