"""The form of a tool: arguments come in, a JSON object goes out, and errors are for the agent."""

from __future__ import annotations

import re
from collections.abc import Sized
from copy import copy
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from ucam_faas.actions.payloads import shown
from ucam_faas.backends.ports import NO_CODE, Backends, KnownTask
from ucam_faas.dead_letters.book_lock import BookBusyError
from ucam_faas.dead_letters.workbench import Workbench
from ucam_faas.exceptions import UCAMFAASException
from ucam_faas.logs.times import utc_text

MOST_ROWS = 100
"""Of a list that a tool returns."""
Limit = Annotated[
    int, Field(ge=1, le=MOST_ROWS, description=f"The most rows to return, 1 to {MOST_ROWS}.")
]


class ToolError(UCAMFAASException):
    """A tool can't answer; the message says why, and what to do."""


class Tool(BaseModel):
    """A tool; its fields are its arguments, and an unknown one is refused.

    Class variables:
        writes: it changes something, so that it's there with `--allow-writes` only.
        keeps: it writes nothing but notes to the workbench's own file.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
    writes: ClassVar[bool] = False
    keeps: ClassVar[bool] = False

    @classmethod
    def tool_name(cls) -> str:
        """Return its name, such as `list_tasks`."""
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", cls.__name__).lower()

    @classmethod
    def description(cls) -> str:
        """Return its docstring, for an agent."""
        return re.sub(r"\n +", "\n", cls.__doc__ or "").strip()

    def run(self, backends: Backends) -> dict[str, Any]:
        """Return the result.

        Raises:
            UCAMFAASException: it isn't possible; the message is for the agent.
        """
        raise NotImplementedError


def task_of(backends: Backends, name: str) -> KnownTask:
    """Return a task.

    Raises:
        ToolError: there is none.
    """
    tasks = {task.needs.name: task for task in tasks_of(backends)}
    if name not in tasks:
        raise ToolError(f"There is no task {name!r}. There are: {', '.join(sorted(tasks))}.")
    return tasks[name]


def tasks_of(backends: Backends) -> list[KnownTask]:
    """Return the tasks, by name.

    Raises:
        ToolError: none are known.
    """
    tasks = sorted(backends.tasks(), key=lambda task: task.needs.name)
    if not tasks:
        raise ToolError(backends.notice or NO_CODE)
    return tasks


def check_task(backends: Backends, name: str | None, rows: Sized) -> None:
    """Refuse the name of an unknown task, which would be taken for one without failures.

    Args:
        backends: know the tasks that are there now.
        name: that was asked for; None: any.
        rows: that were found; those of a task that was removed may be there.

    Raises:
        ToolError: there is no such task.
    """
    if name is not None and not rows and backends.tasks():
        task_of(backends, name)


def workbench_of(backends: Backends) -> Workbench:
    """Return the workbench, whose journal says that an agent did it.

    Raises:
        ToolError: there is none.
    """
    if backends.workbench is None:
        raise ToolError(f"There are no dead letters to see. {backends.notice}".rstrip())
    bench = copy(backends.workbench)
    bench.by = f"{bench.by}, through MCP"
    return bench


def reject_values(backends: Backends, *texts: str | None) -> None:
    """Refuse to search for values where they are hidden: the rows found would reveal them.

    Raises:
        ToolError: values are hidden, and there is one to look for.
    """
    if backends.hides_payloads and any(texts):
        raise ToolError("Values are hidden here, so that none can be looked for.")


def payload(data: bytes, *, hidden: bool) -> dict[str, Any]:
    """Return a payload for an agent; hidden: its keys, types and lengths."""
    view = shown(data, hidden=hidden)
    return {"kind": view.kind, "bytes": view.size, "text": view.text, "is_cut": view.is_cut}


def look(backends: Backends, bench: Workbench, *, refresh: bool = False) -> dict[str, Any]:
    """Copy the letters as they are now, where that costs nothing or was asked for, and return the
    time of the copy, and its problems.
    """
    problems: list[str] = []
    if backends.mirrors and (refresh or backends.letter_work.mirrors):
        try:
            problems = list(backends.letter_work.look(bench).problems)
        except BookBusyError:
            problems = ["Another process holds the letters: these are as they were copied last."]
    last = bench.mirrored()
    return {"copied": utc_text(last.time if last else None), "problems": problems}
