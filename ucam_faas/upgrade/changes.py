"""Every difference between 1.0 and this version: the rows of docs/upgrading.md, and the rules of
`ucam-faas check --from 1.0`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ucam_faas.deploy.findings import Finding, Place

_LINK = re.compile(r"\[([^]]*)\]\(([^)]*)\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A difference. The texts are Markdown, and begin in lower case.

    Args:
        what: the thing that differs; a name to search for, where there is one.
        before: how 1.0 did it.
        here: how this version does it, and why.
        do: what the user does about it.
        rule: the name of the rule that finds it; empty: no file shows it.
        breaks: code that relies on it fails; otherwise, it behaves differently.
        names: in Python, which are gone: full, or the last part.
    """

    what: str
    before: str = ""
    here: str = ""
    do: str = "nothing"
    rule: str = ""
    breaks: bool = False
    names: tuple[str, ...] = ()

    def finding(self, place: Place, what: str) -> Finding:
        """Return a finding of it.

        Args:
            place: in the user's files.
            what: about that place, as a sentence.
        """
        before = f"In 1.0: {self.before}. Here: " if self.before else ""
        why = _plain(f"{before}{self.here}")
        return Finding(place, what, _plain(self.do), rule=self.rule, why=why)


def _plain(text: str) -> str:
    """Return Markdown as a sentence for a terminal."""
    text = _LINK.sub(r"\1 (docs/\2)", text)
    return f"{text[:1].upper()}{text[1:]}." if text else ""


CLOUD_EVENT = Change(
    what="`@cloud_event`",
    before="the function gets the event's data",
    here="the same, unless its parameter is annotated with `CloudEvent`: then it gets the event, "
    "because the annotation says so",
    do="where a parameter is annotated with `CloudEvent` and used as data, correct the annotation",
    rule="cloud-event-annotation",
)
TIME_LIMIT = Change(
    what="Time limit",
    before="none",
    here="5 minutes from arrival to answer, because Pub/Sub delivers again when it hears nothing "
    "for long; the answer is then 504",
    do="`timeout=` on the decorator: up to 10 minutes for messages, 7 days for "
    "[Cloud Run jobs](tasks.md#resources-and-cloud-run-jobs)",
    rule="time-limit",
)
FULL = Change(
    what="Full processes",
    before="requests queue without a limit",
    here="429 when the queue is full, so that Pub/Sub slows down",
    do="`concurrency=` on the decorator, `THREADS`, or more instances",
)
WORKERS = Change(
    what="`WORKERS`",
    before="2",
    here="1, because a process has an event loop and threads",
    do="set `WORKERS=2` for tasks that keep a CPU busy in Python",
    rule="workers",
)
MESSAGES = Change(
    what="What `PubsubMessage` accepts",
    before="no message without `attributes`, an id, and a time with a zone; only one `@type`",
    here="all of these may be missing, and other types are read: 1.0 refused real deliveries with "
    "400, over and over",
    do="check in the task what it needs",
)
CLOUD_EVENT_RETURNS = Change(
    what="Values that `@cloud_event` returns",
    before="ignored",
    here="the response, as of raw tasks",
    do="return None",
    rule="cloud-event-returns",
)
HANDLER_RETURNS = Change(
    what="Values that a handler returns",
    before="anything other than None or an `ExecutionInfo` is an error",
    here="any JSON value is kept as `result` in the report",
)
PARSER_ERRORS = Change(
    what="Exceptions of an `event_data_parser`",
    before="500, reason `ucam_faas.function-aborted`",
    here="400, reason `ucam_faas.user-data-invalid`, as for messages: the data was rejected. "
    "Exceptions of the operating system are still retried",
    do="raise `ExecutionAbortedException` with a reason of your own to choose",
    rule="parser-exceptions",
)
SEVERITY = Change(
    what="Expected failures of handlers",
    before="logged at ERROR",
    here="`UCAMFAASException` is logged at WARNING: alerts on errors are for bugs",
    do="alert on `severity>=WARNING` where you want both",
    rule="alert-severity",
)
TEXTS_OF_400 = Change(
    what="Text of 400 responses",
    before="long sentences",
    here="shorter ones, one for each reason",
    do="match the status, or set your own with `HttpResponseCreator(responses=…)`",
)
RAW_INPUT = Change(
    what="Input of raw tasks",
    before="with `--long-running`: the data of the CloudEvent in the file, or None",
    here="the bytes of the file, or none, as a raw task gets from a request",
    do='`json.loads(body)["data"]`',
    rule="raw-input",
)
MESSAGE_TYPE = Change(
    what="`message_type=dict`, `list`, `str`, `bool`, …",
    before="called with the bytes",
    here="refused when the module is imported: it can't work",
    do="`json.loads`, `bytes.decode`, or a pydantic type",
    rule="message-type",
    breaks=True,
)
RESERVED = Change(
    what="Names `healthy` and `status`",
    before="allowed",
    here="refused: the paths answer health checks",
    do="rename the task",
    rule="name-reserved",
    breaks=True,
)
TOPIC_NAMES = Change(
    what="Task names that no topic can have: under 3 characters, not a letter first, beginning "
    "with `goog`, or with other characters than `A-Z a-z 0-9 - _ . ~ + %`",
    before="allowed",
    here="loaded and served; `dev` and `plan` refuse them, because a task's topic has its name by "
    "default",
    do="write `name=`, or rename the function",
    rule="name-topic",
)
PUBLISHED_JSON = Change(
    what="JSON of `MessagePublishedData`",
    before="`model_dump(by_alias=True)` has the four keys of the message",
    here="also `orderingKey`, `subscription` and `deliveryAttempt`, which 1.0 dropped",
    do="compare the keys that you need",
)
WRONG_ARGUMENTS = Change(
    what="Wrong arguments of decorators",
    before="`TypeError`",
    here="`TaskDefinitionError`, with the right call",
    do="change `except` and `pytest.raises`",
)
EXECUTE_TYPE = Change(
    what="Type of `.execute(event)`",
    before="the handler's info type, or that of the decorator's default",
    here="the info type that the handler's annotation names; otherwise `ExecutionInfo`",
    do="`assert isinstance(info, MessageHandlerExecutionInfo)` before you read its fields",
)
INFOS = Change(
    what="Infos outside an execution",
    before="`MessageHandlerExecutionInfo()` raises `LookupError`",
    here='the fields of the context are None or say "not accepted", so that tests can make one',
)
BEHAVIOUR = (
    *(CLOUD_EVENT, TIME_LIMIT, FULL, WORKERS, MESSAGES, CLOUD_EVENT_RETURNS, HANDLER_RETURNS),
    *(PARSER_ERRORS, SEVERITY, TEXTS_OF_400, RAW_INPUT, MESSAGE_TYPE, RESERVED, TOPIC_NAMES),
    *(PUBLISHED_JSON, WRONG_ARGUMENTS, EXECUTE_TYPE, INFOS),
)

