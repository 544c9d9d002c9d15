"""One dead letter: why it died, what was done about it, and edits for its replay."""

from __future__ import annotations

from typing import Any

from ucam_faas.backends.letter_work import LetterWork
from ucam_faas.backends.ports import Backends
from ucam_faas.dashboard import editor
from ucam_faas.dashboard.editor import Editor
from ucam_faas.dashboard.forms import building, reading
from ucam_faas.dashboard.forms.fields import Field
from ucam_faas.dashboard.query import (
    Download,
    Page,
    PageNotFoundError,
    Query,
    RefusedError,
    See,
    path_of,
)
from ucam_faas.dashboard.views.dead_letters import workbench_of
from ucam_faas.dashboard.views.sending import ATTRIBUTES, ATTRIBUTES_PATH
from ucam_faas.dead_letters.letters import Letter
from ucam_faas.dead_letters.workbench import Workbench
from ucam_faas.exceptions import ConfigurationError


def view(query: Query, backends: Backends) -> Page:
    """Show a letter."""
    bench = workbench_of(query, backends)
    return _shown(query, backends, bench, _letter(bench, query, backends.letter_work))


def reveal(query: Query, backends: Backends) -> Page:
    """Show a letter with its payload, and note in the journal who saw it."""
    bench = workbench_of(query, backends)
    letter = _letter(bench, query, backends.letter_work)
    bench.reveal(letter.id)
    return _shown(query, backends, bench, letter, revealed=True)


def download(query: Query, backends: Backends) -> Download:
    """Return a letter's data, where data are shown."""
    if backends.hides_payloads:
        raise PageNotFoundError("Data are hidden here: show them on the letter's page first.")
    return _file(_letter(workbench_of(query, backends), query, backends.letter_work))


def save(query: Query, backends: Backends) -> Download:
    """Return a letter's data where they are hidden, and note in the journal who did that."""
    bench = workbench_of(query, backends)
    letter = _letter(bench, query, backends.letter_work)
    bench.reveal(letter.id)
    return _file(letter)


def _file(letter: Letter) -> Download:
    return Download(letter.data, f"{letter.message_id or 'dead-letter'}.bin")


def _shown(
    query: Query, backends: Backends, bench: Workbench, letter: Letter, *, revealed: bool = False
) -> Page:
    values = {
        "query": query,
        "letter": letter,
        "own": letter.content,
        "diff": bench.diff(letter.id).lines if letter.edited else (),
        "journal": bench.journal(letter=letter.id, limit=200),
        "revealed": revealed,
        "url": path_of("dead-letters", letter.id),
        "message": _message(backends, letter),
    }
    return Page("dead_letter.html", f"Dead letter {letter.message_id or letter.id}", values)


def _message(backends: Backends, letter: Letter) -> str:
    """Return the id of a message that the history has: as the task had it, or the letter."""
    if backends.history is None:
        return ""
    ids = [id for id in (letter.original_id, letter.message_id) if id]
    return next((id for id in ids if backends.history.message(id) is not None), "")


def edit(query: Query, backends: Backends) -> Page:
    """Show the form of the content that a replay sends."""
    bench = workbench_of(query, backends)
    letter = _letter(bench, query, backends.letter_work)
    if backends.read_only:
        return Page("error.html", "Read-only", {"text": "This dashboard is read-only."}, 403)
    return _opened(query, backends, bench, letter, is_hidden=backends.hides_payloads)


def _opened(
    query: Query, backends: Backends, bench: Workbench, letter: Letter, *, is_hidden: bool
) -> Page:
    content = bench.content(letter.id)
    if is_hidden:
        payload = editor.hidden(content.data)
    else:
        payload = editor.opened(_schema(backends, letter), content.data, query.args.get("mode"))
        payload = _with_errors(backends, letter, payload, dict(content.attributes))
    attributes = building.of_value(ATTRIBUTES, {} if is_hidden else dict(content.attributes))
    return _form(query, letter, payload, attributes, is_hidden=is_hidden)


