"""Editing the bytes of a payload: in a form, as a text, or not at all. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ucam_faas.actions.topic_schemas import TopicSchema
from ucam_faas.dashboard.forms import building, reading
from ucam_faas.dashboard.forms.avro import AvroMessages
from ucam_faas.dashboard.forms.fields import Field
from ucam_faas.dashboard.forms.protobuf import MessageType, NoMessageError, message_type
from ucam_faas.dashboard.forms.shapes import MISSING, Schema
from ucam_faas.dashboard.forms.values import UnfaithfulError, can_show, dump, load, same
from ucam_faas.emulator.schemas.definitions import JSON
from ucam_faas.exceptions import UCAMFAASException

if TYPE_CHECKING:
    from ucam_faas.dead_letters.parser import Parser

MOST_EDITED = 256 * 1024
"""Bytes of a payload that a page can edit."""
FORM, TEXT, KEPT = "form", "text", "kept"
_LABELS = {FORM: "Form", TEXT: "JSON", KEPT: "Unchanged"}
HIDDEN = "The payload isn't shown here."
NOT_HERE = "It is too large to be edited here, or holds bytes that aren't text."


@dataclass(frozen=True, slots=True, kw_only=True)
class Editor:
    """The state of a page's editor.

    Args:
        mode: FORM, TEXT, or KEPT: the original is sent as it is.
        modes: that are possible, and their labels.
        form: its fields; None in other modes.
        text: of the text area.
        why: there is no form, or no text.
        problems: of the whole.
        focus: the path of the field to look at.
        data: the payload, if it can be read; None: there are problems.
    """

    mode: str
    modes: Sequence[tuple[str, str]]
    form: Field | None = None
    text: str = ""
    why: str = ""
    problems: list[str] = field(default_factory=list)
    focus: str = ""
    data: bytes | None = None

    @property
    def faults(self) -> list[tuple[str, str, str]]:
        """The problems of fields: the path, the name and the text of each."""
        problems = [] if self.form is None else reading.problems_of(self.form)
        return [(path, reading.name_of(path) or "payload", text) for path, text in problems]

    @property
    def has_problems(self) -> bool:
        """The payload can't be used as it is."""
        return bool(self.problems or (self.form and reading.problems_of(self.form)))


def json_schema(
    described: Mapping[str, Any] | None, topic_schema: Mapping[str, str] | None = None
) -> Any:
    """Return the JSON Schema of a payload, or its `MessageType` or `AvroMessages`; None: it is
    none of these, or a form has no fields for it.

    Args:
        described: as `tasks.payload_schemas.form_schema` returns it.
        topic_schema: the fields of the topic's `TopicSchema`; None: it has none.
    """
    topic = None if topic_schema is None else TopicSchema(**topic_schema)
    if topic is not None and topic.is_avro:
        return AvroMessages(topic, json_schema(described))
    if described is not None and "descriptors" in described:
        as_json = topic is not None and topic.encoding == JSON
        return message_type(described["descriptors"], described["message"], as_json)
    if described is None or described.get("format") != "json":
        return None
    schema = described.get("schema")
    kinds = [shape.kind for shape in Schema(schema).variants(schema).shapes]
    return None if kinds == ["json"] else schema


def forms_data(schema: Any) -> bool:
    """Return True if JSON is edited, and the data have a form that the editor gives them."""
    return isinstance(schema, MessageType | AvroMessages)


def opened(schema: Any, original: bytes | None, mode: str = "") -> Editor:
    """Return the editor as it is opened.

    Args:
        schema: as `json_schema` returns it; None: there is no form.
        original: the payload to begin with; None: a new one.
        mode: that is asked for; any other: the best.
    """
    if forms_data(schema):
        return _of_message(schema, original, lambda text: opened(schema.schema, text, mode))
    if original is None:
        if schema is None:
            return Editor(mode=TEXT, modes=[(TEXT, "Text")])
        return _new(Schema(schema), mode)
    text = _text_of(original)
    if text is None:
        return Editor(mode=KEPT, modes=[(KEPT, _LABELS[KEPT])], why=NOT_HERE, data=original)
    form, why = _form_of(schema, text)
    return _editor(schema, form, text, why, mode, original)


def hidden(original: bytes) -> Editor:
    """Return the editor of a payload that isn't shown: it is sent as it is."""
    return Editor(mode=KEPT, modes=[(KEPT, _LABELS[KEPT])], why=HIDDEN, data=original)


def _new(schema: Schema, mode: str) -> Editor:
    try:
        form: Field | None = building.empty_field(schema, schema.root)
    except building.TooLargeError:
        form = None
    if form is None or mode == TEXT:
        return Editor(mode=TEXT, modes=_modes(form), text="")
    return Editor(mode=FORM, modes=_modes(form), form=form)


def submitted(
    schema: Any,
    controls: Mapping[str, str],
    original: bytes | None,
    action: str,
    *,
    is_hidden: bool = False,
) -> Editor:
    """Return the editor after a button was pressed.

    Args:
        schema: as of `opened`.
        controls: that were submitted.
        original: the payload that it began with; None: a new one.
        action: the button: `mode MODE`, one of the form's own, or any other.
        is_hidden: the original isn't shown; what was submitted is.
    """
    if forms_data(schema):
        return _of_message(
            schema,
            original,
            lambda text: submitted(schema.schema, controls, text, action, is_hidden=is_hidden),
        )
    wanted = action.removeprefix("mode ") if action.startswith("mode ") else ""
    mode = controls.get("mode", "")
    if mode == FORM and schema is not None:
        return _of_form(Schema(schema), controls, original, action, wanted)
    if mode == TEXT or original is None:
        return _of_text(schema, controls.get("text", ""), original, wanted)
    return hidden(original) if is_hidden else opened(schema, original, wanted or KEPT)


