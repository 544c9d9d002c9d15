"""How many messages wait in the subscriptions of the embedded Pub/Sub, and since when.

Google's API doesn't tell; its Cloud Monitoring does.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from ucam_faas.exceptions import UCAMFAASException
from ucam_faas.local_state import BACKLOGS_PAGE
from ucam_faas.net.rest import FAILURES, Api

SECONDS = 10.0


class QueueRequestError(UCAMFAASException):
    """The embedded Pub/Sub doesn't answer, or it is another one."""

    error_code = "pubsub"


@dataclass(frozen=True, slots=True)
class Queue:
    """A subscription.

    Args:
        subscription: its full name.
        waiting: messages that aren't acknowledged, counted up to 1,000.
        since: when the oldest was published, in epoch seconds; None: there is none.
    """

    subscription: str
    waiting: int
    since: float | None


def queues(api: Api) -> list[Queue]:
    """Return the subscriptions, by name.

    Args:
        api: makes requests to an embedded Pub/Sub.

    Raises:
        QueueRequestError: it doesn't answer.
    """
    try:
        status, content = api.get(BACKLOGS_PAGE, SECONDS)
        rows = json.loads(content)["queues"] if status == 200 else None
        if rows is not None:
            return [Queue(row["subscription"], row["waiting"], row["since"]) for row in rows]
    except (*FAILURES, LookupError, TypeError) as error:
        raise QueueRequestError(f"{api.host} doesn't tell its queues: {error}") from error
    raise QueueRequestError(f"{api.host} doesn't tell its queues: HTTP status {status}")
