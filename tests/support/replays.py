"""Targets in memory, processes that end at a chosen moment, and the scene of both."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.dead_letters import MemoryPubsub, dead_message
from ucam_faas.dead_letters.book import Book
from ucam_faas.dead_letters.letters import Letter
from ucam_faas.dead_letters.source import Received, Source, Subscription
from ucam_faas.dead_letters.targets import (
    NoTargetError,
    Refused,
    Replay,
    Result,
    Sent,
    Target,
    Targets,
    To,
    Unknown,
)
from ucam_faas.dead_letters.workbench import Workbench
from ucam_faas.events.messages import PubsubMessage
from ucam_faas.testing import ManualClock

KEEPER = "charge-dead-letter"
"""The subscription of a scene's letters."""


class Arrived(NamedTuple):
    """A replay that reached its target."""

    target: Target
    replay_id: str
    letter: str
    data: bytes
    attributes: dict[str, str]
    key: str


class MemoryTargets:
    """Remembers what it is sent."""

    def __init__(self) -> None:
        self.arrived: list[Arrived] = []
        self.kinds: dict[str, To] = {}
        """By task, where it isn't the inbox."""
        self.refuses: Callable[[Replay], Result | None] = lambda replay: None
        self.busy_keys: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def look(self) -> None:
        """Learn nothing."""

    def of(self, letter: Letter, to: To | None) -> Target:
        """Return the inbox, or as `kinds` says."""
        if letter.task == "nowhere":
            raise NoTargetError("the task nowhere has neither an inbox nor an endpoint here")
        return Target(to or self.kinds.get(letter.task, To.INBOX), letter.task)

    def send(self, target: Target, replays: Sequence[Replay]) -> list[Result]:
        """Take letters, unless they are refused."""
        return [self._take(target, replay) for replay in replays]

    def _take(self, target: Target, replay: Replay) -> Result:
        letter, content, id = replay
        lane = (letter.task, content.key)
        with self._lock:
            assert lane not in self.busy_keys, "two letters of one key are in flight"
            if content.key:
                self.busy_keys.add(lane)
        result = self.refuses(replay)
        with self._lock:
            self.busy_keys.discard(lane)
            if result is None or isinstance(result, Unknown):
                attributes = dict(content.attributes)
                arrived = Arrived(target, id, letter.id, content.data, attributes, content.key)
                self.arrived.append(arrived)
        return Sent(f"new-{id}") if result is None else result

    @property
    def letters(self) -> list[str]:
        """The ids of the letters, as they arrived."""
        return [each.letter for each in self.arrived]


def refusing(*letters: str, reason: str = "HTTP status 500") -> Callable[[Replay], Result | None]:
    """Return a rule that refuses letters."""
    return lambda replay: Refused(reason) if replay.letter.id in letters else None


class Killed(BaseException):
    """The process has ended."""


class Mortal:
    """A process that ends before its n-th step: a call to a port, or a transaction of the book.

    After its end each further step fails as well: no `finally` does anything.

    Args:
        steps: until the end.
        end: ends the process.
    """

    def __init__(self, steps: int, end: Callable[[], object] | None = None) -> None:
        self.left = steps
        self.is_dead = False
        self._end = end

    def step(self) -> None:
        """Take a step, or end."""
        self.left -= 1
        if self.left < 0:
            self.is_dead = True
            if self._end is not None:
                self._end()
            raise Killed

    def source(self, source: Source) -> Source:
        """Return a source whose calls are steps."""
        return _MortalSource(self, source)

    def targets(self, targets: Targets) -> Targets:
        """Return targets whose calls are steps."""
        return _MortalTargets(self, targets)

    def book(self, book: Book) -> Book:
        """Make the transactions of a book steps."""
        writing = book.database.writing

        @contextmanager
        def mortal_writing() -> Iterator[Any]:
            self.step()
            with writing() as db:
                yield db
                self.step()  # in the middle: nothing is written
            self.step()

        book.database.writing = mortal_writing  # type: ignore[method-assign]  # of this one
        return book


class _MortalSource:
    def __init__(self, mortal: Mortal, source: Source) -> None:
        self._mortal, self._source = mortal, source
        self.name, self.project, self.pauses = source.name, source.project, source.pauses
        self.prefix = source.prefix

    def subscriptions(self) -> list[Subscription]:
        return self._source.subscriptions()

    def pull(self, subscription: str) -> list[Received]:
        return self._call(self._source.pull, subscription)

    def extend(self, subscription: str, ack_ids: Sequence[str], seconds: int) -> None:
        self._call(self._source.extend, subscription, ack_ids, seconds)

    def acknowledge(self, subscription: str, ack_ids: Sequence[str]) -> None:
        self._call(self._source.acknowledge, subscription, ack_ids)

    def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        self._mortal.step()
        result = function(*arguments)
        self._mortal.step()
        return result


class _MortalTargets:
    def __init__(self, mortal: Mortal, targets: Targets) -> None:
        self._mortal, self._targets = mortal, targets
        self.look, self.of = targets.look, targets.of

    def send(self, target: Target, replays: Sequence[Replay]) -> list[Result]:
        self._mortal.step()
        results = self._targets.send(target, replays)
        self._mortal.step()
        return results


@dataclass
class Scene:
    """A keeper with letters, the targets, and workbenches on one book."""

    folder: Path
    clock: ManualClock = field(default_factory=ManualClock)
    targets: MemoryTargets = field(default_factory=MemoryTargets)
    pubsub: MemoryPubsub = field(init=False)
    open: list[Workbench] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pubsub = MemoryPubsub(self.clock)
        self.pubsub.subscribe(KEEPER, KEEPER)

    def bench(self, mortal: Mortal | None = None) -> Workbench:
        """Return the workbench of another process."""
        mortal = mortal or Mortal(1_000_000)
        book = mortal.book(Book(self.folder / "book.sqlite3", self.clock))
        source, targets = mortal.source(self.pubsub), mortal.targets(self.targets)
        bench = Workbench(book, source, targets=targets, by="ada@laptop")
        self.open.append(bench)
        return bench

    def publish(self, *messages: PubsubMessage) -> None:
        self.pubsub.publish(KEEPER, *messages)

    def close(self) -> None:
        for bench in self.open:
            bench.close()


def letter(number: int, *, key: str = "", **attributes: str) -> PubsubMessage:
    """Return a dead letter of an ordering key, with further attributes."""
    message = dead_message(number)
    update = {"ordering_key": key, "attributes": {**message.attributes, **attributes}}
    return message.model_copy(update=update)