def change(query: Query, backends: Backends) -> Page | See:
    """Do what a button of the form says."""
    bench = workbench_of(query, backends)
    letter = _letter(bench, query, backends.letter_work)
    action = query.form.get("do")
    if action == "reveal":
        bench.reveal(letter.id)
        return _opened(query, backends, bench, letter, is_hidden=False)
    controls = dict(reversed(query.form.pairs))
    if backends.hides_payloads and not any(name.startswith(ATTRIBUTES_PATH) for name in controls):
        return _opened(query, backends, bench, letter, is_hidden=True)  # nothing was shown yet
    attributes = building.of_submitted(ATTRIBUTES, controls, ATTRIBUTES_PATH)
    is_about_attributes = action.partition(" ")[2].partition("/")[0] == ATTRIBUTES_PATH
    if is_about_attributes:
        reading.act(ATTRIBUTES, attributes, action)
    payload = editor.submitted(
        _schema(backends, letter),
        controls,
        bench.content(letter.id).data,
        "add nothing" if is_about_attributes else action,
        is_hidden=backends.hides_payloads,
    )
    if action.startswith(("add ", "remove ", "choose ", "mode ")):
        return _form(query, letter, payload, attributes)
    named: dict[str, str] = reading.value_of(attributes)
    if reading.problems_of(attributes) or payload.has_problems or payload.data is None:
        return _form(query, letter, payload, attributes, status=422)
    if action != "save anyway":
        payload = _with_errors(backends, letter, payload, named)
        if payload.has_problems:
            return _form(query, letter, payload, attributes, status=422, may_save=True)
    if action == "check":
        return _form(query, letter, payload, attributes, notice="The task accepts it.")
    if not action.startswith("save"):
        raise RefusedError(f"There is no such action: {action!r}.")
    try:
        diff = bench.edit(letter.id, payload.data, named)
    except ConfigurationError as error:
        payload.problems.append(str(error))
        return _form(query, letter, payload, attributes, status=422)
    done = "A replay sends your edits." if diff else "A replay sends it as it died."
    return See(path_of("dead-letters", letter.id), done)


def unedit(query: Query, backends: Backends) -> See:
    """Forget the edits of a letter."""
    bench = workbench_of(query, backends)
    letter = _letter(bench, query, backends.letter_work)
    bench.unedit(letter.id)
    return See(path_of("dead-letters", letter.id), "A replay sends it as it died.")


def _form(
    query: Query,
    letter: Letter,
    payload: Editor,
    attributes: Field,
    *,
    status: int = 200,
    notice: str = "",
    is_hidden: bool = False,
    may_save: bool = False,
) -> Page:
    values: dict[str, Any] = {
        "query": query,
        "letter": letter,
        "url": path_of("dead-letters", letter.id),
        "payload": payload,
        "attributes": attributes,
        "notice": notice,
        "is_hidden": is_hidden,
        "may_save": may_save,
    }
    title = f"Edit dead letter {letter.message_id or letter.id}"
    return Page("dead_letter_edit.html", title, values, status)


def _letter(bench: Workbench, query: Query, work: LetterWork) -> Letter:
    """Return the letter of the path: by its own id, or that of its message or job."""
    id = query.parts["id"]
    if not bench.find(id):
        work.refresh(bench)  # a link may lead to a letter that isn't copied yet
    ids = bench.find(id)
    if id not in ids and len(ids) != 1:
        raise PageNotFoundError(
            f"There is no dead letter {id!r}, or several have this id. The list has all of them."
        )
    return bench.letter(id if id in ids else ids[0])


def _schema(backends: Backends, letter: Letter) -> Any:
    for task in backends.tasks():
        if task.needs.name == letter.task:
            return editor.json_schema(task.schema, task.topic_schema)
    return None


def _with_errors(
    backends: Backends, letter: Letter, payload: Editor, attributes: dict[str, str]
) -> Editor:
    """Return the editor with the errors of the task's present code at their fields."""
    if backends.parser is None:
        return payload
    return editor.checked(backends.parser, letter.task, payload, attributes)