LOG_RECORDS = Change(
    what="Form of log records",
    before="a dict as the record's message, with the info's fields in it",
    here="a text as the message, and the info in the field `execution_info`: no name in it can "
    "clash",
    do="in queries, `jsonPayload.execution_info.…` and `jsonPayload.message`; in tests, assert on "
    "`execute_for_result(event)`",
    rule="log-records",
)
LOG_PAYLOADS = Change(
    what="Payloads and exception texts",
    before="in every line",
    here="left out: they are personal data",
    do="`UCAM_FAAS_LOG_PAYLOADS=true`, `UCAM_FAAS_LOG_EXCEPTION_TEXT=true`",
)
RESULT_JSON = Change(
    what="`get_result_json`",
    before="the whole info",
    here="the info without payloads and exceptions",
    do='override it: `execution_info.model_dump(mode="json")` is the whole',
    rule="result-json",
)
RESULT_LOGGER = Change(
    what="`StructlogJsonExecutionResultLogger(logger=…)`",
    before="another structlog logger",
    here="not taken: lines go to the logger `ucam_faas`",
    do="override `send_result_json`",
    rule="result-logger",
    breaks=True,
)
CAPTURE_LOGS = Change(
    what="`structlog.testing.capture_logs`",
    before="sees the package's lines",
    here="doesn't, because they come from `logging`",
    do="use pytest's `caplog`",
    rule="capture-logs",
)
LOGS = (LOG_RECORDS, LOG_PAYLOADS, RESULT_JSON, RESULT_LOGGER, CAPTURE_LOGS)


def _gone(what: str, why: str, instead: str, *names: str, rule: str = "name-gone") -> Change:
    return Change(what=what, here=why, do=instead, rule=rule, breaks=True, names=names)


