"""Errors that end a verb: a line for people, or with `--json` a line of JSON; and the exit code."""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click

from ucam_faas.cli import _output
from ucam_faas.cli._messages import fail, folded
from ucam_faas.exceptions import UCAMFAASException

INTERRUPTED = 130
"""The exit code after Control-C, as shells have it."""
CODES = {
    "usage": "The command line is wrong.",
    "encoding": "An argument, a variable or a file's name isn't UTF-8.",
    "failed": "Another error; the message has it.",
    "interrupted": "Control-C was pressed.",
    "declined": "A question was answered with no.",
    "internal": "A bug; the traceback is on stderr.",
}
"""Codes beside those that classes of UCAMFAASException have."""
_NO_TEXT = re.compile("[\udc80-\udcff]")
"""Python's form of a byte that isn't UTF-8, in an argument, a variable or a file's name."""


@contextmanager
def reported(arguments: Sequence[str], context: click.Context | None = None) -> Iterator[None]:
    """Print the error that ends a verb, and end the process.

    Args:
        arguments: of the command line.
        context: of the verb; None: its arguments are being read.
    """
    try:
        yield
    except (SystemExit, click.exceptions.Exit, BrokenPipeError):  # they aren't errors of a verb
        raise
    except BaseException as error:
        _report(error, is_json=_output.is_wanted(arguments, context))
        raise


def _report(error: BaseException, *, is_json: bool) -> None:
    """Print an error and end the process; or return, if click or Python does it."""
    match error:
        case click.UsageError() if not is_json:
            raise _FoldedUsageError(error.format_message(), error.ctx) from error
        case click.ClickException() if is_json:
            _end(is_json, "usage", error.format_message(), error.exit_code)
        case UCAMFAASException():
            _end(is_json, error.error_code, str(error), error.exit_code, **_place(error))
        case UnicodeEncodeError() if _NO_TEXT.search(error.object):
            _end(is_json, "encoding", f"{error.object!r} cannot be written in UTF-8.", 2)
        case KeyboardInterrupt():
            _end(is_json, "interrupted", "Interrupted.", INTERRUPTED)
        case click.Abort() if is_json:
            _end(is_json, "declined", "Nothing was done.", 1)
        case _ if is_json:
            traceback.print_exception(error)
            _end(is_json, "internal", f"{type(error).__name__}: {error}", 1)


def _end(is_json: bool, code: str, message: str, exit_code: int, **fields: Any) -> None:
    if is_json:
        _output.print_error(code, message, exit_code, **fields)
    else:
        fail(message)
    sys.exit(exit_code)


def _place(error: UCAMFAASException) -> dict[str, Any]:
    if error.place is None:
        return {}
    file, line = error.place
    return {"file": file, "line": line}


class _FoldedUsageError(click.UsageError):
    """A usage error that a narrow terminal doesn't break within words."""

    def format_message(self) -> str:
        return folded(self.message, sys.stderr, lead="Error: ")