def _of_message(
    kind: MessageType | AvroMessages,
    original: bytes | None,
    edit: Callable[[bytes | None], Editor],
) -> Editor:
    """Return the editor of a protobuf or Avro message, whose JSON is edited."""
    text = None
    if original is not None:
        try:
            text = kind.to_json(original)
        except ValueError as error:
            why = f"It can't be edited: {error}."
            return Editor(mode=KEPT, modes=[(KEPT, _LABELS[KEPT])], why=why, data=original)
    edited = edit(text)
    if edited.data is None or edited.has_problems:
        return replace(edited, data=None)
    if edited.data == text:
        return replace(edited, data=original)
    try:
        return replace(edited, data=kind.from_json(edited.data, original))
    except NoMessageError as error:
        return replace(with_errors(edited, [(error.path, str(error))]), data=None)


def _of_form(
    schema: Schema, controls: Mapping[str, str], original: bytes | None, action: str, wanted: str
) -> Editor:
    try:
        form = building.of_submitted(schema, controls)
    except building.TooLargeError:
        return _of_text(None, controls.get("text", ""), original, "")
    focus = reading.act(schema, form, action)
    if focus:
        return Editor(mode=FORM, modes=_modes(form), form=form, focus=focus)
    value = reading.value_of(form)
    if reading.problems_of(form) or value is MISSING:
        return Editor(mode=FORM, modes=_modes(form), form=form)
    if wanted == TEXT:
        text = dump(value, indent=2)
        return Editor(mode=TEXT, modes=_modes(form), text=text, data=text.encode())
    data = dump(value).encode()
    if original is not None and _is_same(original, value):
        data = original  # each byte of it
    return Editor(mode=FORM, modes=_modes(form), form=form, data=data)


def _of_text(schema: Any, text: str, original: bytes | None, wanted: str) -> Editor:
    text = text.replace("\r\n", "\n")
    before = None if original is None else _text_of(original)
    form, why = _form_of(schema, text)
    data = text.encode()
    if original is not None and before is not None and before.replace("\r\n", "\n") == text:
        data = original
    if wanted == FORM and form is None:
        return Editor(mode=TEXT, modes=_modes_of(schema), text=text, problems=[why], data=data)
    return _editor(schema, form, text, "", wanted or TEXT, data)


def _editor(schema: Any, form: Field | None, text: str, why: str, mode: str, data: bytes) -> Editor:
    if form is not None and mode != TEXT:
        return Editor(mode=FORM, modes=_modes(form), form=form, data=data)
    return Editor(mode=TEXT, modes=_modes_of(schema), text=text, why=why, data=data)


def _form_of(schema: Any, text: str) -> tuple[Field | None, str]:
    """Return the form of a JSON text, or why there is none."""
    if schema is None:
        return None, ""
    try:
        return building.of_value(Schema(schema), load(text)), ""
    except building.TooLargeError:
        return None, "It has too many parts for a form."
    except UnfaithfulError as error:
        return None, f"A form would change it: {error}."
    except ValueError as error:
        return None, f"It isn't JSON: {error}."


def _text_of(data: bytes) -> str | None:
    """Return a payload as a text area can hold it; None: it can't."""
    if len(data) > MOST_EDITED:
        return None
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    return text if can_show(text.replace("\r\n", "\n")) else None


def _is_same(original: bytes, value: Any) -> bool:
    try:
        return same(load(original.decode()), value)
    except ValueError:
        return False


def _modes(form: Field | None) -> Sequence[tuple[str, str]]:
    return [(FORM, "Form"), (TEXT, "JSON")] if form is not None else [(TEXT, "JSON")]


def _modes_of(schema: Any) -> Sequence[tuple[str, str]]:
    return [(TEXT, "Text")] if schema is None else [(FORM, "Form"), (TEXT, "JSON")]


def with_errors(edited: Editor, errors: Sequence[tuple[Sequence[str | int], str]]) -> Editor:
    """Return an editor with the errors of a parser at their fields.

    Args:
        edited: the editor.
        errors: paths, as pydantic's `loc`, and messages.
    """
    if edited.form is None:
        texts = [f"{'.'.join(map(str, path))}: {text}" if path else text for path, text in errors]
        return replace(edited, problems=[*edited.problems, *texts])
    for path, text in errors:
        reading.place(edited.form, path, text)
    return edited


def checked(parser: Parser, task: str, edited: Editor, attributes: Mapping[str, str]) -> Editor:
    """Return an editor with the errors of a task's code.

    Args:
        parser: asks the task's code.
        task: its name.
        edited: the editor; its data are checked, if it has any.
        attributes: of the message.
    """
    if edited.data is None:
        return edited
    try:
        errors = parser.check(task, edited.data, attributes)
    except UCAMFAASException as error:  # the code can't be loaded
        return replace(edited, problems=[*edited.problems, str(error)])
    return with_errors(edited, [(error.path, error.message) for error in errors])
