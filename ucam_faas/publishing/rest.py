"""The publisher over Pub/Sub's REST API; `google` adds credentials.

Source: Google's page "Method: projects.topics.publish".
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from urllib.parse import quote

from ucam_faas.exceptions import NoAnswerError, NoSuchTopicError, PublishError
from ucam_faas.net.rest import FAILURES, Api, CredentialsError, Rest, reason_of
from ucam_faas.publishing import Draft, Publisher


class RestPublisher(Publisher):
    """Publishes to an emulator.

    Args:
        host: `host:port` of the emulator.
        api: makes the requests to it; None: without credentials.
    """

    def __init__(self, host: str, api: Api | None = None) -> None:
        self.host = host
        self._api = api or Rest(host)

    def publish_many(
        self, topic: str, drafts: Sequence[Draft], *, timeout_seconds: float = 10.0
    ) -> list[str]:
        """Publish messages in one call, and return their ids when Pub/Sub has them."""
        purpose = f"Publishing to {topic}"
        path = f"/v1/{quote(topic)}:publish"
        body = body_of(drafts)
        answer = post(self._api, path, body, timeout_seconds, purpose, missing=NoSuchTopicError)
        try:
            ids = json.loads(answer)["messageIds"]
            return [str(ids[number]) for number in range(len(drafts))]
        except (ValueError, LookupError, TypeError) as error:
            raise PublishError(
                f"{purpose} failed: {self.host} does not answer as Pub/Sub does"
            ) from error


def post(
    api: Api,
    path: str,
    body: bytes,
    timeout_seconds: float,
    purpose: str,
    *,
    missing: type[PublishError] = PublishError,
) -> bytes:
    """Make a request to one of Google's APIs, and return the body of its answer.

    Args:
        api: makes it.
        path: with its leading slash.
        body: JSON.
        timeout_seconds: how long to try.
        purpose: begins the text of the error.
        missing: the error if the resource doesn't exist.

    Raises:
        PublishError: it failed, or it isn't known.
    """
    try:
        status, answer = api.post(path, body, timeout_seconds)
    except FAILURES as error:
        reason = f"{api.host} does not answer ({type(error).__name__})"
        raise NoAnswerError(f"{purpose} failed: {reason}") from error
    except CredentialsError as error:
        raise PublishError(f"{purpose} failed: {error}") from error
    if status != 200:
        kind = missing if status == 404 else PublishError
        refusal = kind(f"{purpose} failed: {reason_of(status, answer)}")
        refusal.status = status
        raise refusal
    return answer


def body_of(drafts: Sequence[Draft]) -> bytes:
    """Return the body of a request that publishes messages."""
    return json.dumps({"messages": [_json(draft) for draft in drafts]}).encode()


def _json(draft: Draft) -> dict[str, object]:
    return {
        "data": base64.b64encode(draft.data).decode(),
        "attributes": dict(draft.attributes),
        "orderingKey": draft.ordering_key,
    }
