"""A page of jobs that a query chooses, read from the store without counting or reading the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ucam_faas.actions.job_texts import error_text, progress
from ucam_faas.actions.jobs import Jobs
from ucam_faas.dashboard.query import Values
from ucam_faas.dashboard.views.times import window
from ucam_faas.jobs import pages
from ucam_faas.jobs.rows import Key, Place, Row, key_of, name_of
from ucam_faas.jobs.states import LIVE, UNSUCCESSFUL, State
from ucam_faas.logs.columns import printable
from ucam_faas.logs.durations import duration_text

PAGE = 50
MOST_READ = 1000
"""Jobs that a page reads to find those of a lane or a batch's state."""
GROUPS = {"live": LIVE, "unsuccessful": UNSUCCESSFUL}
"""Values of `state` that name several."""


@dataclass(frozen=True, slots=True)
class JobLine:
    """A job in a list: its row, and the one thing worth knowing beside its state."""

    row: Row
    note: str


@dataclass(frozen=True, slots=True)
class JobPage:
    """A page of jobs.

    Args:
        lines: the latest first; of a batch or a parent, in the store's order.
        next: the key of the page after it; None: there are no more.
        read: jobs that were looked at.
        problems: sentences about values that can't be read, and are left out.
    """

    lines: list[JobLine]
    next: str | None
    read: int
    problems: tuple[str, ...]

    @property
    def is_unfinished(self) -> bool:
        """Return True if it may lack jobs because too many others were read."""
        return self.next is not None and len(self.lines) < PAGE


@dataclass(frozen=True, slots=True)
class _Chosen:
    task: str | None
    states: frozenset[State]
    lane: str | None
    since: float | None
    until: float | None

    def has(self, row: Row) -> bool:
        return (
            self.task in (None, row.key.task)
            and (not self.states or row.state in self.states)
            and self.lane in (None, row.lane)
            and (self.since is None or row.created >= self.since)
            and (self.until is None or row.created < self.until)
        )


def page_of(jobs: Jobs, args: Values, *, hidden: bool) -> JobPage:
    """Return the page of jobs that a URL's query asks for.

    Args:
        jobs: of the application.
        args: `task`, `state`, `lane`, `batch`, `parent`, the time, and `before`.
        hidden: errors' messages are left out.
    """
    now = jobs.store.now()
    time, (states, problems) = window(args, now), _states(args.all("state"))
    chosen = _Chosen(
        args.get("task") or None, states, args.get("lane") or None, time.since, time.until
    )
    lines: list[JobLine] = []
    last: Row | None = None
    number, by_key = 0, args.has("batch") or args.has("parent")
    for number, row in enumerate(_rows(jobs, chosen, args)):
        if len(lines) == PAGE or number == MOST_READ:
            assert last is not None, "a row came before"
            key = name_of(last.key) if by_key else key_text(last.place)
            return JobPage(lines, key, number, time.problems + problems)
        if chosen.has(row):
            lines.append(JobLine(row, note(row, now, hidden=hidden)))
        last = row
    return JobPage(lines, None, number, time.problems + problems)


def _states(names: list[str]) -> tuple[frozenset[State], tuple[str, ...]]:
    states: set[State] = set()
    problems = []
    for name in names:
        if name in GROUPS:
            states |= GROUPS[name]
        elif name.upper() in frozenset(State):
            states.add(State(name.upper()))
        else:
            problems.append(f"{name!r} isn't a state of jobs.")
    return frozenset(states), tuple(problems)


def _rows(jobs: Jobs, chosen: _Chosen, args: Values) -> Iterator[Row]:
    """Yield rows after the key of a page; those of a lane or a batch are still to be chosen."""
    before = args.get("before")
    last = key_of(jobs.app, before) if before else None
    if args.has("batch"):
        return _all(jobs.store.members, jobs.app, batch_name(jobs, args.get("batch")), last)
    if args.has("parent"):
        return _all(jobs.store.children, jobs.app, args.get("parent"), last)
    return pages.latest(
        jobs.store,
        jobs.app,
        page=pages.ROWS if chosen.lane else PAGE + 1,
        task=chosen.task,
        states=chosen.states,
        since=chosen.since,
        until=chosen.until,
        after=place_of(jobs.app, before),
    )


def _all(read: Callable[..., list[Row]], app: str, of: str, after: Key | None) -> Iterator[Row]:
    """Yield the members of a batch, or the children of a job."""
    while rows := read(app, of, after=after, limit=PAGE + 1):
        yield from rows
        after = rows[-1].key


def batch_name(jobs: Jobs, batch: str) -> str:
    """Return the name of a batch: its callback's task and id.

    Args:
        batch: this name, or the id alone.
    """
    if "/" in batch:
        return batch
    callbacks = jobs.store.find(jobs.app, id=batch, limit=1)
    return name_of(callbacks[0].key) if callbacks else batch


def key_text(place: Place) -> str:
    """Return a place as `before` has it.

    >>> key_text(Place(12.5, Key("shop", "charge", "17")))
    '12.5/charge/17'
    """
    return f"{place.created!r}/{name_of(place.key)}"


def place_of(app: str, text: str) -> Place | None:
    """Return the place that `before` has; None: it has none, and the list begins."""
    created, _, name = text.partition("/")
    try:
        return Place(float(created), key_of(app, name))
    except ValueError:
        return None


def note(row: Row, now: float, *, hidden: bool) -> str:
    """Return the one thing worth knowing beside a job's state, if there is any.

    Args:
        now: the store's time.
        hidden: an error's message is left out: it may have data.
    """
    parts = []
    if row.state is State.STARTED and row.progress:
        parts.append(progress(row.progress))
    if row.cancel_requested and row.state in LIVE:
        parts.append("cancellation requested")
    if row.is_waiting_callback:
        parts.append("waits for its batch")
    elif row.state is State.PAUSED:
        parts.append("waits to be resumed")
    if row.error and row.state is not State.SUCCESS:
        parts.append(printable(str(row.error.get("type"))) if hidden else error_text(row))
    if row.state is State.PENDING and row.due > now:
        text = "runs again in" if row.executions else "starts in"
        parts.append(f"{text} {duration_text(row.due - now)}")
    return "; ".join(parts)
