"""The workbench: what the command line and the pages do with dead letters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ucam_faas.actions.jobs import Jobs
from ucam_faas.dead_letters import planning, plans
from ucam_faas.dead_letters.archives import archive
from ucam_faas.dead_letters.book import Book, no_letter
from ucam_faas.dead_letters.differences import Diff, difference
from ucam_faas.dead_letters.filters import Filter
from ucam_faas.dead_letters.groups import Group
from ucam_faas.dead_letters.journal import Entry, note
from ucam_faas.dead_letters.letters import Content, Letter, LetterState
from ucam_faas.dead_letters.mirrors import Mirror, Mirrored, last_mirror
from ucam_faas.dead_letters.plans import Excluded, Plan, Row, RowState
from ucam_faas.dead_letters.purges import Purge
from ucam_faas.dead_letters.run_log import Report
from ucam_faas.dead_letters.runs import Run
from ucam_faas.dead_letters.source import Source
from ucam_faas.dead_letters.targets import Targets, To
from ucam_faas.exceptions import ConfigurationError
from ucam_faas.publishing.messages import check_message
from ucam_faas.tasks.needs import TaskNeeds

Chosen = Filter | Sequence[str]
"""A filter, or the ids of letters."""


class Workbench:
    """Dead letters and failed jobs: a list, edits, plans and runs.

    Methods block, and may be called by several threads and processes at a time.

    Args:
        book: keeps the letters.
        source: has the dead letters; None: there is no Pub/Sub.
        jobs: has the failed jobs; None: there is no job store.
        targets: send letters again; None: none can be sent.
        by: who uses it, for the journal.
        tasks: returns those of the application, as far as they are known: their dead-letter
            topics are looked at, too.
    """

    def __init__(
        self,
        book: Book,
        source: Source | None = None,
        jobs: Jobs | None = None,
        targets: Targets | None = None,
        *,
        by: str,
        tasks: Callable[[], Sequence[TaskNeeds]] = tuple,
    ) -> None:
        self.book = book
        self.source = source
        self.jobs = jobs
        self.targets = targets
        self.by = by
        self.tasks = tasks

    def mirror(self) -> Mirrored:
        """Copy all dead letters and failed jobs into the book, and leave them where they are.

        Raises:
            SourceError: Pub/Sub refuses, or doesn't answer.
            BookBusyError: another process holds the letters.
        """
        with self.book.lock.alone():
            mirror = Mirror(self.book, self.by)
            if self.source is not None:
                mirror.copy_messages(self.source, self.tasks())
            if self.jobs is not None:
                mirror.copy_jobs(self.jobs)
            return mirror.end()

    def mirrored(self) -> Mirrored | None:
        """Return the result of the last mirror; None: there was none."""
        return last_mirror(self.book)

    def letters(
        self, chosen: Filter | None = None, *, before: str | None = None, limit: int = 50
    ) -> list[Letter]:
        """Return letters without their data, the latest first.

        Args:
            chosen: chooses them; None: those that wait.
            before: the id of the last letter of the page before; None: the first page.
            limit: the most letters.
        """
        return self.book.letters(chosen or Filter(), before=before, limit=limit)

    def count(self, chosen: Filter | None = None) -> int:
        """Return the number of all letters that match, and not of a page."""
        return self.book.count(chosen or Filter())

    def groups(self, chosen: Filter | None = None) -> list[Group]:
        """Return the causes of the letters that match, the most frequent first."""
        return self.book.groups(chosen or Filter())

    def each(self, chosen: Chosen) -> Iterable[Letter]:
        """Yield letters with their data, the earliest first."""
        return self.book.each(_filter(chosen))

    def find(self, text: str) -> list[str]:
        """Return the ids of letters that an id names: a letter's, a message's or a job's."""
        return self.book.find(text)

    def letter(self, id: str) -> Letter:
        """Return a letter with its data.

        Raises:
            ConfigurationError: there is none.
        """
        letter = self.book.letter(id)
        if letter is None:
            raise no_letter(id)
        return letter

    def content(self, id: str) -> Content:
        """Return what a replay of a letter sends, with its edits."""
        return self.book.content(self.letter(id))

    def edit(
        self,
        id: str,
        data: bytes | None = None,
        attributes: Mapping[str, str] | None = None,
    ) -> Diff:
        """Change what a replay of a letter sends, and return the difference to the letter.

        Args:
            id: of the letter.
            data: None: as they are, with earlier edits.
            attributes: all of them; None: as they are, with earlier edits.

        Raises:
            ConfigurationError: there is no such letter, Pub/Sub takes no such message, or a plan
                may have sent the letter.
        """
        letter = self._unsent(id)
        now = self.book.content(letter)
        content = Content(
            now.data if data is None else data,
            now.attributes if attributes is None else dict(attributes),
            now.key,
        )
        try:
            check_message(content.data, content.attributes, content.key)
        except ValueError as error:
            raise ConfigurationError(str(error)) from error
        diff = difference(letter.content, content)
        self.book.edit(letter, content, by=self.by, detail=str(diff))
        return diff

    def unedit(self, id: str) -> None:
        """Forget the edits of a letter."""
        self.book.edit(self._unsent(id), None, by=self.by)

    def _unsent(self, id: str) -> Letter:
        """Return a letter, unless it may have been sent: its replay keeps its content and id.

        The book has what was sent for as long as the letter.
        """
        plan = plans.sending(self.book).letters.get(id)
        if plan is not None:
            raise ConfigurationError(
                f"{id} may have been sent already: run the plan {plan} to its end first."
            )
        letter = self.letter(id)
        if letter.state is LetterState.REPLAYED:
            raise ConfigurationError(f"{id} was replayed: the edits are those that were sent.")
        return letter

    def diff(self, id: str) -> Diff:
        """Return the edits of a letter; nothing if it has none."""
        letter = self.letter(id)
        return difference(letter.content, self.book.content(letter))

    def plan(self, chosen: Chosen, *, to: To | None = None, again: bool = False) -> Plan:
        """Freeze which letters a run sends, to where, and which it leaves out: the dry run.

        Args:
            chosen: all letters that match.
            to: the kind of target; None: the best of each task.
            again: send also letters that died after a replay.

        Raises:
            ConfigurationError: nothing can be sent from here.
            SourceError: Pub/Sub doesn't say which subscriptions there are.
        """
        if self.targets is None:
            raise ConfigurationError("There is no Pub/Sub to send dead letters to from here.")
        chosen = _filter(chosen)
        id = planning.make(
            self.book, self.targets, chosen, to=to, again=again, by=self.by, text=str(chosen)
        )
        return self.plan_of(id)

    def drop(self, plan: str) -> None:
        """Forget a plan that sends nothing; one with letters stays."""
        with self.book.database.writing() as db:
            empty = "id = ? AND number NOT IN (SELECT plan FROM rows)"
            if db.execute(f"DELETE FROM plans WHERE {empty}", [plan]).rowcount:
                db.execute("DELETE FROM journal WHERE plan = ?", [plan])

    def plans(self, *, limit: int = 50) -> list[Plan]:
        """Return plans, the latest first."""
        return plans.plans(self.book, limit=limit)

    def plan_of(self, plan: str) -> Plan:
        """Return a plan by its id, as far as it is.

        Raises:
            NoPlanError: there is none.
        """
        return plans.plan_of(self.book, plan)

    def rows(
        self, plan: str, *, state: RowState | None = None, after: int = 0, limit: int = 50
    ) -> list[Row]:
        """Return rows of a plan, in its order.

        Args:
            plan: its id.
            state: of the rows; None: any.
            after: the position of the last row of the page before.
            limit: the most rows.
        """
        return plans.rows(self.book, plan, state=state, after=after, limit=limit)

    def exclusions(self, plan: str, *, after: int = 0, limit: int = 50) -> list[Excluded]:
        """Return letters that a plan leaves out, and why.

        Args:
            plan: its id.
            after: how many to skip.
            limit: the most letters.
        """
        return plans.exclusions(self.book, plan, after=after, limit=limit)

    def run(
        self,
        plan: str,
        *,
        rate: float | None = None,
        progress: Callable[[Report], None] | None = None,
        resume: bool = True,
    ) -> Report:
        """Send the letters of a plan that aren't sent yet, and acknowledge them.

        It goes on where an earlier run stopped, however that one ended.

        Args:
            plan: its id.
            rate: the most letters per second; None: no limit.
            progress: called after every few letters.
            resume: begin by calling `resume`; False: the caller has, and a cancel since then stops
                this run.

        Raises:
            NoPlanError: there is no such plan.
            BookBusyError: another process runs one, or holds letters.
            ConfigurationError: nothing can be sent from here.
        """
        if self.targets is None:
            raise ConfigurationError("There is no Pub/Sub to send dead letters to from here.")
        if rate is not None and not rate > 0:
            raise ConfigurationError(f"rate={rate}: expected letters per second, more than 0.")
        if resume:
            self.resume(plan)
        with self.book.lock.alone():
            run = Run(
                self.book,
                plan,
                self.source,
                self.targets,
                by=self.by,
                rate=rate,
                progress=progress,
            )
            return run.run()

    def cancel(self, plan: str) -> None:
        """Stop the run of a plan before its next letters, in whatever process it is.

        A run that still waits for its turn stops when it begins. After `resume` another one goes on
        with the other letters.

        Raises:
            NoPlanError: there is no such plan.
        """
        self.plan_of(plan)
        with self.book.database.writing() as db:
            db.execute("UPDATE plans SET cancelled = 1 WHERE id = ?", [plan])
            entry = Entry(self.book.now(), self.by, "cancelled", plan=plan)
            note(db, [entry])

    def resume(self, plan: str) -> None:
        """Forget that a plan was cancelled, unless its run hasn't stopped yet.

        Raises:
            NoPlanError: there is no such plan.
        """
        if self.plan_of(plan).is_cancelled and self.running() != plan:
            with self.book.database.writing() as db:
                db.execute("UPDATE plans SET cancelled = 0 WHERE id = ?", [plan])

    def running(self) -> str | None:
        """Return the id of the plan that a process runs now; None: there is none."""
        plan = plans.active(self.book)
        return plan if plan is not None and self.book.lock.is_busy() else None

    def handled(self, chosen: Chosen, note: str = "") -> int:
        """Note that all letters that match need nothing more, and return their number."""
        chosen = _among(chosen, LetterState.NEW)
        return self.book.mark(chosen, LetterState.HANDLED, by=self.by, note=note)

    def reopen(self, chosen: Chosen) -> int:
        """Note that handled letters wait again, and return their number."""
        chosen = _among(chosen, LetterState.HANDLED)
        return self.book.mark(chosen, LetterState.NEW, by=self.by, what="reopened")

    def purge(self, chosen: Chosen, progress: Callable[[int], object] | None = None) -> int:
        """Acknowledge all dead letters that match, and delete the jobs; return their number.

        The book keeps a copy for a month. Letters that a plan is sending stay.

        Args:
            chosen: all letters that match, and wait or are handled.
            progress: called with the number of letters that are purged.

        Raises:
            SourceError: Pub/Sub refuses, or doesn't answer.
            BookBusyError: another process holds letters.
        """
        with self.book.lock.alone():
            purge = Purge(self.book, by=self.by, progress=progress)
            purge.run(_filter(chosen), self.source, self.jobs)
            return purge.purged

    def archive(self, chosen: Chosen, path: Path) -> int:
        """Write all letters that match to a new file, and return their number.

        The file has a line of JSON for each. Its `message` is what a replay sends, in the form in
        which Pub/Sub's API takes it, and `dead_letter` the message as it died.

        Raises:
            ConfigurationError: the file exists, or can't be written.
        """
        ids = archive(self.book, _filter(chosen), path)
        now = self.book.now()
        with self.book.database.writing() as db:
            entries = [Entry(now, self.by, "archived", letter=id, detail=str(path)) for id in ids]
            note(db, entries)
        return len(ids)

    def reveal(self, id: str) -> Letter:
        """Return a letter with its data, and note in the journal who saw it."""
        letter = self.letter(id)
        with self.book.database.writing() as db:
            note(db, [Entry(self.book.now(), self.by, "revealed", letter=id)])
        return letter

    def journal(
        self, *, letter: str | None = None, plan: str | None = None, limit: int = 1000
    ) -> list[Entry]:
        """Return what was done, the latest first: who, when, what."""
        return self.book.journal(letter=letter, plan=plan, limit=limit)

    def close(self) -> None:
        """Close the book."""
        self.book.close()


def _filter(chosen: Chosen) -> Filter:
    return chosen if isinstance(chosen, Filter) else Filter.of_ids(chosen)


def _among(chosen: Chosen, state: LetterState) -> Filter:
    """Return a filter for those letters that are in one state."""
    return replace(_filter(chosen), states=frozenset({state}))
