"""The ports that pages and tools see: each is None where there is no such thing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ucam_faas.actions.jobs import Jobs
from ucam_faas.actions.publishing import Destination
from ucam_faas.actions.queues import Queue
from ucam_faas.actions.schedules import Schedules
from ucam_faas.backends.letter_work import LetterWork
from ucam_faas.clock import Clock, SystemClock
from ucam_faas.dead_letters.workbench import Workbench
from ucam_faas.history.reader import History
from ucam_faas.tasks.needs import TaskNeeds

if TYPE_CHECKING:
    from ucam_faas.dead_letters.parser import Parser


@dataclass(frozen=True, slots=True)
class KnownTask:
    """A task, as pages and tools show it.

    Args:
        needs: its triggers, lanes and policies.
        schema: of its payload, as `tasks.payload_schemas.form_schema` returns it; None: it takes
            any bytes.
        topic_schema: the fields of its topic's `TopicSchema`, as far as they are known.
    """

    needs: TaskNeeds
    schema: dict[str, Any] | None = None
    topic_schema: dict[str, str] | None = None

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> KnownTask:
        """Return the task of an entry of `local_state.read_tasks`."""
        needs = TaskNeeds.from_json(entry["needs"])
        return cls(needs, entry["schema"], entry.get("topic_schema"))


NO_CODE = (
    "The tasks' code isn't known here. Start this command with it, as in `--source main.py`, to "
    "see the tasks and the forms of their payloads."
)


def no_tasks() -> Sequence[KnownTask]:
    """Return no tasks: they aren't known."""
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Backends:
    """Everything that pages read, and that actions are done with.

    Args:
        place: a folder or a project, for people: whose tasks these are.
        notice: a sentence at the top of each page, such as that `ucam-faas dev` still starts.
        history: of messages, runs and their log lines.
        jobs: of the store; `actions.lanes` and `actions.jobs` act on them.
        workbench: of dead letters.
        letter_work: mirrors dead letters, and runs plans of the workbench.
        schedules: of the local cloud, or of Google.
        publisher: publishes messages.
        queues: returns the subscriptions, with the messages that wait.
        tasks: returns the tasks now.
        parser: finds a payload's errors, and sends jobs by the rules of the tasks' code; without
            it, no jobs can be sent.
        read_only: no action is possible; buttons aren't shown.
        hides_payloads: keys, types and lengths are shown instead, until a person asks for one.
        renew_seconds: between two fetches of an open page that has no history to follow.
        clock: for the time that an action waits for its result.
        log: takes an audited action: who, what, and to which message or job.
    """

    place: str = ""
    notice: str = ""
    history: History | None = None
    jobs: Jobs | None = None
    workbench: Workbench | None = None
    letter_work: LetterWork = field(default_factory=LetterWork)
    schedules: Schedules | None = None
    publisher: Destination | None = None
    queues: Callable[[], Sequence[Queue]] | None = None
    tasks: Callable[[], Sequence[KnownTask]] = no_tasks
    parser: Parser | None = None
    read_only: bool = False
    hides_payloads: bool = False
    renew_seconds: float = 5.0
    clock: Clock = field(default_factory=SystemClock)
    log: Callable[[str, str, str], None] = lambda who, what, about: None

    @property
    def work(self) -> Any:
        """The backend that tells how much work waits; None: there is none."""
        return self.jobs or self.queues

    @property
    def task_list(self) -> Callable[[], Sequence[KnownTask]] | None:
        """Return the function that returns the tasks; None: they are never known."""
        return None if self.tasks is no_tasks else self.tasks

    @property
    def mirrors(self) -> bool:
        """Return True if dead letters can be copied from their Pub/Sub, or failed jobs."""
        bench = self.workbench
        return bench is not None and not (bench.source is None and bench.jobs is None)

    def has(self, port: str) -> bool:
        """Return True if a port is there; of no port, always."""
        return not port or getattr(self, port) is not None


Connect = Callable[[], Backends]
"""Returns the backends of a request: `ucam-faas dev` may have started, or ended, since the last."""
