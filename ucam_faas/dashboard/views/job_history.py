"""The life of a job: the changes of its state from the store, with the runs of the history.

Either may have forgotten some, and their clocks may differ: a run belongs to the nearest claim.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ucam_faas.history.rows import Run
from ucam_faas.jobs.rows import Entry, Row

NEAR_SECONDS = 5.0
"""The longest time between a claim and the beginning of its run."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A change of a job's state, and the run that began with it.

    Args:
        entry: None: of a run whose claim the store has forgotten.
        run: None: it isn't known, or none began.
    """

    entry: Entry | None
    run: Run | None = None

    @property
    def time(self) -> float:
        """When it was, in epoch seconds."""
        if self.entry is not None:
            return self.entry.time
        assert self.run is not None, "a moment has one of them"
        return self.run.began


def moments(row: Row, runs: Sequence[Run]) -> list[Moment]:
    """Return the changes of a job's state, the earliest first, each with its run.

    Args:
        runs: of the job, the earliest first.
    """
    claims = {entry.execution: entry for entry in row.history if entry.cause.startswith("claimed")}
    by_claim: dict[int, Run] = {}
    alone: list[Moment] = []
    for run in runs:
        free = (entry for number, entry in claims.items() if number not in by_claim)
        nearest = min(free, key=lambda entry: abs(entry.time - run.began), default=None)
        if nearest is not None and abs(nearest.time - run.began) <= NEAR_SECONDS:
            by_claim[nearest.execution] = run
        else:
            alone.append(Moment(None, run))
    own = [
        Moment(entry, by_claim.get(entry.execution) if entry in claims.values() else None)
        for entry in row.history
    ]
    return sorted([*own, *alone], key=lambda moment: moment.time)
