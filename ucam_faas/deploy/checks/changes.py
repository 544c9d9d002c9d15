"""A change that deletes a part of the deployment, whether Terraform's plan or two plans show it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ucam_faas.deploy.findings import Place
from ucam_faas.gcp.limits import backoff_seconds
from ucam_faas.tasks.policies import MAX_ATTEMPTS

Kind = Literal[
    "subscription",
    "dead letters",
    "archive",
    "topic",
    "service",
    "worker pool",
    "Cloud Run job",
    "push grant",
    "job store",
    "payload store",
]
KINDS_OF_TASKS: Mapping[str, Kind] = {
    "service": "service",
    "worker": "worker pool",
    "cloud-run-job": "Cloud Run job",
}
"""The kinds of resources that run tasks, by `run_as`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """The deliveries of a subscription to a service that refuses them all.

    Args:
        subscription: its short name.
        dead_letter_topic: short, or full.
        least_seconds: the first wait.
        most_seconds: the longest wait.
        attempts: deliveries of a message, before it becomes a dead letter.
    """

    subscription: str
    dead_letter_topic: str
    least_seconds: float
    most_seconds: float
    attempts: int

    def seconds(self, attempts: int | None = None) -> float:
        """Return the time from a message's first delivery to its last.

        >>> retries = Retries(
        ...     subscription="s",
        ...     dead_letter_topic="t",
        ...     least_seconds=10,
        ...     most_seconds=600,
        ...     attempts=5,
        ... )
        >>> retries.seconds(), retries.seconds(8)
        (150.0, 1230.0)
        """
        return sum(
            backoff_seconds(self.least_seconds, self.most_seconds, failures)
            for failures in range(1, attempts or self.attempts)
        )

    def attempts_for(self, seconds: float) -> int:
        """Return the attempts that take so many seconds: at most Pub/Sub's limit."""
        numbers = range(self.attempts, MAX_ATTEMPTS)
        return next((n for n in numbers if self.seconds(n) >= seconds), MAX_ATTEMPTS)


def shorter(*several: Retries | None) -> Retries | None:
    """Return the retries that are used up first: an apply may change them before or after a grant.

    None: messages never become dead letters.
    """
    finite = [retries for retries in several if retries]
    return min(finite, key=Retries.seconds) if finite else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A deletion.

    Args:
        kind: "dead letters" is a subscription that keeps them, "archive" one that writes them to a
            bucket, and "push grant" a role without which Pub/Sub can't push to a service. A store
            stays, but no task uses it any more.
        name: the short name in Google Cloud; of a grant, its service's.
        place: where to look for the reason.
        replaced: Terraform makes a new one of the same name.
        causes: the attributes for which it is replaced.
        project: None: it isn't known.
        topic: of a subscription: short, or full if it is in another project.
        owner: the name of its task in the deployed code; None: it belongs to no single task.
        protected: Terraform refuses to delete it.
        tainted: Terraform replaces it only because an earlier apply didn't finish.
        address: in Terraform; empty: it isn't known.
        moves_to: the address at which Terraform makes the same thing again.
        retries: of a grant: those of a subscription that needs it.
    """

    kind: Kind
    name: str
    place: Place
    replaced: bool = False
    causes: tuple[str, ...] = field(default_factory=tuple)
    project: str | None = None
    topic: str | None = None
    owner: str | None = None
    protected: bool = False
    tainted: bool = False
    address: str = ""
    moves_to: str = ""
    retries: Retries | None = None

    @property
    def rule(self) -> str:
        """The rule that finds it."""
        if self.kind in KINDS_OF_TASKS.values():
            return "protected-deleted"
        if self.kind in ("job store", "payload store"):
            return "job-store-left"
        kind = "subscription" if self.kind == "archive" else self.kind
        return f"{kind.replace(' ', '-')}-deleted"
