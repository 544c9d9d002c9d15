"""The process that extends the leases of a worker's messages, and knows nothing of tasks.

Its standard input has a JSON array a line: `hello`, `hold`, and each second `done`. When the pipe
ends, the worker was killed: its messages are given back, and the subscription's retry policy says
when they come again. A worker that ends in order kills this process.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from collections.abc import Sequence
from typing import Any

from ucam_faas.clock import Clock, SystemClock
from ucam_faas.net.rest import FAILURES, Api, CredentialsError, Rest, reason_of

MAX_IDS = 1_000
"""In one request."""
BEATS = 3
"""In one lease: a message's is extended at the second after its arrival, at the latest."""
SOONER = 4
"""How much sooner the next beat comes after one that failed: before the leases end."""
MARGIN_SECONDS = 15.0
"""Leases are extended for the task's timeout, and this, after the last tick of the worker."""
CALL_SECONDS = 5.0
_URL, _SCOPE = "https://pubsub.googleapis.com", "https://www.googleapis.com/auth/pubsub"


class Leases:
    """The messages that the worker holds.

    Args:
        hello: the worker's first words.
        api: takes requests to Pub/Sub.
        clock: measures.
    """

    def __init__(self, hello: dict[str, Any], api: Api, clock: Clock) -> None:
        self._api, self._clock = api, clock
        self._lease: int = hello["lease"]
        self._sources: list[tuple[str, float]] = [(name, limit) for name, limit in hello["sources"]]
        self._held: dict[int, tuple[int, str]] = {}
        """Their sources and ack ids, by their numbers, which rise."""
        self._newest = -1
        """The number of the last message before the last beat."""
        self._seen = clock.monotonic()
        self._next: float = self._seen + self._lease / BEATS
        """The time of the next beat."""

    def read(self, line: Sequence[Any]) -> None:
        """Take a line of the worker's."""
        self._seen = self._clock.monotonic()
        match line:
            case ["hold", source, numbers, ack_ids]:
                for number, ack_id in zip(numbers, ack_ids, strict=True):
                    self._held[number] = source, ack_id
            case ["done", numbers]:
                for number in numbers:
                    self._held.pop(number, None)

    @property
    def wait_seconds(self) -> float:
        """The time until the next beat."""
        return max(0.0, self._next - self._clock.monotonic())

    def beat(self) -> None:
        """Extend the leases of messages that the last beat found, too."""
        now, is_done = self._clock.monotonic(), True
        for number, (name, limit) in enumerate(self._sources):
            if now < self._seen + limit + MARGIN_SECONDS:
                is_done &= self._modify(name, self._of(number, self._newest), self._lease)
        self._newest = max(self._held, default=self._newest)
        self._next = now + self._lease / BEATS
        if not is_done:
            self._next = self._clock.monotonic() + self._lease / BEATS / SOONER

    def give_back(self) -> None:
        """Let all messages be delivered again."""
        for number, (name, _) in enumerate(self._sources):
            self._modify(name, self._of(number, max(self._held, default=-1)), 0)

    def _of(self, source: int, newest: int) -> list[str]:
        return [
            ack_id
            for number, (its, ack_id) in self._held.items()
            if its == source and number <= newest
        ]

    def _modify(self, subscription: str, ack_ids: Sequence[str], seconds: int) -> bool:
        """Set the time for which messages are leased; return False if to try again may help."""
        is_done = True
        for start in range(0, len(ack_ids), MAX_IDS):
            some = ack_ids[start : start + MAX_IDS]
            body = json.dumps({"ackIds": some, "ackDeadlineSeconds": seconds}).encode()
            path = f"/v1/{subscription}:modifyAckDeadline"
            try:
                status, answer = self._api.post(path, body, CALL_SECONDS)
            except (*FAILURES, CredentialsError) as error:
                is_done = False
                _complain(subscription, f"{type(error).__name__}: {error}")
                continue
            if status != 200:
                is_done &= status < 500 and status != 429
                _complain(subscription, reason_of(status, answer))
        return is_done


def _complain(subscription: str, reason: str) -> None:
    """Write a line to the log of the worker's container."""
    fields = {
        "severity": "WARNING",
        "message": "ucam_faas_lease_not_extended",
        "subscription": subscription,
        "reason": reason,
    }
    sys.stderr.write(json.dumps(fields) + "\n")
    sys.stderr.flush()


def _api(host: str | None) -> Api:
    if host is not None:
        return Rest(host)
    from ucam_faas.net.google_rest import GoogleRest

    return GoogleRest(_URL, _SCOPE, extra="worker", purpose="extend leases")


def main() -> None:
    """Extend leases until the worker ends."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the worker still runs its tasks
    leases: Leases | None = None
    rest = b""
    while True:
        wait = None if leases is None else leases.wait_seconds
        if select.select([0], [], [], wait)[0]:
            content = os.read(0, 1 << 20)
            if not content:
                break
            *lines, rest = (rest + content).split(b"\n")
            for line in map(json.loads, lines):
                if leases is None:
                    leases = Leases(line[1], _api(line[1]["host"]), SystemClock())
                else:
                    leases.read(line)
        if leases is not None and not leases.wait_seconds:
            leases.beat()
    if leases is not None:
        leases.give_back()


if __name__ == "__main__":
    main()