CONTEXT_ARGUMENT = _gone(
    "`CloudEventHandlerContext(cloud_event=…)`",
    "the event is built when it's asked for",
    "`.execute(event)` sets the context",
    rule="context-argument",
)
FRAMEWORK_FIXTURE = _gone(
    "`cleanup_functions_framework`",
    "tests don't start functions-framework, which changed the environment",
    "delete it",
    "cleanup_functions_framework",
    rule="fixture-gone",
)
POSITIONAL_OPTIONS = _gone(
    "positional arguments of `HandlerExecutionOptions`",
    "the order of two functions is easy to mistake",
    "`log_execution_result=…`, `make_http_response=…`",
    rule="options-positional",
)
EXECUTOR_PARAMETERS = _gone(
    "`CloudEventHandlerExecutorFn` with four parameters",
    "a task function has two types",
    "`CloudEventHandlerExecutorFn[Payload, Result]`",
    rule="executor-parameters",
)
OTHER_NAMES = _gone(
    "other names of `ucam_faas`",
    "they were internal, or older than 1.0",
    "see the present names: [for tasks](tasks.md), [for tests](testing.md)",
)
NAMES = (
    _gone(
        "`ucam_faas.contextual_handlers`",
        "handlers are made in another way",
        "`cloud_event_handler(event_data_parser=…)` with a parser of your own",
        "ucam_faas.contextual_handlers",
    ),
    _gone(
        "`cloud_event_handler_executor`, `contextual_cloud_event_parser`",
        "they belonged to `ucam_faas.contextual_handlers`",
        "`cloud_event_handler(event_data_parser=…)` with a parser of your own",
        "cloud_event_handler_executor",
        "contextual_cloud_event_parser",
    ),
    _gone(
        "`run_ucam_faas()`",
        "it was the command line's",
        '`ucam_faas.cli.main(["--target", …])`, which ends with `SystemExit`',
        "run_ucam_faas",
    ),
    _gone(
        "`FaaSGunicornApplication`",
        "tasks are no longer served by a WSGI application",
        "run the command `ucam-faas`",
        "FaaSGunicornApplication",
    ),
    _gone(
        "`ucam_faas.loading.load_function()`",
        "a source may hold several tasks",
        "`ucam_faas.tasks.registry.load(source, target)`",
        "ucam_faas.loading",
        "load_function",
    ),
    _gone(
        "`get_function_execution_id()`",
        "it's in the context",
        "`CLOUD_EVENT_CONTEXT.get().execution_id`",
        "get_function_execution_id",
    ),
    CONTEXT_ARGUMENT,
    _gone("`with_notes()`", "Python 3.11 has it", "`error.add_note(…)`", "with_notes"),
    _gone(
        "`Base64JsonString`",
        "pydantic has it",
        '`bytes` in a model with `ConfigDict(val_json_bytes="base64", ser_json_bytes="base64")`',
        "Base64JsonString",
    ),
    _gone(
        "`ucam_faas.pydantic.SerialisableException`",
        "moved",
        "`ucam_faas.events.execution_info.SerialisableException`",
        "ucam_faas.pydantic",
    ),
    _gone(
        "`ucam_faas.tests.fixtures`",
        "the package has its tests elsewhere",
        "`ucam_faas.testing.make_cloud_event`, `make_message_event`",
        "ucam_faas.tests",
    ),
    _gone(
        "`event_handler`",
        "1.0 had replaced it already",
        "`cloud_event`, or `http` for requests",
        "event_handler",
    ),
    FRAMEWORK_FIXTURE,
    POSITIONAL_OPTIONS,
    EXECUTOR_PARAMETERS,
    OTHER_NAMES,
)

REQUIREMENT = Change(
    what="the requirement `ucam-faas`",
    here="it names a version of 1.0, or an upper bound",
    do="require `ucam-faas>=2,<3`",
    rule="requirement",
    breaks=True,
)
PYTHON = Change(
    what="Python 3.10",
    here="this version needs Python 3.11 or newer",
    do="change `requires-python`, and the image",
    rule="python-version",
    breaks=True,
)
IMAGE = Change(
    what="the base image of 1.0",
    here="1.0 is installed in it",
    do="build on [the image of this version](container.md)",
    rule="base-image",
    breaks=True,
)
STORAGE = Change(
    what="google-cloud-storage, for `--input-bucket`",
    here="1.0 installed it for everyone",
    do="require `ucam-faas[storage]`",
    rule="extra-storage",
    breaks=True,
)
FACTORY = Change(
    what="polyfactory, for `CloudEventFactory`",
    here="it is in an extra, as in 1.0",
    do="require `ucam-faas[testing]`",
    rule="extra-testing",
    breaks=True,
)
IMPORTS = Change(
    what="ucam-observe, requests, typing-extensions and google-cloud-storage, if your code imports "
    "them",
    here="1.0 installed them for everyone",
    do="add them to your own requirements",
    rule="package-undeclared",
    breaks=True,
)
PACKAGES = (REQUIREMENT, PYTHON, IMAGE, STORAGE, FACTORY, IMPORTS)

MODULE = Change(
    what="the Terraform module",
    before="not a part of the package",
    here="terraform/ in the repository, fed by `ucam-faas plan`",
    do="[upgrade the deployment](operations.md#upgrade-a-deployment-of-10), which keeps its "
    "messages",
    rule="terraform-module",
)
CRON_LIST = Change(
    what="`triggers.cron_schedules` as a list",
    before="the only form",
    here="still taken, and named after the task: `NAME`, `NAME-2`, …; objects by name have a time "
    "zone, data and more",
    do="nothing; going from one form to the other replaces Cloud Scheduler jobs whose names change",
    rule="cron-list",
)
TERRAFORM = (MODULE, CRON_LIST)

TABLES = {
    "Behaviour": BEHAVIOUR,
    "Logs": LOGS,
    "Names": NAMES,
    "Packages": PACKAGES,
    "Terraform": TERRAFORM,
}
CHANGES = tuple(change for table in TABLES.values() for change in table)
