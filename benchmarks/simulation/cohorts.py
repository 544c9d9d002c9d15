"""Jobs in groups: those of one tick that failed equally often, and the messages that wake them."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random


@dataclass(slots=True, eq=False)
class Cohort:
    """Jobs that were sent in one tick, and are due at one time.

    Args:
        sent: when the sender first tried.
        due: when they may start.
        failures: of each.
        pending: how many of them wait.
        woken: first wakes of them that are published and weren't yet answered.
    """

    sent: float
    due: float
    failures: int
    pending: int
    woken: int = 0


@dataclass(slots=True, eq=False)
class Wakes:
    """Messages in the inbox for jobs of one cohort.

    Args:
        cohort: of the jobs.
        count: of the messages.
        repeated_for: the jobs that waited when the sweep repeated their wakes; 0: first wakes.
        failures: deliveries that weren't acknowledged.
    """

    cohort: Cohort
    count: int
    repeated_for: int = 0
    failures: int = 0

    def split(self, count: int) -> Wakes:
        """Take some of the messages."""
        self.count -= count
        return Wakes(self.cohort, count, self.repeated_for, self.failures)

    def claim(self, dice: Dice) -> int:
        """Claim the jobs of these messages, and return how many could be claimed.

        The others run already, or have ended: another wake was earlier.
        """
        cohort = self.cohort
        published = self.repeated_for or cohort.woken
        claimed = self.count
        if cohort.pending < published:
            claimed = dice.round(self.count * cohort.pending / published)
        claimed = min(claimed, cohort.pending, self.count)
        cohort.pending -= claimed
        if not self.repeated_for:
            cohort.woken -= self.count
        return claimed


class Dice:
    """Random whole numbers, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def round(self, expected: float) -> int:
        """Return one of the two whole numbers around an expected value, right on average."""
        whole = int(expected)
        return whole + (self._random.random() < expected - whole)

    def poisson(self, expected: float) -> int:
        """Return about a Poisson number."""
        if expected < 5:
            return self.round(expected)
        return max(0, round(self._random.gauss(expected, expected**0.5)))
