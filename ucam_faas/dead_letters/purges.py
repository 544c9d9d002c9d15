"""A purge: letters are acknowledged, and jobs deleted, without a replay. The book keeps a copy."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ucam_faas.actions.jobs import Jobs, act
from ucam_faas.dead_letters.book import Book
from ucam_faas.dead_letters.failed_jobs import FAILED, job_of_id
from ucam_faas.dead_letters.filters import Filter
from ucam_faas.dead_letters.leases import Leases
from ucam_faas.dead_letters.letters import JOB, LetterState
from ucam_faas.dead_letters.plans import sending
from ucam_faas.dead_letters.source import Source

PURGEABLE = frozenset({LetterState.NEW, LetterState.HANDLED})
BATCH = 500
"""Letters that are acknowledged, and then marked, at a time."""


class Purge:
    """A purge of some letters.

    Args:
        book: has them; this process is alone with it.
        by: who purges them.
        progress: called with the number of letters that are purged.
    """

    def __init__(self, book: Book, *, by: str, progress: Callable[[int], object] | None) -> None:
        self._book, self._by = book, by
        self._progress = progress
        self.purged = 0

    def run(self, chosen: Filter, source: Source | None, jobs: Jobs | None) -> None:
        """Purge all letters that a filter chooses, but for those that a plan is sending."""
        kept = sending(self._book)
        letters = [id for id in self._book.ids(chosen, among=PURGEABLE) if id not in kept.letters]
        messages = [id for id in letters if not id.startswith(JOB)]
        if source is not None and messages:
            self._messages(source, messages, jobs)
        if jobs is not None:
            failed = [id for id in letters if id.startswith(JOB)]
            for start in range(0, len(failed), BATCH):
                some = failed[start : start + BATCH]
                self._mark([id for id in some if _delete(jobs, id)])

    def _messages(self, source: Source, letters: Sequence[str], jobs: Jobs | None) -> None:
        with Leases(source, self._book) as leases:
            leases.take(letters, _nothing)
            left = list(letters)
            while left:
                leases.keep(left, _nothing)
                part, left = left[:BATCH], left[BATCH:]
                some = self._book.letters(Filter.of_ids(part), limit=BATCH)
                there = {each.id: each for each in some if leases.hashes.get(each.id) == each.hash}
                for letter in there.values():
                    if jobs is not None and letter.job:
                        _delete(jobs, letter.job)
                gone = leases.acknowledge(there)
                self._mark([id for id in there if id in gone])
                left = [id for id in there if id not in gone] + left  # their leases have ended

    def _mark(self, letters: Sequence[str]) -> None:
        if letters:
            chosen = Filter.of_ids(letters)
            self.purged += self._book.mark(chosen, LetterState.PURGED, by=self._by)
            if self._progress is not None:
                self._progress(self.purged)


def _nothing() -> None:
    pass


def _delete(jobs: Jobs, id: str) -> bool:
    """Delete a failed job, and return False if there is no such job any more."""
    row = jobs.store.get(job_of_id(jobs.app, id))
    return row is not None and row.state in FAILED and act(jobs, "delete", row).done
