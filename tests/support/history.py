"""A history for the tests of pages: every state, attempts, lines, and hard payloads."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ucam_faas.history import search
from ucam_faas.history.database import open_for_writing
from ucam_faas.history.events import (
    Answered,
    DeadLettered,
    Delivered,
    End,
    Event,
    Logged,
    Published,
    Scheduled,
)
from ucam_faas.history.ledger import Ledger

BEGIN = datetime(2026, 1, 5, 12, 0, tzinfo=UTC).timestamp()
TRACEBACK = """Traceback (most recent call last):
  File "/srv/shop/orders.py", line 17, in store
    price = prices[order.article]
            ~~~~~~^^^^^^^^^^^^^^^
KeyError: 'umbrella'"""


def write(path: Path, events: Iterable[Event]) -> None:
    """Write events to the history in a file, and index it."""
    with closing(open_for_writing(path)) as database:
        ledger = Ledger(database)
        ledger.apply(events)
        ledger.settle(math.inf)
        ledger.flush()
        ledger.flush()
        while search.index(database, 1000):
            pass


def published(
    id: str, data: bytes = b"{}", *, time: float = BEGIN, topic: str = "orders",
    readers: tuple[str, ...] = ("store",), key: str = "", attributes: Mapping[str, str] = {},
) -> Published:  # fmt: skip
    """Return the publication of a message."""
    return Published(time, id, topic, key, attributes, data, readers)


def logged(
    message: str, *, time: float = BEGIN, severity: str = "INFO", fields: str = "", **about: Any
) -> Logged:
    """Return a line of a task's own, or of none."""
    return Logged(time, severity, message, fields=fields, **about)


def ended(
    execution_id: str, *, time: float, outcome: str = "done", task: str = "store",
    message_id: str = "", job_id: str = "", attempt: int = 0, seconds: float = 0.01,
    subscription: str = "", reason: str = "", error_type: str = "", traceback: str = "",
    **fields: Any,
) -> Logged:  # fmt: skip
    """Return the line of an execution's end."""
    is_done = outcome == "done"
    return Logged(
        time, "INFO" if is_done else "ERROR",
        "ucam_faas_function_completed" if is_done else "ucam_faas_function_aborted",
        task, execution_id, message_id, subscription, job_id, attempt,
        json.dumps(fields) if fields else "", traceback,
        End(outcome, reason, error_type, seconds, not is_done),
    )  # fmt: skip


def attempt(
    id: str, number: int, *, time: float, failure: str = "", task: str = "store",
    seconds: float = 0.02, lines: Iterable[str] = (), **fields: Any,
) -> list[Event]:  # fmt: skip
    """Return the events of an attempt to handle a message.

    Args:
        id: of the message.
        number: 1 for the first.
        time: of its beginning.
        failure: the reason for which it fails, if it does.
        task: that it is delivered to, by the subscription of this name.
        seconds: that it takes.
        lines: that the task logs.
        fields: of the line of its end.
    """
    execution, end = f"run-{task}-{id}-{number}", time + seconds
    outcome = "crashed" if failure else "done"
    kind = failure.partition(":")[0]
    failed = {"traceback": TRACEBACK, "reason": failure, "error_type": kind} if failure else {}
    return [
        Delivered(time, task, id, number),
        *(
            logged(
                line, time=time, execution_id=execution, task=task,
                message_id=id, subscription=task,
            )
            for line in lines
        ),
        ended(
            execution, time=end, outcome=outcome, task=task, message_id=id, attempt=number,
            seconds=seconds, subscription=task, **{**failed, **fields},
        ),
        Answered(end, task, id, number, not failure, "500" if failure else "204"),
    ]  # fmt: skip


