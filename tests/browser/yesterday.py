"""The session of yesterday, which a `ucam-faas dev` left in its folder."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from tests.dev.cloud import environ_of
from tests.integration.processes import UCAM_FAAS, Process, wait_until
from tests.support import history
from ucam_faas import local_state
from ucam_faas.dead_letters.book import FILE as BOOK, Book
from ucam_faas.dead_letters.letters import letter_of
from ucam_faas.events.messages import PubsubMessage
from ucam_faas.history.database import FILE as HISTORY
from ucam_faas.history.events import DeadLettered, Event

from .orders import WRONG, order

DAY = 24 * 3600.0
WHY = "LookupError: the post office knows no street 'Kings Parad' in Cambridge"
TRACEBACK = f"""Traceback (most recent call last):
  File "/srv/bookshop/main.py", line 64, in find_street
    raise LookupError(name)
{WHY}"""


def write(folder: Path) -> None:
    """Leave the failure of order 17 in a folder: its history, and the copy of its dead letter."""
    died = time.time() - DAY - 60
    sent, first, second = died - 3, died - 2, died
    data = json.dumps(order(17, WRONG, "Jane Austen")).encode()
    attributes = {
        "ucam_faas_task": "ship_order",
        "ucam_faas_message_id": "1700",
        "ucam_faas_reason": "crashed (attempt 2, the last)",
        "ucam_faas_error": "LookupError at main.find_street",
        "ucam_faas_fingerprint": "1:5eed",
        "ucam_faas_first_attempt": _utc(first).isoformat(),
        "ucam_faas_last_attempt": _utc(second).isoformat(),
    }
    topic = "ship_order-dead-letter"
    events: list[Event] = [
        history.published("1700", data, time=sent, topic="ship_order", readers=("ship_order",))
    ]
    for number, at in ((1, first), (2, second)):
        events += history.attempt(
            "1700", number, time=at, failure=WHY, task="ship_order", lines=["packing order 17"],
            traceback=TRACEBACK,
        )  # fmt: skip
    events += [
        history.published(
            "1701", data, time=died, topic=topic, readers=(topic,), attributes=attributes
        ),
        DeadLettered(died, "ship_order", "1700", topic, "1701"),
    ]
    home = local_state.make_home(folder)
    history.write(home / HISTORY, events)
    message = PubsubMessage(
        data=data, attributes=attributes, message_id="1701", publish_time=_utc(died)
    )
    with closing(Book(home / BOOK)) as book:
        book.put([letter_of(message, topic)])


@contextmanager
def dashboard_of(folder: Path) -> Iterator[str]:
    """Run the dashboard of a folder in which no `ucam-faas dev` runs, and yield its origin."""
    process = Process([UCAM_FAAS, "dashboard", "--port", "0"], folder, environ_of(folder))
    try:
        wait_until(lambda: process.stdout.endswith("\n"), "it says where it is")
        yield process.stdout.split()[2]
    finally:
        process.kill()


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
