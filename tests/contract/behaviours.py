"""The behaviours that the suites claim: what, where Google documents it, who differs.

A case is a test function under a group's decorator; docs/fidelity.py makes a table row of each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest

TestT = TypeVar("TestT", bound=Callable[..., object])

_GUIDE = "https://cloud.google.com/pubsub/docs/"
_API = _GUIDE + "reference/rpc/google.pubsub.v1#google.pubsub.v1."
_TASKS = "https://cloud.google.com/tasks/docs/"
_TASKS_API = _TASKS + "reference/rpc/google.cloud.tasks.v2#google.cloud.tasks.v2."

PAGES = {
    "Access control": _GUIDE + "access-control",
    "Authenticate push subscriptions": _GUIDE + "authenticate-push-subscriptions",
    "BigQuery subscriptions": _GUIDE + "bigquery",
    "Bigtable subscriptions": _GUIDE + "bigtable",
    "Cloud Storage subscriptions": _GUIDE + "cloudstorage",
    "Dead-letter topics": _GUIDE + "dead-letter-topics",
    "Detach subscriptions": _GUIDE + "detach-subscriptions",
    "Error codes": _GUIDE + "reference/error-codes",
    "Exactly-once delivery": _GUIDE + "exactly-once-delivery",
    "Filter messages": _GUIDE + "subscription-message-filter",
    "Handle message failures": _GUIDE + "handling-failures",
    "Import topics": _GUIDE + "import-topics",
    "Labels": _GUIDE + "labels",
    "Not documented": "",
    "Order messages": _GUIDE + "ordering",
    "Payload unwrapping": _GUIDE + "payload-unwrapping",
    "Publish messages": _GUIDE + "publisher",
    "Push subscriptions": _GUIDE + "push",
    "Quotas and limits": "https://cloud.google.com/pubsub/quotas",
    "REST reference": _GUIDE + "reference/rest",
    "Replay messages": _GUIDE + "replay-overview",
    "Schemas": _GUIDE + "schemas",
    "Single Message Transforms": _GUIDE + "smts/smts-overview",
    "Topic properties": _GUIDE + "topic-properties",
    **{
        f"API: {name}": _API + name
        for name in [
            "AcknowledgeRequest",
            "DeadLetterPolicy",
            "ExpirationPolicy",
            "ModifyAckDeadlineRequest",
            "Publisher",
            "PublishRequest",
            "PublishResponse",
            "PubsubMessage",
            "PullRequest",
            "PushConfig",
            "ReceivedMessage",
            "RetryPolicy",
            "SeekRequest",
            "Snapshot",
            "StreamingPullRequest",
            "StreamingPullResponse",
            "Subscriber",
            "Subscription",
            "Topic",
        ]
    },
    "Create HTTP target tasks": _TASKS + "creating-http-target-tasks",
    "Cloud Tasks quotas and limits": _TASKS + "quotas",
    "Cloud Tasks REST reference": _TASKS + "reference/rest",
    **{
        f"API: {name}": _TASKS_API + name
        for name in [
            "AppEngineHttpRequest",
            "Attempt",
            "CloudTasks",
            "CreateTaskRequest",
            "HttpRequest",
            "HttpTarget",
            "ListQueuesRequest",
            "ListTasksRequest",
            "OAuthToken",
            "OidcToken",
            "Queue",
            "RateLimits",
            "RetryConfig",
            "Task",
            "UpdateQueueRequest",
        ]
    },
    "API: IAMPolicy": _GUIDE + "reference/rpc/google.iam.v1#google.iam.v1.IAMPolicy",
}
"""Google's pages: the title by which cases name them, and the address, if there is one."""

PUBSUB_GROUPS = [
    "Topics",
    "Names and labels",
    "Publishing",
    "Subscriptions",
    "Updates of subscriptions",
    "Limits of subscriptions",
    "Pull",
    "Acknowledgements",
    "StreamingPull",
    "Ordering",
    "Filters",
    "Exactly-once delivery",
    "Retries",
    "Dead letters",
    "Snapshots and seek",
    "Push",
    "Push: answers and backoff",
    "Schemas",
    "Access control (IAM)",
    "REST",
    "Not supported",
]
"""In the order of the table."""
CLOUD_TASKS_GROUPS = [
    "Cloud Tasks: queues",
    "Cloud Tasks: tasks",
    "Cloud Tasks: dispatches",
    "Cloud Tasks: requests",
    "Cloud Tasks: REST",
    "Cloud Tasks: not supported",
]
"""Google has no emulator of Cloud Tasks to compare with."""
GROUPS = PUBSUB_GROUPS + CLOUD_TASKS_GROUPS


@dataclass(frozen=True, slots=True)
class Behaviour:
    """A row of the table."""

    group: str
    claim: str
    """The documented behaviour, in one sentence."""
    docs: str
    """The page that documents it."""
    ours: str | None = None
    """How ours differs from it, if it does."""
    google: str | None = None
    """How Google's emulator differs from it, if it does."""
    observed: bool = False
    """Whether the case itself looks at how both differ, rather than at the documented behaviour."""
    cloud_only: bool = False
    """Whether only Google's cloud can show it: there is no test."""

    def __post_init__(self) -> None:
        if self.group not in GROUPS:
            raise ValueError(f"{self.group!r} isn't a group: add it to GROUPS")
        if self.docs not in PAGES:
            raise ValueError(
                f"{self.docs!r} isn't a page of Google's documentation: add it to PAGES"
            )

    def difference(self, backend: str) -> str | None:
        """Return how a backend is known to differ from the documentation."""
        return {"ours": self.ours, "google": self.google}[backend]


BEHAVIOURS: dict[str, Behaviour] = {}
"""All that were declared in the modules imported so far, by the name of their case."""


class Group:
    """Declares the cases of a group: `@topics("A topic …", docs="API: Topic")`."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(
        self,
        claim: str,
        *,
        docs: str,
        ours: str | None = None,
        google: str | None = None,
        observed: bool = False,
    ) -> Callable[[TestT], TestT]:
        """Declare a test function to be the case of a claim.

        `ours` and `google` say how a side differs from the documentation. The case still runs
        over that side, and must fail there; with `observed` it must pass.
        """
        row = Behaviour(self._name, claim, docs, ours, google, observed)

        def declare(test: TestT) -> TestT:
            _add(f"{test.__module__}.{test.__qualname__}", row)
            return test

        return declare

    def only_in_the_cloud(self, claim: str, *, docs: str) -> None:
        """Declare a behaviour that no emulator can show."""
        _add(claim, Behaviour(self._name, claim, docs, cloud_only=True))


def behaviour_of(test: Callable[..., object]) -> Behaviour | None:
    """Return the behaviour that a test function is a case of."""
    return BEHAVIOURS.get(f"{test.__module__}.{test.__qualname__}")


def _add(name: str, row: Behaviour) -> None:
    claim = (row.group, row.claim)
    same = [
        other
        for other, behaviour in BEHAVIOURS.items()
        if (behaviour.group, behaviour.claim) == claim
    ]
    if same not in ([], [name]):
        raise ValueError(f"Two cases of one claim: {row.claim!r}")
    BEHAVIOURS[name] = row


def skip_without(message: Any, fields: Iterable[str]) -> None:
    """Skip a test whose fields the client library is too old to send.

    Args:
        message: the library's class of a message.
        fields: the names of its fields.
    """
    missing = [field for field in fields if field not in message.meta.fields]
    if missing:
        pytest.skip(f"{message.__name__} has no {missing[0]} in this version of the library")
