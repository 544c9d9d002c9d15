"""Log lines: JSON for Cloud Logging on stdout, or text for people.

Everything that goes through the standard `logging` module, and through structlog where tasks use
it, comes out in the same form, with the trace and the execution id of the running execution. User
code may set up logging for its own lines; those of the package and its servers keep their form.

Sources: Google's pages "Structured logging" and "Formatting error messages" (Error Reporting).
"""

from __future__ import annotations

import io
import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

from pydantic_core import to_json

from ucam_faas.config import Settings
from ucam_faas.logs.records import context_of, fields_of, message_of, readable
from ucam_faas.logs.tracebacks import name_of, render
from ucam_faas.logs.writer import BackgroundHandler

ERROR_EVENT = "type.googleapis.com/google.devtools.clouderrorreporting.v1beta1.ReportedErrorEvent"
_LABELS = "logging.googleapis.com/labels"


OWN = ("ucam_faas", "gunicorn", "uvicorn", "asyncio")
"""Loggers whose lines keep their form whatever user code sets up: fields that it strips would be
missing in Cloud Logging, and those it adds, such as an exception's text, may be personal."""


def configure(
    settings: Settings, stream: TextIO | None = None, *, root: bool = True
) -> logging.Handler:
    """Send all logging to `stream` (default: stdout) in the format that the settings ask for.

    Args:
        settings: the level, the format, and whether exceptions' texts are shown.
        stream: where lines go.
        root: False leaves the lines of other loggers as they are.

    Returns:
        the handler that writes them.
    """
    stream = sys.stdout if stream is None else stream
    terminal = stream.isatty()
    texts = settings.log_exception_text
    texts = (terminal or settings.debug) if texts is None else texts
    formatter: logging.Formatter
    if is_console(settings, stream):
        from ucam_faas.logs.columns import of_terminal
        from ucam_faas.logs.console import ConsoleFormatter
        from ucam_faas.logs.links import takes_escapes

        columns = (lambda: of_terminal(stream.fileno())) if terminal else (lambda: None)
        escapes = takes_escapes(stream)
        links = settings.dashboard or "" if escapes else ""
        formatter = ConsoleFormatter(texts=texts, colours=escapes, links=links, columns=columns)
    else:
        formatter = JsonFormatter(settings, texts=texts)
    if isinstance(stream, io.TextIOWrapper):
        # No line is lost to an encoding, and no task's print to the end of the process.
        stream.reconfigure(errors="backslashreplace", line_buffering=True)
    handler = _StreamHandler(stream)
    handler.setFormatter(formatter)
    level = logging.DEBUG if settings.debug else settings.log_level
    for name in OWN:
        own = logging.getLogger(name)
        own.__class__ = logging.getLogger(f"{name}.error").__class__ = _OwnLogger
        own.handlers, own.propagate = [handler], False
        own.setLevel(level)
    if root:
        logging.root.handlers = [handler]
        logging.root.setLevel(level)
        logging.captureWarnings(True)
    return handler


class _StreamHandler(logging.StreamHandler[TextIO]):
    """A handler that is silent when the reader of its lines is gone, as in `… | head`."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802: logging's name
        if not isinstance(sys.exception(), BrokenPipeError):
            super().handleError(record)


class _OwnLogger(logging.Logger):
    """A logger that `logging.config.dictConfig` doesn't disable, as it does existing ones."""

    @property
    def disabled(self) -> bool:
        return False

    @disabled.setter
    def disabled(self, value: bool) -> None:
        pass


def is_configured() -> bool:
    """Return True if `configure` has set logging up in this process."""
    return isinstance(logging.getLogger(OWN[0]), _OwnLogger)


def write_in_background(old: logging.Handler) -> None:
    """Write the lines of `configure`'s handler in a thread: serving doesn't wait for a reader."""
    new = BackgroundHandler(sys.stdout.fileno())
    new.setFormatter(old.formatter)
    for logger in (logging.root, *map(logging.getLogger, OWN)):
        logger.handlers = [new if handler is old else handler for handler in logger.handlers]


