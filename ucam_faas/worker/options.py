"""The options of a worker, and the result of its run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ucam_faas.execution.runtime import Runtime
from ucam_faas.tasks.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """See `worker.Worker`; the project is that of the subscriptions."""

    tasks: Sequence[Task]
    runtime: Runtime
    project: str
    messages_limit: int | None
    tasks_limit: int
    handle_signals: bool
    auto_declare: bool
    lease_seconds: int
    opened: Callable[[Sequence[str]], object] = lambda subscriptions: None


@dataclass(frozen=True, slots=True)
class WorkerResult:
    """The work of a worker, from its start to its end.

    Args:
        processed: messages that were run to their end, or refused.
        returned: messages that were given back: not started, or not ended within the grace.
        outcomes: how many of the processed ended how: `{"done": 3, "retry": 1}`.
        is_exhausted: it ended because too many threads are stuck: the process should end.
    """

    processed: int = 0
    returned: int = 0
    outcomes: Mapping[str, int] = field(default_factory=Counter)
    is_exhausted: bool = False
