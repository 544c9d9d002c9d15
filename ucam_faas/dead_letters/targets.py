"""Where a replay goes: to one subscriber, and never to all of a topic.

A failed job runs again. A message goes to its task's inbox; where the order of a key counts, and
where the task has no inbox, to the endpoint of its subscription: only the answer to a push says
that the next message of the key may follow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol

from ucam_faas.actions.jobs import Jobs, act
from ucam_faas.dead_letters.failed_jobs import FAILED, job_of_id
from ucam_faas.dead_letters.letters import JOB, Content, Kind, Letter
from ucam_faas.dead_letters.pushes import Pushes
from ucam_faas.dead_letters.source import Subscription
from ucam_faas.exceptions import JobError, PublishError, UCAMFAASException
from ucam_faas.jobs.states import State
from ucam_faas.net.rest import CredentialsError
from ucam_faas.publishing import Draft, Publisher
from ucam_faas.tasks.topics import inbox_named, inbox_of

SECONDS = 60.0
"""How long publishing may take."""
NOT_FOUND = 404
PASSING = (408, 429)
"""Statuses of requests that aren't at fault themselves."""
RETRIED = frozenset({State.PENDING, State.STARTED, State.PAUSED, State.SUCCESS})
"""The states of a job that has failed, and runs again or has run."""


class To(StrEnum):
    """The kinds of target."""

    INBOX = "inbox"
    """The task's own topic."""
    PUSH = "push"
    """A request to where the subscription pushes, acknowledged after its 2xx."""
    JOB = "job"
    """The failed job runs again."""


@dataclass(frozen=True, slots=True)
class Target:
    """The one receiver of a replay.

    Args:
        place: the full name of a topic; a URL; `TASK/ID` of a job.
        subscription: the full name of the one whose push it is.
        wrapped: a push carries Pub/Sub's JSON; False: the data alone.
    """

    to: To
    place: str
    subscription: str = ""
    wrapped: bool = True

    def __str__(self) -> str:
        return f"{self.to} {self.place}"


class Replay(NamedTuple):
    """A letter as it is sent again."""

    letter: Letter
    content: Content
    id: str


class Sent(NamedTuple):
    """The target has it; the id is that of the new message, or of the job."""

    id: str


class Refused(NamedTuple):
    """The target doesn't take it; `is_final`: nor will it later."""

    reason: str
    is_final: bool = False


class Unknown(NamedTuple):
    """The target didn't answer: it may have it."""

    reason: str


Result = Sent | Refused | Unknown


class NoTargetError(UCAMFAASException):
    """A letter can't be sent to its task alone; the text says why."""

    error_code = "no-receiver"


class Targets(Protocol):
    """Sends letters again."""

    def of(self, letter: Letter, to: To | None) -> Target:
        """Return the target of a letter; this makes no request.

        Args:
            letter: the one to send; its data aren't needed.
            to: the kind of target; None: the best.

        Raises:
            NoTargetError: there is none.
        """

    def look(self) -> None:
        """Learn which subscriptions there are, for `of`.

        Raises:
            SourceError: Pub/Sub refuses, or doesn't answer.
        """

    def send(self, target: Target, replays: Sequence[Replay]) -> list[Result]:
        """Send letters, and return the result of each."""