def handle_also(handler: logging.Handler | None) -> None:
    """Give all lines to another handler, too; None: to no other."""
    if handler is not None:
        for logger in (logging.root, *map(logging.getLogger, OWN)):
            logger.addHandler(handler)


def flush() -> None:
    """Write waiting lines before a process ends by `os._exit`, which skips Python's own end."""
    for handler in {*logging.root.handlers, *logging.getLogger(OWN[0]).handlers}:
        if isinstance(handler, BackgroundHandler):  # others are the user's, and may raise
            handler.flush()


def is_console(settings: Settings, stream: TextIO | None = None) -> bool:
    """Return True if lines are for people."""
    if settings.log_format != "auto":
        return settings.log_format == "console"
    return settings.debug or (sys.stdout if stream is None else stream).isatty()


def adopt_structlog() -> None:
    """Let structlog log through here, if it is imported and not configured."""
    structlog = sys.modules.get("structlog")
    if structlog is None or structlog.is_configured():
        return
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            _to_record,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _to_record(logger: Any, method: str, event: dict[str, Any]) -> tuple[tuple[Any], Any]:
    """Turn a structlog event into the arguments of a standard logging call."""
    options = {key: event.pop(key) for key in ("exc_info", "stack_info") if key in event}
    message = event.pop("event", "")
    return (str(message),), {"extra": {"fields": event}, **options}


class JsonFormatter(logging.Formatter):
    """One JSON object a line, in Cloud Logging's form.

    Args:
        texts: log the texts of exceptions, not only their types and tracebacks.
    """

    def __init__(self, settings: Settings, *, texts: bool) -> None:
        super().__init__()
        self.texts = texts
        self.service: dict[str, str] = {"service": settings.service}
        if settings.revision:
            self.service["version"] = settings.revision
        self._second = (0, "")
        """The last one that a line had, as text."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "severity": record.levelname,
            "message": message_of(record),
            "time": self._time(record.created),
        }
        context = context_of(record)
        if context is not None:
            if context.trace is not None:
                line["logging.googleapis.com/trace"] = context.trace
                if context.span_id is not None:
                    line["logging.googleapis.com/spanId"] = context.span_id
                if context.sampled is not None:
                    line["logging.googleapis.com/trace_sampled"] = context.sampled
            line[_LABELS] = {"execution_id": context.execution_id, "task": context.task}
        if record.name != "ucam_faas":
            line["logger"] = record.name
        if record.exc_info and record.exc_info[1] is not None:
            if record.levelno >= logging.ERROR:
                line["@type"] = ERROR_EVENT
                line["serviceContext"] = self.service
            line["stack_trace"] = render(record.exc_info[1], texts=self.texts)
        expected = getattr(record, "expected", None)
        if isinstance(expected, BaseException):
            line["error"] = name_of(expected, texts=self.texts)
        for key, value in fields_of(record).items():
            line[key if key not in line else f"field.{key}"] = value
        return _encode(line)

    def _time(self, created: float) -> str:
        second, text = self._second
        if int(created) != second:
            second = int(created)
            text = datetime.fromtimestamp(second, UTC).isoformat()[:19]
            self._second = (second, text)
        return f"{text}.{int((created - second) * 1e6):06}Z"


def _encode(line: dict[str, Any]) -> str:
    """Return the line as JSON; a value that cannot be written in full is written as text."""
    try:
        return to_json(line, fallback=readable, inf_nan_mode="null").decode()
    except Exception:  # lone surrogates, circles, keys that aren't strings
        plain = {readable(key): _plain(value) for key, value in line.items()}
        return json.dumps(plain, allow_nan=False)


def _plain(value: Any) -> Any:
    try:
        json.dumps(value, allow_nan=False)
    except Exception:
        return readable(value)
    return value
