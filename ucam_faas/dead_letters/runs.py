"""The run of a plan: PLANNED, SENDING, SENT, ACKED.

Each step is written to the book before the next one begins, so that a run that ends in any way goes
on where it was. Before a letter is sent, its row is SENDING; when the target has it, SENT; only
then is the dead letter acknowledged. A process that ends in between leaves either a letter that
wasn't sent, or one that has only to be acknowledged. Of a row in SENDING it isn't known: it is sent
again, under the same replay id.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from ucam_faas.dead_letters import plans
from ucam_faas.dead_letters.book import Book
from ucam_faas.dead_letters.leases import STEP_SECONDS, Leases
from ucam_faas.dead_letters.letter_table import edited_content
from ucam_faas.dead_letters.letters import JOB, Content, Letter, LetterState
from ucam_faas.dead_letters.planning import frozen_hash
from ucam_faas.dead_letters.plans import Row, RowState
from ucam_faas.dead_letters.row_queue import RowQueue
from ucam_faas.dead_letters.run_log import Change, Report, RunLog
from ucam_faas.dead_letters.sending import Sender
from ucam_faas.dead_letters.source import Source, SourceError
from ucam_faas.dead_letters.targets import Refused, Replay, Result, Sent, Target, Targets, To
from ucam_faas.execution.dead_letters import MESSAGE_ID_ATTRIBUTE
from ucam_faas.execution.replays import REPLAY_ID_ATTRIBUTE, REPLAYS_ATTRIBUTE
from ucam_faas.gcp.limits import MAX_ATTRIBUTES

BATCH = 100
"""The most letters whose rows are SENDING at a time."""
UNSURE = (RowState.SENDING, RowState.UNCERTAIN)
"""The states of rows that may have been sent."""
MAX_REFUSALS = 20
"""Letters in a row that a target may refuse before the run stops."""


class _StoppedError(Exception):
    """The run stops here; the text says why, and is empty if it was cancelled."""


class _Refusal(NamedTuple):
    """Why a letter isn't sent.

    Args:
        is_final: no later run can send it either.
        is_gone: its dead letter isn't where it was.
    """

    reason: str
    is_final: bool = False
    is_gone: bool = False


class Run:
    """A run of a plan.

    Args:
        book: has the plan; this process holds it alone.
        plan: the id.
        source: has the dead letters; None: there is no Pub/Sub.
        targets: send the letters.
        by: who runs it.
        rate: the most letters per second; None: no limit.
        progress: called after every few letters.
    """

    def __init__(
        self,
        book: Book,
        plan: str,
        source: Source | None,
        targets: Targets,
        *,
        by: str,
        rate: float | None,
        progress: Callable[[Report], None] | None,
    ) -> None:
        self._book, self._plan = book, plan
        self._source = source
        self._rate, self._progress = rate, progress
        self._log = RunLog(book, plan, by)
        self._sender = Sender(targets)
        self._leases: Leases | None = None
        self._others = plans.Others({}, {})
        """The letters that another plan may have sent, with its id."""
        self._planned = plans.plan_of(book, plan).created
        self._refusals: Counter[Target] = Counter()

    def run(self) -> Report:
        """Do what is left, as far as possible, and return how far that is."""
        self._log.begin()
        self._others = plans.sending(self._book, but=self._plan)
        report = self._log.report("its process ended")
        try:
            self._check_cancelled()
            self._with_leases()
            report = self._log.report()
        except SourceError as error:
            report = self._log.report(f"{error}.")
        except _StoppedError as stop:
            report = self._log.report(str(stop), is_cancelled=not str(stop))
        finally:
            self._sender.close()
            self._log.end(report)
        return report

    def _with_leases(self) -> None:
        rows = list(plans.left(self._book, self._plan))
        if self._source is None:
            return self._all(rows)
        with Leases(self._source, self._book) as self._leases:
            self._leases.take(set(self._wanted()), self._tell_wait)
            self._all(rows)

    def _all(self, rows: Sequence[Row]) -> None:
        """Acknowledge what was sent, and then send the others."""
        sent = [row for row in rows if row.state is RowState.SENT]
        for start in range(0, len(sent), BATCH):
            self._acknowledge(sent[start : start + BATCH])
        queue = RowQueue(row for row in rows if row.state is not RowState.SENT)
        most = BATCH if self._rate is None else max(1, min(BATCH, int(self._rate)))
        clock = self._book.clock
        begin, done = clock.monotonic(), 0
        try:
            while batch := queue.take(most):
                self._check_cancelled()
                by_letter = {row.letter: row for row in batch}
                for letters in self._book.portions(list(by_letter)):
                    for row in self._send([by_letter[letter] for letter in letters]):
                        queue.block(row)
                done += len(batch)
                if self._progress is not None:
                    self._progress(self._log.report())
                if self._rate is not None and queue:
                    self._wait(begin + done / self._rate - clock.monotonic())
        finally:
            reason = "an earlier letter of its key wasn't sent"
            self._log.write([Change(row, row.state, None, reason) for row in queue.held_back])

    def _send(self, rows: Sequence[Row]) -> list[Row]:
        """Send letters, acknowledge those that their targets have, and return the other rows."""
        self._keep()
        replays: dict[Row, Replay] = {}
        refused: list[Change] = []
        left_out: dict[Row, str] = {}
        for row, replay in zip(rows, self._replays(rows), strict=True):
            if isinstance(replay, Replay):
                replays[row] = replay
            elif replay.is_final and row.state not in UNSURE:
                left_out[row] = replay.reason
            else:
                is_over = replay.is_final or replay.is_gone
                refused.append(_refused(row, replay.reason, is_over=is_over))
        self._log.leave_out(left_out)
        self._log.write([*refused, *(Change(row, RowState.SENDING) for row in replays)])
        results = self._sender.send(replays, self._renew)
        changes = [_change(row, result) for row, result in results.items()]
        self._log.write(changes)
        sent = [row for row, result in results.items() if isinstance(result, Sent)]
        self._acknowledge(sent)
        self._check(results)
        over = {row for row, state, _, _ in [*refused, *changes] if state is RowState.UNCERTAIN}
        done = {*sent, *left_out, *over}
        return [row for row in rows if row not in done]

    def _replays(self, rows: Sequence[Row]) -> Iterator[Replay | _Refusal]:
        """Yield the replay of each row, or the reason for which there is none."""
        letters = {each.id: each for each in self._book.with_data([row.letter for row in rows])}
        with self._book.database.reading() as db:
            for row in rows:
                letter = letters.get(row.letter)
                if letter is None:
                    yield _Refusal("the copy in .ucam-faas/ has it no longer", is_final=True)
                elif letter.state in (LetterState.REPLAYED, LetterState.PURGED):
                    reason = f"it was {letter.state} after the plan was made"
                    yield _Refusal(reason, is_final=True)
                elif reason := self._refusal(row, letter, frozen_hash(db, letter)):
                    yield _Refusal(reason)
                elif letter.keeper and letter.id not in self._hashes:
                    what = "another process holds or acknowledged it, or it expired"
                    yield _Refusal(f"it isn't on {letter.keeper} now: {what}", is_gone=True)
                elif letter.keeper and self._hashes[letter.id] != letter.hash:
                    yield _Refusal("another message has its id", is_gone=True)
                else:
                    content = _marked(edited_content(db, letter), letter, row.replay_id)
                    yield Replay(letter, content, row.replay_id)

    def _refusal(self, row: Row, letter: Letter, hash: str) -> str:
        """Return why a letter isn't sent; nothing if it can be."""
        if reason := self._others.refusal(letter.id, row.lane):
            return reason
        if hash != row.hash:
            return "it, or its edit, has changed after the plan was made: make a new one"
        is_later = letter.changed is not None and letter.changed > self._planned
        if letter.state is LetterState.HANDLED and is_later and row.state not in UNSURE:
            return "it was noted as handled after the plan was made: reopen it to send it"
        return ""

    def _acknowledge(self, rows: Sequence[Row]) -> None:
        known = self._book.hashes([row.letter for row in rows])
        while self._leases is not None:
            self._keep()
            ours = {id for id, hash in known.items() if self._hashes.get(id) == hash}
            gone = self._leases.acknowledge(ours)  # another message may have the id by now
            if gone == ours:
                break
            for id in gone:
                del known[id]
        self._log.write([Change(row, RowState.ACKED) for row in rows])

    def _check(self, results: Mapping[Row, Result]) -> None:
        """Stop where going on would only bring more failures.

        Raises:
            _StoppedError: Pub/Sub doesn't answer, or a target refuses one letter after the other.
        """
        for row, result in results.items():
            if isinstance(result, Sent):
                self._refusals[row.target] = 0
                continue
            self._refusals[row.target] += 1
            if not isinstance(result, Refused) and row.target.to is To.INBOX:
                raise _StoppedError(f"{result.reason}.")
            if self._refusals[row.target] >= MAX_REFUSALS:
                raise _StoppedError(
                    f"{MAX_REFUSALS} letters in a row failed; the last one: {result.reason}."
                )

    def _tell_wait(self) -> None:
        self._check_cancelled()
        if self._leases is not None and self._leases.waits and self._progress is not None:
            self._progress(replace(self._log.report(), waits=self._leases.waits))

    @property
    def _hashes(self) -> Mapping[str, str]:
        """The hashes of the letters that are held, by their ids."""
        return {} if self._leases is None else self._leases.hashes

    def _keep(self) -> None:
        if self._leases is not None:
            self._leases.keep(self._wanted(), self._tell_wait)

    def _wanted(self) -> Iterator[str]:
        """Yield the messages of the rows that aren't done."""
        for row in plans.left(self._book, self._plan):
            if not row.letter.startswith(JOB):
                yield row.letter

    def _renew(self) -> None:
        if self._leases is not None:
            self._leases.renew()

    def _wait(self, seconds: float) -> None:
        clock = self._book.clock
        if self._leases is not None:
            return self._leases.wait(seconds, self._check_cancelled)
        end = clock.monotonic() + seconds
        while (left := end - clock.monotonic()) > 0:
            self._check_cancelled()
            clock.sleep(min(STEP_SECONDS, left))

    def _check_cancelled(self) -> None:
        if self._log.is_cancelled():
            raise _StoppedError