def realistic(begin: float = BEGIN, *, big: int = 5_000_000) -> list[Event]:
    """Return the events of a busy quarter of an hour of a shop.

    | message | |
    |---|---|
    | 17 | order 17: failed twice, then done; with lines and a traceback |
    | 18 | done, with two readers: `store` and `mail` |
    | 19 | failed 5 times, now dead letter 20 |
    | 21 | waits |
    | 22 | runs |
    | 23 | failed once, and waits for its next attempt |
    | 24 | binary |
    | 25 | a payload of `big` bytes |
    | 26 | a payload that is HTML |
    | 27 | on a topic without a reader |
    | 100 to 299 | 200 that are done, in order of their keys |

    And the job `job-1` of `invoice`, done at its second attempt, a schedule, and a warning of no
    execution.
    """

    def order(number: int, **more: Any) -> bytes:
        return json.dumps({"order": number, "article": "umbrella", **more}).encode()

    events: list[Event] = [
        published(
            "17", order(17, address="1 Trinity Lane"), time=begin, key="customer-3",
            attributes={"customer": "3", "source": "web"},
        )
    ]  # fmt: skip
    events += attempt("17", 1, time=begin + 1, failure="KeyError: 'umbrella'", lines=["looking"])
    events += attempt("17", 2, time=begin + 5, failure="KeyError: 'umbrella'", lines=["looking"])
    lines = ["looking for the price of an umbrella", "stored order 17"]
    events += attempt("17", 3, time=begin + 20, lines=lines, price=12.5)
    both = ("store", "mail")
    events.append(published("18", order(18), time=begin + 30, readers=both))
    events += attempt("18", 1, time=begin + 31) + attempt("18", 1, time=begin + 31.5, task="mail")
    events.append(published("19", order(19), time=begin + 40, attributes={"customer": "4"}))
    for number in range(1, 6):
        failure = "InvalidAddressError: no such street"
        events += attempt("19", number, time=begin + 40 + 10 * number, failure=failure)
    attributes = {"ucam_faas_message_id": "19", "ucam_faas_reason": failure, "customer": "4"}
    events.append(
        published(
            "20", order(19), time=begin + 91, topic="store-dead-letter",
            readers=("store-dead-letter",), attributes=attributes,
        )
    )  # fmt: skip
    events.append(DeadLettered(begin + 91, "store", "19", "store-dead-letter", "20"))
    events.append(published("21", order(21), time=begin + 100))
    events += [
        published("22", order(22), time=begin + 110),
        Delivered(begin + 111, "store", "22", 1),
    ]
    events.append(
        logged(
            "still looking", time=begin + 112, execution_id="run-22",
            message_id="22", subscription="store", task="store",
        )
    )  # fmt: skip
    events.append(published("23", order(23), time=begin + 120))
    events += attempt("23", 1, time=begin + 121, failure="TimeoutError: the bank is slow")
    events.append(published("24", bytes(range(256)), time=begin + 130))
    events += attempt("24", 1, time=begin + 131)
    events.append(published("25", b'{"blob": "' + b"x" * big + b'"}', time=begin + 140))
    events += attempt("25", 1, time=begin + 141, lines=["a long line " * 1000])
    events.append(published("26", b"<script>alert(1)</script>", time=begin + 150))
    events += attempt("26", 1, time=begin + 151, lines=["<b>bold</b> & <script>alert(2)</script>"])
    events.append(
        published("27", b"nobody reads this", time=begin + 160, topic="lonely", readers=())
    )
    for number in range(100, 300):
        time = begin + 200 + number
        key = f"customer-{number % 7}"
        attributes = {"customer": str(number % 7)}
        id = str(number)
        events.append(published(id, order(number), time=time, key=key, attributes=attributes))
        events += attempt(id, 1, time=time + 0.01)
    events.append(Scheduled(begin + 600, "tidy", False))
    events.append(logged("the disk is nearly full", time=begin + 610, severity="WARNING"))
    job = {"task": "invoice", "job_id": "job-1"}
    events += [
        ended(
            "run-job-1", time=begin + 620, outcome="retry", reason="the printer is off", **job,
            error_type="PrinterError",
        ),
        logged("printing", time=begin + 629, execution_id="run-job-2", **job),
        ended("run-job-2", time=begin + 630, seconds=2.0, **job),
    ]  # fmt: skip
    return events
