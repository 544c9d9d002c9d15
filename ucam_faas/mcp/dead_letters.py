"""Tools about dead letters and failed jobs, and plans to send them again."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from ucam_faas.backends.ports import Backends
from ucam_faas.dead_letters import documents
from ucam_faas.dead_letters.filters import OPEN, Filter
from ucam_faas.dead_letters.groups import Group
from ucam_faas.dead_letters.letters import LetterState
from ucam_faas.dead_letters.plans import NoPlanError, Plan
from ucam_faas.dead_letters.workbench import Workbench
from ucam_faas.mcp.tools import (
    MOST_ROWS,
    Limit,
    Tool,
    ToolError,
    check_task,
    look,
    payload,
    reject_values,
    workbench_of,
)

ROWS_OF_PLAN = 50
JOURNAL = 20


class Choice(Tool):
    """Chooses dead letters."""

    task: str | None = None
    """Name of the task that failed; null: any."""
    cause: str | None = None
    """`fingerprint` of a cause, as list_dead_letters returns it; null: any."""
    text: str | None = None
    """Text that the payload, an attribute, the reason or an id contains."""

    def filter(self, backends: Backends, states: frozenset[LetterState] = OPEN) -> Filter:
        """Return the filter; where values are hidden, no text may find them out."""
        reject_values(backends, self.text)
        return Filter(task=self.task, fingerprint=self.cause, text=self.text, states=states)


class ListDeadLetters(Choice):
    """List dead letters and failed jobs: their causes, the most frequent first, and the letters,
    the latest first.
    """

    state: LetterState | None = LetterState.NEW
    """How far the letters have been dealt with: `new` ones wait for that; null: in any state."""
    before: str | None = None
    """For the next page: `id` of the last letter of the page before."""
    limit: Limit = 20
    refresh: bool = False
    """Copy the letters from Pub/Sub first, which is done anyway where `ucam-faas dev` runs."""

    def run(self, backends: Backends) -> dict[str, Any]:
        """Return the causes and the letters."""
        bench = workbench_of(backends)
        copy = look(backends, bench, refresh=self.refresh)
        states = frozenset() if self.state is None else frozenset({self.state})
        chosen = self.filter(backends, states)
        letters = bench.letters(chosen, before=self.before, limit=self.limit)
        check_task(backends, self.task, letters)
        return {
            "count": bench.count(chosen),
            "causes": [_cause(group, backends) for group in bench.groups(chosen)[:MOST_ROWS]],
            "letters": [_row(letter, backends) for letter in letters],
            **copy,
        }


class ShowDeadLetter(Tool):
    """Show a dead letter or failed job: why it died, its payload as a replay would send it, and its
    journal.
    """

    id: str
    """Id of the letter, or of its message or job."""

    def run(self, backends: Backends) -> dict[str, Any]:
        """Return the letter."""
        bench, hidden = workbench_of(backends), backends.hides_payloads
        copy = look(backends, bench)
        letter = bench.letter(_one(bench, self.id))
        content, journal = bench.content(letter.id), bench.journal(letter=letter.id, limit=JOURNAL)
        return {
            **_row(letter, backends),
            "attributes": documents.attributes_json(content.attributes, reveal=not hidden),
            "payload": payload(content.data, hidden=hidden),
            "journal": [documents.entry_json(entry, reveal=not hidden) for entry in journal],
            **copy,
        }


class PlanReplay(Choice):
    """Plan to send dead letters again, and send nothing: the dry run.

    It says which letters would be sent, to where, and which are left out. The plan is kept: a
    person runs it in the dashboard or with `ucam-faas dlq replay --plan ID`.
    """

    keeps: ClassVar[bool] = True
    ids: list[str] | None = None
    """Ids of letters, or of their messages or jobs; null: all that the other arguments choose."""
    again: bool = False
    """Include letters that died after an earlier replay."""

    def run(self, backends: Backends) -> dict[str, Any]:
        """Return the plan."""
        bench = workbench_of(backends)
        if self.ids is not None and (self.task or self.cause or self.text):
            raise ToolError("Give ids, or the other arguments, and not both.")
        if self.ids is None and not (self.task or self.cause or self.text):
            raise ToolError("Choose letters: by ids, task, cause or text.")
        copy = look(backends, bench)
        chosen = self.filter(backends) if self.ids is None else [_one(bench, id) for id in self.ids]
        plan = bench.plan(chosen, again=self.again)
        document = _plan(bench, plan) | copy
        if plan.total:
            return document | {"to_run": f"ucam-faas dlq replay --plan {plan.id}"}
        bench.drop(plan.id)
        if not plan.excluded:
            check_task(backends, self.task, ())
            raise ToolError("No dead letter matches. list_dead_letters lists those that wait.")
        return document | {"id": None}


class ShowPlan(Tool):
    """Show a plan of a replay: how far it is, and the letters that failed."""

    plan: str
    """Id of the plan, as plan_replay returns it."""

    def run(self, backends: Backends) -> dict[str, Any]:
        """Return the plan."""
        bench = workbench_of(backends)
        running = bench.running() == self.plan
        return _plan(bench, _plan_of(bench, self.plan)) | {
            "running": running,
            "last_problem": backends.letter_work.problem_of(self.plan),
        }


class RunPlan(Tool):
    """Send the letters of a plan again, each to its task alone; one that ran before goes on.

    It returns at its end, or after `wait_seconds`; show_plan then says how far it is.
    """

    writes: ClassVar[bool] = True
    plan: str
    """Id of the plan, as plan_replay returns it."""
    letters_per_second: Annotated[float, Field(gt=0)] | None = None
    """The most letters to send in a second; null: no limit."""
    wait_seconds: Annotated[float, Field(ge=0, le=60)] = 10
    """How long to wait for the end, at most; the run goes on."""

    def run(self, backends: Backends) -> dict[str, Any]:
        """Run it, and return how far it is."""
        bench = workbench_of(backends)
        _plan_of(bench, self.plan)
        work = backends.letter_work
        work.start(bench, self.plan, self.letters_per_second)
        work.wait(self.plan, self.wait_seconds)
        return _plan(bench, bench.plan_of(self.plan)) | {
            "running": work.runs(self.plan),
            "last_problem": work.problem_of(self.plan),
        }


def _row(letter: Any, backends: Backends) -> dict[str, Any]:
    """Return a letter without empty fields."""
    document = documents.letter_json(letter)
    if backends.hides_payloads:
        hidden = {name: "(hidden)" for name in ("ordering_key", "reason") if document[name]}
        document |= hidden
    return {name: value for name, value in document.items() if value not in ("", None)}


def _cause(group: Group, backends: Backends) -> dict[str, Any]:
    """Return a cause; its reason may be a text of the task's."""
    hidden = backends.hides_payloads and group.reason
    return documents.group_json(group) | ({"reason": "(hidden)"} if hidden else {})


def _one(bench: Workbench, id: str) -> str:
    """Return the id of the letter that an id names.

    Raises:
        ToolError: none has it, or several.
    """
    ids = bench.find(id)
    if id in ids or len(ids) == 1:
        return id if id in ids else ids[0]
    hint = "list_dead_letters lists those that wait."
    if ids:
        hint = f"Several have it: {', '.join(ids[:MOST_ROWS])}."
    raise ToolError(f"No single dead letter has the id {id!r}. {hint}")


def _plan_of(bench: Workbench, id: str) -> Plan:
    try:
        return bench.plan_of(id)
    except NoPlanError as error:
        raise ToolError(f"There is no plan {id!r}. plan_replay makes one.") from error


def _plan(bench: Workbench, plan: Plan) -> dict[str, Any]:
    rows = bench.rows(plan.id, limit=ROWS_OF_PLAN)
    excluded = bench.exclusions(plan.id, limit=ROWS_OF_PLAN)
    return documents.plan_json(plan, rows, excluded)