class CloudTargets:
    """Targets in a Pub/Sub, and in a job store.

    Args:
        source: has the subscriptions.
        publisher: publishes to inboxes.
        pushes: sends requests to endpoints; None: it can't.
        jobs: has the failed jobs; None: there is no store.
    """

    def __init__(
        self,
        source: Subscribed,
        publisher: Publisher,
        pushes: Pushes | None = None,
        jobs: Jobs | None = None,
    ) -> None:
        self._source = source
        self._publisher = publisher
        self._pushes = pushes
        self._jobs = jobs
        self._subscriptions: Mapping[str, Subscription] = {}

    def look(self) -> None:
        """Learn which subscriptions there are."""
        self._subscriptions = {each.name: each for each in self._source.subscriptions()}

    def of(self, letter: Letter, to: To | None) -> Target:
        """Return the target of a letter."""
        if letter.job and to in (None, To.JOB) and not letter.edited:
            return Target(To.JOB, letter.job)
        if not letter.task:
            raise NoTargetError("its task isn't known: it has no attribute ucam_faas_task")
        name = self._name(letter)
        inbox, push = self._inbox(name), self._push(letter, name)
        own = self._subscriptions.get(name)
        counts = bool(letter.key) and own is not None and own.ordered
        best = (push, inbox) if counts else (inbox, push)
        target = {None: best[0] or best[1], To.INBOX: inbox, To.PUSH: push}.get(to)
        if target is None:
            raise NoTargetError(_missing(letter, to))
        return target

    def _name(self, letter: Letter) -> str:
        """Return the name of the subscription of the letter's task, in the letter's own stage.

        Of another stage in the project it has another prefix.
        """
        inbox = inbox_named(letter.subscription)
        name = inbox.task if inbox else letter.subscription
        is_prefixed = name in self._subscriptions and name.endswith(f"-{letter.task}")
        return name if is_prefixed else letter.task

    def _inbox(self, task: str) -> Target | None:
        name = inbox_of(task)
        if name not in self._subscriptions:
            return None
        return Target(To.INBOX, f"projects/{self._source.project}/topics/{name}")

    def _push(self, letter: Letter, task: str) -> Target | None:
        for name in (task, letter.subscription):
            own = self._subscriptions.get(name)
            if own is not None and own.endpoint and self._pushes is not None:
                full = f"projects/{self._source.project}/subscriptions/{name}"
                return Target(To.PUSH, own.endpoint, full, own.wrapped)
        return None

    def send(self, target: Target, replays: Sequence[Replay]) -> list[Result]:
        """Send letters, and return the result of each."""
        if target.to is To.JOB:
            return [self._retry(replay) for replay in replays]
        if target.to is To.PUSH:
            assert self._pushes is not None, "it is the target of this object"
            return [self._pushed(self._pushes, target, replay) for replay in replays]
        drafts = [Draft(content.data, content.attributes, content.key) for _, content, _ in replays]
        try:
            ids = self._publisher.publish_many(target.place, drafts, timeout_seconds=SECONDS)
        except PublishError as error:
            if not 400 <= error.status < 500 or error.status in PASSING:
                return [Unknown(str(error)) for _ in replays]
            if len(replays) == 1 or error.status == NOT_FOUND:
                return [Refused(str(error)) for _ in replays]
            # Pub/Sub takes all or none: one of them may be too large.
            return [result for replay in replays for result in self.send(target, [replay])]
        return [Sent(id) for id in ids]

    def _pushed(self, pushes: Pushes, target: Target, replay: Replay) -> Result:
        try:
            status = pushes.push(
                target.place,
                replay.content,
                id=replay.id,
                sent=replay.letter.sent,
                subscription=target.subscription,
                wrapped=target.wrapped,
            )
        except CredentialsError as error:
            return Refused(f"{target.place} wants a token, and {error}")
        except ConnectionRefusedError:
            return Refused(f"nothing listens at {target.place}")
        except OSError as error:
            return Unknown(f"{target.place} did not answer ({type(error).__name__})")
        if 200 <= status < 300:
            return Sent(replay.id)
        return Refused(f"{target.place} answered with HTTP status {status}{_why(status)}")

    def _retry(self, replay: Replay) -> Result:
        jobs = self._jobs
        if jobs is None:
            return Refused("there is no job store")
        key = job_of_id(jobs.app, f"{JOB}{replay.letter.job}")
        try:
            row = jobs.store.get(key)
            if row is None:
                gone = "the job is gone: its retention has ended, or it was deleted"
                return Refused(gone, is_final=True)
            if row.state in RETRIED:
                return Sent(key.id)  # by the run that was ended, or by another
            if row.state not in FAILED:
                return Refused(f"the job is {row.state} now", is_final=True)
            result = act(jobs, "retry", row)
        except JobError as error:
            return Refused(str(error))
        return Sent(key.id) if result.done else Refused(result.text)


class Subscribed(Protocol):
    """Has subscriptions, such as a `Source`."""

    @property
    def project(self) -> str:
        """Their project."""

    def subscriptions(self) -> list[Subscription]:
        """Return them all."""


def _missing(letter: Letter, to: To | None) -> str:
    if to is To.JOB:
        return "it isn't a failed job" if letter.kind is Kind.MESSAGE else "it is edited"
    wanted = {To.INBOX: "no inbox", To.PUSH: "no endpoint that can be reached"}
    what = wanted.get(to, "neither an inbox nor an endpoint") if to else (
        "neither an inbox nor an endpoint"
    )  # fmt: skip
    return f"the task {letter.task} has {what} here"


def _why(status: int) -> str:
    if status in (401, 403):
        return ": it wants a token that this account can't give; the task's inbox needs none"
    return ""
