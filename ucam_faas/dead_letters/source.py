"""The `Source` port, and its adapter over Pub/Sub's REST API: the embedded one, and Google's.

Sources: Google's pages "REST Resource: projects.subscriptions" and "Quotas and limits".
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote

from ucam_faas.events.messages import PubsubMessage
from ucam_faas.exceptions import UCAMFAASException
from ucam_faas.net.rest import FAILURES, Api, CredentialsError, reason_of

SECONDS = 30.0
"""How long a request may take."""
PAUSES = (0.1, 0.5)
"""An empty answer doesn't mean that there is nothing, so it is asked for again after these."""
MAX_ACK_IDS = 1000
"""In one request, which may have 512 KiB."""
FIRST_PULL, MAX_PULLED = 100, 1000
SMALL_BYTES, LARGE_BYTES = 4_000_000, 16_000_000
"""Below and above which the next pull asks for more messages, or for fewer."""


class SourceError(UCAMFAASException):
    """Pub/Sub refused a request, or didn't answer."""

    error_code = "pubsub"

    def __init__(self, text: str, *, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A subscription, as far as the workbench needs to know it.

    Args:
        name: the short name.
        topic: the full name.
        endpoint: to which it pushes; empty: it is pulled.
        wrapped: pushes carry Pub/Sub's JSON; False: the data alone.
        ordered: it keeps the order of messages with an ordering key.
        exports: Pub/Sub writes its messages to a bucket or a table: they can't be pulled.
        dead_letter_topic: the full name; empty: it has none.
    """

    name: str
    topic: str
    endpoint: str = ""
    wrapped: bool = True
    ordered: bool = False
    exports: bool = False
    dead_letter_topic: str = ""


class Received(NamedTuple):
    """A message that this process holds until its lease ends."""

    ack_id: str
    message: PubsubMessage


class Source(Protocol):
    """A Pub/Sub with dead letters. Subscriptions have short names.

    Every method raises SourceError if Pub/Sub refuses it, or doesn't answer.
    """

    @property
    def name(self) -> str:
        """Its name for people."""

    @property
    def project(self) -> str:
        """The project of its topics and subscriptions."""

    @property
    def pauses(self) -> Sequence[float]:
        """Seconds before each further pull after one that brought nothing."""

    @property
    def prefix(self) -> str:
        """The prefix of the names in it, which those of tasks in the code lack."""

    def subscriptions(self) -> list[Subscription]:
        """Return all subscriptions of the project."""

    def pull(self, subscription: str) -> list[Received]:
        """Return some messages at once; none doesn't mean that there are none."""

    def extend(self, subscription: str, ack_ids: Sequence[str], seconds: int) -> None:
        """Let leases end so many seconds from now; 0 releases the messages."""

    def acknowledge(self, subscription: str, ack_ids: Sequence[str]) -> None:
        """Remove messages from a subscription."""


class RestSource:
    """A project in a Pub/Sub, or a stage in it.

    Args:
        api: makes the requests.
        project: its id.
        prefix: of the names of the stage; others aren't seen.
        is_embedded: an empty answer means that there is nothing; that of another Pub/Sub doesn't.
    """

    def __init__(
        self, api: Api, project: str, *, is_embedded: bool = False, prefix: str = ""
    ) -> None:
        self._api = api
        self._prefix = prefix
        self._project = project
        self._pauses = () if is_embedded else PAUSES
        self._limits: dict[str, int] = {}

    @property
    def name(self) -> str:
        """Its name for people."""
        return self._api.host

    @property
    def project(self) -> str:
        """The project of its topics and subscriptions."""
        return self._project

    @property
    def pauses(self) -> Sequence[float]:
        """Seconds before each further pull after one that brought nothing."""
        return self._pauses

    @property
    def prefix(self) -> str:
        """The prefix of the names in it, which those of tasks in the code lack."""
        return self._prefix

    def subscriptions(self) -> list[Subscription]:
        """Return all subscriptions of the project, or of the stage."""
        every = map(_subscription, self._list())
        return [each for each in every if each.name.startswith(self._prefix)]

    def pull(self, subscription: str) -> list[Received]:
        """Return some messages at once: fewer of large ones."""
        limit = self._limits.get(subscription, FIRST_PULL)
        content = self._call(
            f"{self._path(subscription)}:pull",
            {"maxMessages": limit, "returnImmediately": True},
        )
        if len(content) < SMALL_BYTES:
            self._limits[subscription] = min(limit * 2, MAX_PULLED)
        elif len(content) > LARGE_BYTES:
            self._limits[subscription] = max(limit // 2, 1)
        received = self._read(content).get("receivedMessages", [])
        return [
            Received(each["ackId"], PubsubMessage.model_validate(each["message"]))
            for each in received
        ]

    def extend(self, subscription: str, ack_ids: Sequence[str], seconds: int) -> None:
        """Let leases end so many seconds from now; 0 releases the messages."""
        for some in _parts(ack_ids):
            body = {"ackIds": some, "ackDeadlineSeconds": seconds}
            self._call(f"{self._path(subscription)}:modifyAckDeadline", body)

    def acknowledge(self, subscription: str, ack_ids: Sequence[str]) -> None:
        """Remove messages from a subscription."""
        for some in _parts(ack_ids):
            self._call(f"{self._path(subscription)}:acknowledge", {"ackIds": some})

    def _path(self, subscription: str) -> str:
        return f"/v1/projects/{self._project}/subscriptions/{quote(subscription, safe='')}"

    def _list(self) -> Iterator[dict[str, Any]]:
        path = f"/v1/projects/{self._project}/subscriptions?pageSize=500"
        page = self._read(self._call(path, None))
        yield from page.get("subscriptions", [])
        while token := page.get("nextPageToken"):
            page = self._read(self._call(f"{path}&pageToken={quote(token, safe='')}", None))
            yield from page.get("subscriptions", [])

    def _call(self, path: str, body: dict[str, Any] | None) -> bytes:
        try:
            if body is None:
                status, content = self._api.get(path, SECONDS)
            else:
                status, content = self._api.post(path, json.dumps(body).encode(), SECONDS)
        except CredentialsError as error:
            raise SourceError(f"The dead letters can't be read: {error}") from error
        except FAILURES as error:
            raise SourceError(
                f"The Pub/Sub at {self._api.host} does not answer ({type(error).__name__})"
            ) from error
        if status != 200:
            verb = path.partition("?")[0].removeprefix("/v1/")
            raise SourceError(f"{verb}: {reason_of(status, content)}", status=status)
        return content

    def _read(self, content: bytes) -> dict[str, Any]:
        try:
            return dict(json.loads(content))
        except (ValueError, TypeError) as error:
            raise SourceError(f"{self._api.host} does not answer as Pub/Sub does") from error


def _parts(ack_ids: Sequence[str]) -> Iterator[list[str]]:
    for start in range(0, len(ack_ids), MAX_ACK_IDS):
        yield list(ack_ids[start : start + MAX_ACK_IDS])


def _subscription(resource: dict[str, Any]) -> Subscription:
    push = resource.get("pushConfig") or {}
    return Subscription(
        name=resource["name"].rpartition("/")[2],
        topic=resource.get("topic", ""),
        endpoint=push.get("pushEndpoint", ""),
        wrapped="noWrapper" not in push,
        ordered=bool(resource.get("enableMessageOrdering")),
        exports=any(name in resource for name in ("bigqueryConfig", "cloudStorageConfig")),
        dead_letter_topic=(resource.get("deadLetterPolicy") or {}).get("deadLetterTopic", ""),
    )
