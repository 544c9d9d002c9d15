"""The facts about a delivery when its execution begins. Without OpenTelemetry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ucam_faas.events.deliveries import Delivery
from ucam_faas.tasks.lanes import DEFAULT_LANE
from ucam_faas.tasks.task import Task


@dataclass(frozen=True, slots=True)
class Arrival:
    """The facts about a delivery when its execution begins.

    Args:
        lane: of the task.
        job: the id of its job, if it has one.
        wake: the attributes of the message that woke the job.
        batch: the deliveries of a batch.
        waited_seconds: since the delivery arrived.
        ages_seconds: since the messages were published.
    """

    task: Task
    delivery: Delivery
    lane: str = DEFAULT_LANE
    job: str | None = None
    wake: Mapping[str, str] | None = None
    batch: Sequence[Delivery] = ()
    waited_seconds: float = 0.0
    ages_seconds: Sequence[float] = ()