def _marked(content: Content, letter: Letter, replay_id: str) -> Content:
    """Return the content of a replay: with its id, its number, and the message that it repeats if
    there is room for that.
    """
    marks = {REPLAY_ID_ATTRIBUTE: replay_id, REPLAYS_ATTRIBUTE: str(letter.replays + 1)}
    if letter.original_id and len(content.attributes) + len(marks) < MAX_ATTRIBUTES:
        marks[MESSAGE_ID_ATTRIBUTE] = letter.original_id
    return Content(content.data, {**content.attributes, **marks}, content.key)


def _refused(row: Row, reason: str, *, is_over: bool) -> Change:
    """Return the change of a row that isn't sent now.

    One that may have been sent stays so: no other plan takes it then, and its replay keeps its id.

    Args:
        row: as it was before.
        reason: why it isn't sent.
        is_over: no later run can send it, unless its letter comes back.
    """
    if row.state not in UNSURE:
        return Change(row, RowState.FAILED, None, reason)
    if is_over:
        return Change(row, RowState.UNCERTAIN, None, f"it may have been sent; {reason}")
    return Change(row, row.state, None, reason)


def _change(row: Row, result: Result) -> Change:
    if isinstance(result, Sent):
        return Change(row, RowState.SENT, result.id)
    if isinstance(result, Refused):
        return _refused(row, result.reason, is_over=result.is_final)
    return Change(row, RowState.SENDING, None, result.reason)
