"""Messages that are published later, by tasks of Cloud Tasks, which are created over REST.

A task's request publishes its messages with an OAuth token, which Cloud Tasks gets for a service
account. The tasks have no names: names make their creation slow.

Sources: Google's pages "Method: projects.locations.queues.tasks.create", "HttpRequest",
"OAuthToken" and "Quotas and limits" of Cloud Tasks.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from urllib.parse import quote

from ucam_faas.exceptions import ConfigurationError, PublishError
from ucam_faas.net.rest import Api, CredentialsError, Rest
from ucam_faas.publishing import Draft
from ucam_faas.publishing.rest import body_of, post

MAX_AHEAD_SECONDS = 720 * 3600.0 - 60.0
"""A task may be scheduled so far ahead; less a minute, because clocks differ."""
MAX_BODY_BYTES = 60_000
"""Of a task's request. The reference allows tasks of 100 KB; "Quotas and limits" says 1 MB."""
LATE_SECONDS = 0.1
"""Cloud Tasks' clock may be so much ahead of another one: the messages aren't early by that."""
TIMEOUT_SECONDS = 10.0
"""For the creation of each task."""
URL = "https://cloudtasks.googleapis.com"
PUBSUB_SCOPE = "https://www.googleapis.com/auth/pubsub"
TASKS_SCOPE = "https://www.googleapis.com/auth/cloud-tasks"
EMULATOR_ACCOUNT = "ucam-faas@emulator.invalid"

_QUEUE = re.compile(r"projects/[A-Za-z0-9.:-]+/locations/[A-Za-z0-9-]+/queues/[A-Za-z0-9-]{1,100}")


class DelayQueue:
    """Publishes messages later.

    Args:
        queue: of Cloud Tasks, `projects/P/locations/L/queues/Q`.
        api: makes the requests.
        account: returns the email address of the service account that publishes.

    Raises:
        ConfigurationError: the queue isn't a full name.
    """

    def __init__(self, queue: str, api: Api, account: Callable[[], str]) -> None:
        if not _QUEUE.fullmatch(queue):
            raise ConfigurationError(
                f"UCAM_FAAS_DELAY_QUEUE is {queue!r}: expected "
                "projects/PROJECT/locations/LOCATION/queues/QUEUE."
            )
        self.queue = queue
        self._api = api
        self._account = account

    def reaches(self, at: float, now: float) -> bool:
        """Return True if a time isn't too far ahead; both are in epoch seconds."""
        return at - now <= MAX_AHEAD_SECONDS

    def publish_later(
        self,
        at: float,
        topic: str,
        drafts: Sequence[Draft],
    ) -> None:
        """Have messages published at a time, or a moment later.

        Args:
            at: epoch seconds, which `reaches` says can be.
            topic: `projects/P/topics/T`.
            drafts: the messages.

        Raises:
            PublishError: not all of them will be, or it isn't known.
        """
        purpose = f"Publishing to {topic} later, by {self.queue},"
        account = self._account_or(purpose)
        due = datetime.fromtimestamp(at + LATE_SECONDS, UTC).isoformat(timespec="microseconds")
        for some in _chunks(drafts):
            request = {
                "url": f"https://pubsub.googleapis.com/v1/{quote(topic)}:publish",
                "httpMethod": "POST",
                "headers": {"Content-Type": "application/json"},
                "body": base64.b64encode(body_of(some)).decode(),
                "oauthToken": {
                    "serviceAccountEmail": account,
                    "scope": PUBSUB_SCOPE,
                },
            }
            task = {"httpRequest": request, "scheduleTime": due.replace("+00:00", "Z")}
            body = json.dumps({"task": task}).encode()
            post(self._api, f"/v2/{self.queue}/tasks", body, TIMEOUT_SECONDS, purpose)

    def _account_or(self, purpose: str) -> str:
        try:
            return self._account()
        except CredentialsError as error:
            raise PublishError(
                f"{purpose} failed: {error}. Set UCAM_FAAS_DELAY_ACCOUNT, or check the credentials"
            ) from error


def connect(queue: str, account: str | None, emulator: str | None) -> DelayQueue:
    """Return a queue of Google's, or of an emulator.

    Args:
        queue: see `DelayQueue`.
        account: None: the environment's.
        emulator: `host:port`; None: Google's.

    Raises:
        ConfigurationError: the queue isn't a full name.
        MissingExtraError: google-auth isn't installed.
    """
    if emulator is not None:
        return DelayQueue(queue, Rest(emulator), lambda: account or EMULATOR_ACCOUNT)
    from ucam_faas.net.google_rest import GoogleRest  # an emulator doesn't need it

    google = GoogleRest(URL, TASKS_SCOPE, extra="pubsub", purpose="wake jobs by Cloud Tasks")
    return DelayQueue(queue, google, lambda: account or google.account())


def _chunks(drafts: Sequence[Draft]) -> Iterator[list[Draft]]:
    """Return the messages of each task, always fewer than Pub/Sub takes in one request."""
    some: list[Draft] = []
    size = 0
    for draft in drafts:
        bytes_ = len(body_of([draft]))
        if some and size + bytes_ > MAX_BODY_BYTES:
            yield some
            some, size = [], 0
        some.append(draft)
        size += bytes_
    if some:
        yield some
