"""`--json`: stdout has one document, or a line for each event; an error is a line on stderr.

Whatever else the process prints, such as a task at its import, goes to stderr.
"""

from __future__ import annotations

import functools
import io
import json
import math
import os
import re
import select
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import click

from ucam_faas.exceptions import UCAMFAASException

OPTION = "--json"
_ON, _DONE = f"{__name__}.on", f"{__name__}.done"
_SURROGATE = re.compile("[\ud800-\udfff]")
"""Half of a UTF-16 pair, or a byte that isn't UTF-8: no UTF-8 can express it."""

_Verb = Callable[..., None]


def json_option_for(help: str) -> Callable[[_Verb], _Verb]:
    """Return a decorator that gives a verb `--json`; it is called with `json_only`.

    With the option, its stdout is for documents alone. Given to a group, it counts for the command
    after it, too.
    """

    def decorator(verb: _Verb) -> _Verb:
        @click.option(OPTION, "json_only", is_flag=True, help=help)
        @functools.wraps(verb)
        def wrapper(*arguments: Any, json_only: bool = False, **options: Any) -> None:
            context = click.get_current_context()
            context.meta[_ON] = json_only = json_only or context.meta.get(_ON, False)
            if json_only:
                _KEPT.keep(context)
            verb(*arguments, json_only=json_only, **options)

        return wrapper

    return decorator


json_option = json_option_for("Print JSON.")


def print_json(document: Any) -> None:
    """Print the one document of a verb, on several lines."""
    _write(f"{_text(document, indent=2)}\n")


def print_event(event: Any) -> None:
    """Print a document on one line: an event of a stream, or the start of a server."""
    _write(f"{_text(event)}\n")


def print_ready(**fields: Any) -> None:
    """Print that a server has started. It keeps serving if the reader has gone."""
    with suppress(BrokenPipeError):
        print_event({"event": "ready", **fields})


def is_wanted(arguments: Sequence[str], context: click.Context | None = None) -> bool:
    """Return True if the command line asks for JSON, also if it can't be parsed."""
    if context is not None and context.meta.get(_ON):
        return True
    return OPTION in arguments[: [*arguments, "--"].index("--")]


def remember(**fields: Any) -> None:
    """Keep fields for an error that ends the verb later, such as the id of a sent job."""
    click.get_current_context().meta.setdefault(_DONE, {}).update(fields)


def print_error(code: str, message: str, exit_code: int, **fields: Any) -> None:
    """Print an error as a line of JSON to stderr; it begins with `{"error":`.

    Args:
        code: for programs; it stays the same from version to version.
        message: for people.
        exit_code: of the process.
        fields: more fields of the error.
    """
    context = click.get_current_context(silent=True)
    done = context.meta.get(_DONE, {}) if context else {}
    error = {"code": code, "message": message, "exit_code": exit_code, **done, **fields}
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):  # a task may have closed it
            stream.flush()
    # A task may have printed the beginning of a line; before a verb runs, nothing has.
    lead = "\n" if _KEPT.stream is not None else ""
    with suppress(OSError):  # the exit code says it, too
        click.echo(f"{lead}{_text({'error': error})}".encode(), err=True)


def _text(document: Any, *, indent: int | None = None) -> str:
    """Return JSON that every parser accepts, without NaN and lone surrogates."""
    write = functools.partial(json.dumps, indent=indent, ensure_ascii=False, allow_nan=False)
    try:
        text = write(document)
    except ValueError:
        text = write(_finite(document))
    return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)


def _finite(value: Any) -> Any:
    """Return a document with null in place of NaN and infinities, which JSON lacks."""
    match value:
        case float() if not math.isfinite(value):
            return None
        case dict():
            return {key: _finite(part) for key, part in value.items()}
        case list() | tuple():
            return [_finite(part) for part in value]
    return value


def _write(text: str) -> None:
    try:
        if _KEPT.stream is None:
            click.echo(text.encode(), nl=False)
        else:
            _KEPT.write(text.encode())
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"Cannot write to stdout: {error.strerror}.") from error


class OutputError(UCAMFAASException):
    """A document can't be written to stdout."""

    error_code = "output"


class _Kept:
    """The stdout of a process, kept for documents."""

    def __init__(self) -> None:
        self.stream: Any = None
        """Unbuffered: at exit, when the reader may have gone, nothing is left to write."""
        self._lock = threading.Lock()

    def write(self, data: bytes) -> None:
        """Write all data; other threads wait."""
        with self._lock:
            rest = memoryview(data)
            while rest:
                written = self.stream.write(rest)
                if written is None:  # another process has made it non-blocking
                    select.select((), (self.stream,), ())
                else:
                    rest = rest[written:]

    def keep(self, context: click.Context) -> None:
        """Keep it, and send all other output to stderr, also that of child processes."""
        stdout = sys.stdout
        if self.stream is not None or stdout is None:
            return
        stdout.flush()
        if isinstance(stdout, io.TextIOWrapper):  # as stderr is: no task fails by its prints
            stdout.reconfigure(errors="backslashreplace", line_buffering=True)
        try:
            number, aside = stdout.fileno(), sys.stderr.fileno()
        except (AttributeError, OSError):  # a test replaced stdout, or stderr is closed
            context.find_root().call_on_close(functools.partial(self._give_back, stdout))
            self.stream, sys.stdout = stdout.buffer, sys.stderr
            return
        self.stream = os.fdopen(os.dup(number), "wb", buffering=0)
        # Never undone: functions may print at exit.
        os.dup2(aside, number)

    def _give_back(self, stdout: Any) -> None:
        self.stream, sys.stdout = None, stdout


_KEPT = _Kept()
