"""The dead letters that this process holds, until it lets go of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Protocol

from ucam_faas.clock import Clock
from ucam_faas.dead_letters.letters import Letter, letter_of
from ucam_faas.dead_letters.source import Source, SourceError

LEASE_SECONDS = 60
"""Of a letter; after the sudden end of this process another one gets it by then."""
RENEWAL_SECONDS = 20.0
"""The age at which leases are extended."""
ENDED_SECONDS = 50.0
"""The age at which they may have ended: this process was stopped, or its machine slept."""
STEP_SECONDS = 1.0
"""The longest time between two calls of `meanwhile`."""
STALE_PULLS = 3
"""Pulls that bring only letters that are held already: their leases ended meanwhile."""


class Holder(Protocol):
    """Outlives a process that holds letters."""

    clock: Clock

    def hold(self, until: float) -> None:
        """Note until when letters are held, in epoch seconds."""

    def held_until(self) -> float:
        """Return until when a process that was killed may hold letters."""


class Round:
    """A look at keepers; the one that looks says if there was anything new."""

    is_new = False


class Leases:
    """Holds letters, and extends their leases.

    Args:
        source: has the letters.
        holder: tells the time, and keeps the note of when leases end, such as a Book.
    """

    def __init__(self, source: Source, holder: Holder) -> None:
        self._source = source
        self._holder = holder
        self._clock = holder.clock
        self._before = holder.held_until()
        self._held: dict[str, dict[str, str]] = {}
        """By keeper and the letter's id: the ids for acknowledging."""
        self.hashes: dict[str, str] = {}
        """Of the letters that were taken and are held, by their ids."""
        self._have_ended = False
        """Others may have the letters that are held."""
        self._waits_until = self._renewed = self._renewed_at = 0.0
        self._begin()

    def __enter__(self) -> Leases:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with suppress(SourceError):  # they end by themselves
            self.release()
            self._holder.hold(self._before)

    def rounds(self) -> Iterator[Round]:
        """Yield the looks at keepers until one finds nothing new, after some pauses.

        An empty answer of Pub/Sub doesn't mean that there is nothing, so all keepers are asked
        again; together, or each would need its own pauses.
        """
        pauses, quiet = self._source.pauses, 0
        while quiet <= len(pauses):
            if quiet:
                self._clock.sleep(pauses[quiet - 1])
            look = Round()
            yield look
            quiet = 1 if look.is_new else quiet + 1

    def all_pages(self, keeper: str) -> Iterator[list[Letter]]:
        """Yield all letters of a keeper, each of which is held afterwards; see `pages`."""
        for look in self.rounds():
            for page in self.pages(keeper):
                look.is_new = True
                yield page

    def pages(self, keeper: str) -> Iterator[list[Letter]]:
        """Yield letters of a keeper, each of which is held afterwards, until an empty answer.

        Raises:
            SourceError: Pub/Sub refuses, or doesn't answer.
        """
        held = self._held.setdefault(keeper, {})
        stale = 0
        while stale < STALE_PULLS and (received := self._source.pull(keeper)):
            self.renew()
            self._source.extend(keeper, [ack_id for ack_id, _ in received], LEASE_SECONDS)
            letters = [letter_of(message, keeper, self._source.prefix) for _, message in received]
            new = [letter for letter in letters if letter.id not in held]
            for (ack_id, _), letter in zip(received, letters, strict=True):
                held[letter.id] = ack_id
            stale = 0 if new else stale + 1
            if new:
                yield new

    def keep(self, wanted: Iterable[str], meanwhile: Callable[[], object]) -> None:
        """Extend the leases, or `take` the letters again if they have ended: this process stood
        still.

        Args:
            wanted: the ids of the letters that are needed still; read only then.
            meanwhile: called now and then; what it raises ends this.
        """
        self.renew()
        if self._have_ended:
            self.take(set(wanted), meanwhile)

    def take(self, wanted: Collection[str], meanwhile: Callable[[], object]) -> None:
        """Hold letters and no others; `hashes` has those that are there.

        A process that was killed may hold some still: they come when its leases end.

        Args:
            wanted: their ids.
            meanwhile: called now and then; what it raises ends this.
        """
        with suppress(SourceError):  # most have ended, or end by themselves
            self.release()
        self._held.clear()
        self._begin()
        hashes: dict[str, str] = {}
        self.hashes = hashes
        missing = set(wanted)
        while True:
            for keeper in sorted({keeper_of_id(letter) for letter in missing}):
                pages = self.all_pages(keeper)
                of_keeper = {letter for letter in missing if keeper_of_id(letter) == keeper}
                while of_keeper and (page := next(pages, None)) is not None:
                    hashes |= {each.id: each.hash for each in page if each.id in of_keeper}
                    of_keeper -= hashes.keys()
                    meanwhile()
            self.release(but=hashes)
            missing -= hashes.keys()
            left = self._before - self._clock.now().timestamp()
            if not missing or left <= 0:
                return
            self._waits_until = self._clock.monotonic() + left
            self.wait(left, meanwhile)
            self._waits_until = 0.0

    @property
    def waits(self) -> float:
        """Return the seconds that `take` still waits for a killed process; 0: it doesn't."""
        return max(0.0, self._waits_until - self._clock.monotonic())

    def wait(self, seconds: float, meanwhile: Callable[[], object]) -> None:
        """Wait, and extend the leases."""
        end = self._clock.monotonic() + seconds
        while (left := end - self._clock.monotonic()) > 0:
            meanwhile()
            self._clock.sleep(min(STEP_SECONDS, left))
            self.renew()

    def renew(self) -> bool:
        """Extend all leases, if it is time to; return True if they were extended."""
        now, at = self._clock.monotonic(), self._now()
        if self._ended() or self._age() < RENEWAL_SECONDS:
            return False
        self._note_end()  # before: this process may be killed in between
        for keeper, held in self._held.items():
            if held:
                self._source.extend(keeper, list(held.values()), LEASE_SECONDS)
        self._renewed, self._renewed_at = now, at
        return True

    def _begin(self) -> None:
        self._renewed, self._renewed_at = self._clock.monotonic(), self._now()
        self._have_ended = False
        self._note_end()

    def _age(self) -> float:
        """Return the age of the leases in seconds; one of the clocks stands still in a sleep."""
        return max(self._clock.monotonic() - self._renewed, self._now() - self._renewed_at)

    def _ended(self) -> bool:
        """Return True if leases may have ended since they were taken."""
        self._have_ended = self._have_ended or self._age() >= ENDED_SECONDS
        return self._have_ended

    def _now(self) -> float:
        return self._clock.now().timestamp()

    def _note_end(self) -> None:
        self._holder.hold(self._now() + LEASE_SECONDS + RENEWAL_SECONDS)

    def acknowledge(self, letters: Collection[str]) -> set[str]:
        """Acknowledge letters that are held, and return those that are gone for sure.

        Pub/Sub answers alike where a lease has ended. So a letter counts only if its lease lasted
        until after the answer; for the others, `keep` takes those that are there still.
        """
        gone: set[str] = set()
        self.renew()
        for keeper, held in self._held.items():
            ours = [letter for letter in letters if letter in held]
            if not ours or self._ended():
                continue
            self._source.acknowledge(keeper, [held[letter] for letter in ours])
            if not self._ended():
                gone.update(ours)
            for letter in ours:
                del held[letter]
                self.hashes.pop(letter, None)
        return gone

    def release(self, but: Collection[str] = ()) -> None:
        """Let go of all letters but some.

        Raises:
            SourceError: Pub/Sub refuses, or doesn't answer: the leases end by themselves.
        """
        for keeper, held in self._held.items():
            free = {letter: ack_id for letter, ack_id in held.items() if letter not in but}
            if free:
                self._source.extend(keeper, list(free.values()), 0)
                for letter in free:
                    del held[letter]


def keeper_of_id(letter: str) -> str:
    """Return the subscription that keeps a dead letter.

    >>> keeper_of_id("charge-dead-letter/17")
    'charge-dead-letter'
    """
    return letter.rpartition("/")[0]
