"""Sending to a task: a job or a message, from a form; or one that was sent before, with edits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ucam_faas.backends import sending
from ucam_faas.backends.ports import NO_CODE, Backends, KnownTask
from ucam_faas.backends.sending import can_publish, can_send, takes_jobs
from ucam_faas.dashboard import editor
from ucam_faas.dashboard.editor import Editor
from ucam_faas.dashboard.forms import building, reading
from ucam_faas.dashboard.forms.fields import Field
from ucam_faas.dashboard.forms.shapes import Schema
from ucam_faas.dashboard.query import Page, PageNotFoundError, Query, See, path_of
from ucam_faas.exceptions import UCAMFAASException
from ucam_faas.jobs.rows import Key
from ucam_faas.logs.durations import read_duration
from ucam_faas.publishing.messages import check_message, message_attributes
from ucam_faas.tasks.needs import TaskNeeds
from ucam_faas.tasks.triggers import is_googles

ATTRIBUTES = Schema({"type": "object", "additionalProperties": {"type": "string"}})
ATTRIBUTES_PATH = "a"
_OPTIONS = ("lane", "delay", "id", "ordering_key")


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """A message or a job that was sent before.

    Args:
        name: as the URL has it: `message:ID` or `job:ID`.
        text: for people.
        url: of its page.
    """

    name: str
    text: str
    url: str
    data: bytes
    attributes: Mapping[str, str]
    key: str = ""
    lane: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """The state of the page.

    Args:
        payload: None: the task needs none.
        attributes: a form of texts by name.
        options: that are sent with it, as texts by name.
        problems: of options by name.
        notice: the result of a check.
    """

    payload: Editor | None
    attributes: Field
    options: Mapping[str, str] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)
    notice: str = ""


def view(query: Query, backends: Backends) -> Page:
    """Show the form."""
    task = task_of(backends, query.parts["name"])
    original = _original(backends, task, query.args.get("from"))
    is_hidden = backends.hides_payloads and original is not None
    return _page(query, backends, task, original, _opened(query, task, original, is_hidden))


def act(query: Query, backends: Backends) -> Page | See:
    """Do what a button of the form says."""
    task = task_of(backends, query.parts["name"])
    original = _original(backends, task, query.args.get("from"))
    action = query.form.get("do")
    if backends.read_only and action in ("send", "publish"):
        return Page("error.html", "Read-only", {"text": "This dashboard is read-only."}, 403)
    if action == "reveal" and original is not None:
        backends.log(query.who, "revealed", original.text)
        return _page(query, backends, task, original, _opened(query, task, original, False))
    draft = _submitted(query, task, original, action, is_hidden=backends.hides_payloads)
    is_change = action.startswith(("add ", "remove ", "choose ", "mode "))
    if is_change:
        return _page(query, backends, task, original, draft)
    draft = _checked(backends, task, _formed(backends, task, original, draft))
    if _has_problems(draft):
        return _page(query, backends, task, original, draft, status=422)
    try:
        if action == "send":
            return _send(backends, task.needs, draft)
        if action == "publish":
            return _publish(backends, task.needs, draft)
    except (UCAMFAASException, ValueError, TypeError) as error:
        draft = replace(draft, problems={"": str(error)})
        return _page(query, backends, task, original, draft, status=422)
    checked = "The task accepts it." if backends.parser is not None else "The form is complete."
    return _page(query, backends, task, original, replace(draft, notice=checked))


def task_of(backends: Backends, name: str) -> KnownTask:
    """Return a task.

    Raises:
        PageNotFoundError: there is none.
    """
    for task in backends.tasks():
        if task.needs.name == name:
            return task
    if backends.task_list is None:
        raise PageNotFoundError(NO_CODE)
    raise PageNotFoundError(f"There is no task {name!r}. The page of tasks lists them.")


def names(backends: Backends) -> list[str]:
    """Return the names of the tasks that the form can send to."""
    needs = [task.needs for task in backends.tasks()]
    return sorted(
        each.name for each in needs if can_send(backends, each) or can_publish(backends, each)
    )


def _original(backends: Backends, task: KnownTask, name: str) -> Original | None:
    kind, _, id = name.partition(":")
    if kind == "message" and backends.history is not None:
        message = backends.history.message(id)
        if message is not None:
            return Original(
                name=name, text=f"message {id}", url=path_of("messages", id), data=message.data,
                attributes=_publishable(message.attributes), key=message.key or "",
            )  # fmt: skip
    elif kind == "job" and backends.jobs is not None:
        row = backends.jobs.store.get(Key(backends.jobs.app, task.needs.name, id))
        if row is not None:
            return Original(
                name=name, text=f"job {id}", url=path_of("jobs", task.needs.name, id),
                data=backends.jobs.store.payload_of(row),
                attributes=_publishable(row.attributes), key=row.ordering_key or "", lane=row.lane,
            )  # fmt: skip
    if name:
        raise PageNotFoundError(f"There is no {kind} {id!r} to send again.")
    return None


def _publishable(attributes: Mapping[str, str]) -> dict[str, str]:
    """Return the attributes that a sender has set, and may set again.

    A message that became a job has those of Pub/Sub and the package, too.
    """
    return {
        key: value
        for key, value in attributes.items()
        if not key.startswith("ucam_faas_") and not is_googles(key)
    }


def _opened(query: Query, task: KnownTask, original: Original | None, is_hidden: bool) -> Draft:
    schema = editor.json_schema(task.schema, task.topic_schema)
    data = None if original is None else original.data
    if data is None and query.args.has("sample") and task.needs.sample:
        data = task.needs.sample.encode()
    if task.needs.sample == "" and not data:
        payload = None
    elif is_hidden and data is not None:
        payload = editor.hidden(data)
    else:
        payload = editor.opened(schema, data, query.args.get("mode"))
    options = {} if original is None else {"ordering_key": original.key, "lane": original.lane}
    attributes = {} if original is None else dict(original.attributes)
    return Draft(
        payload=payload, attributes=building.of_value(ATTRIBUTES, attributes), options=options
    )


def _submitted(
    query: Query, task: KnownTask, original: Original | None, action: str, *, is_hidden: bool
) -> Draft:
    controls = dict(reversed(query.form.pairs))
    attributes = building.of_submitted(ATTRIBUTES, controls, ATTRIBUTES_PATH)
    if action.partition(" ")[2].partition("/")[0] == ATTRIBUTES_PATH:
        reading.act(ATTRIBUTES, attributes, action)
        action = "add nothing"
    payload = None
    if "mode" in controls:
        schema = editor.json_schema(task.schema, task.topic_schema)
        data = None if original is None else original.data
        payload = editor.submitted(schema, controls, data, action, is_hidden=is_hidden)
    options = {name: controls.get(name, "").strip() for name in _OPTIONS}
    return Draft(payload=payload, attributes=attributes, options=options)


def _formed(backends: Backends, task: KnownTask, original: Original | None, draft: Draft) -> Draft:
    """Return the draft with the payload as it is sent; that of an original stays as it is."""
    data = None if draft.payload is None else draft.payload.data
    if backends.parser is None or draft.payload is None or data is None:
        return draft
    if original is not None and data == original.data:
        return draft
    if editor.forms_data(editor.json_schema(task.schema, task.topic_schema)):
        return draft  # it has its form
    try:
        data = backends.parser.formed(task.needs.name, data, task.topic_schema)
    except UCAMFAASException as error:  # or the code can't be loaded
        return replace(draft, payload=editor.with_errors(draft.payload, [((), str(error))]))
    return replace(draft, payload=replace(draft.payload, data=data))


def _checked(backends: Backends, task: KnownTask, draft: Draft) -> Draft:
    """Return the draft with all that is wrong with it."""
    problems: dict[str, str] = {}
    if draft.options.get("delay"):
        try:
            read_duration(draft.options["delay"])
        except ValueError as error:
            problems["delay"] = str(error)
    lane = draft.options.get("lane")
    if lane and lane not in task.needs.lanes:
        problems[""] = f"{task.needs.name} has no lane {lane!r}."
    attributes = _attributes(draft)
    data = _data(draft)
    if attributes is not None and data is not None and not problems:
        try:
            check_message(data, message_attributes(data, attributes), draft.options["ordering_key"])
        except (ValueError, TypeError) as error:
            problems[""] = str(error)
    draft = replace(draft, problems=problems)
    if backends.parser is None or _has_problems(draft) or draft.payload is None:
        return draft
    payload = editor.checked(backends.parser, task.needs.name, draft.payload, attributes or {})
    return replace(draft, payload=payload)


def _has_problems(draft: Draft) -> bool:
    return bool(
        draft.problems
        or (
            draft.payload is not None and (draft.payload.has_problems or draft.payload.data is None)
        )
        or reading.problems_of(draft.attributes)
    )


def _data(draft: Draft) -> bytes | None:
    return b"" if draft.payload is None else draft.payload.data


def _attributes(draft: Draft) -> dict[str, str] | None:
    value: dict[str, str] = reading.value_of(draft.attributes)
    return None if reading.problems_of(draft.attributes) else value


def _send(backends: Backends, needs: TaskNeeds, draft: Draft) -> See:
    options, delay = draft.options, draft.options["delay"]
    id, earlier = sending.send(
        backends, needs, _data(draft) or b"", _attributes(draft) or {},
        key=options["ordering_key"], lane=options["lane"], id=options["id"],
        delay_seconds=read_duration(delay).total_seconds() if delay else 0.0,
    )  # fmt: skip
    done = f"Sent job {id} to {needs.name}."
    if earlier is not None:
        state = earlier.state.lower()
        done = f"Nothing was sent: {needs.name} has the job {id} already. It is {state}."
    return See(path_of("jobs", needs.name, id), done)


def _publish(backends: Backends, needs: TaskNeeds, draft: Draft) -> See:
    id, topic = sending.publish(
        backends, needs, _data(draft) or b"", _attributes(draft) or {},
        key=draft.options["ordering_key"],
    )  # fmt: skip
    done = f"Published message {id} to {topic}."
    if backends.history is None:
        return See(path_of("tasks", needs.name), done)
    url = path_of("messages", id)
    return See(url if sending.is_noted(backends, id) else f"{url}?published=1", done)


def _page(
    query: Query,
    backends: Backends,
    task: KnownTask,
    original: Original | None,
    draft: Draft,
    status: int = 200,
) -> Page:
    values: dict[str, Any] = {
        "query": query,
        "task": task,
        "original": original,
        "draft": draft,
        "can_send": can_send(backends, task.needs) and not backends.read_only,
        "can_publish": can_publish(backends, task.needs) and not backends.read_only,
        "takes_jobs": takes_jobs(backends, task.needs) and backends.parser is None,
    }
    title = f"Send to {task.needs.name}" if original is None else f"Send {original.text} again"
    if backends.read_only:
        title = f"Check a payload of {task.needs.name}"
    return Page("send.html", title, values, status)
