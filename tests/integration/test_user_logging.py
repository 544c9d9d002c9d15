"""Logging that user code sets up is for its own lines: those of the package keep their form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ucam_faas.testing import make_push

from .processes import Server, serving, wait_until
from .test_functions_framework import start

pytestmark = pytest.mark.slow

SECRET = "07700 900123"
TASKS = """
import logging, logging.config, sys
import ucam_faas

{set_up}
SECRET = "07700 " + str(900123)

@ucam_faas.message_handler(message_type=None)
def message(data: bytes) -> None:
    {late}
    logging.getLogger("shop").warning("their line", extra={{"order": 7}})
    if data == b"fail":
        raise ucam_faas.UCAMFAASCouldNotProcess(SECRET)
    raise ValueError(SECRET)
"""
BASIC = 'logging.basicConfig(force=True, format="%(levelname)s %(message)s", level="WARNING")'
DICT = """logging.config.dictConfig({
    "version": 1,
    "formatters": {"plain": {"format": "plain: %(message)s"}},
    "handlers": {"out": {
        "class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "plain"}},
    "root": {"handlers": ["out"], "level": "ERROR"},
})"""
OBSERVE = """import structlog
structlog.configure(
    processors=[
        structlog.processors.format_exc_info, structlog.stdlib.ProcessorFormatter.wrap_for_formatter
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
)
logging.config.dictConfig({
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {
        "()": "structlog.stdlib.ProcessorFormatter",
        "foreign_pre_chain": [structlog.processors.format_exc_info],
        "processors": [
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(),
        ],
    }},
    "handlers": {"json": {
        "class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "json"}},
    "root": {"handlers": ["json"], "level": "INFO"},
})"""
"""As the library ucam_observe does it, which tasks of 1.0 use."""
HANDLER = 'logging.getLogger("ucam_faas").addHandler(logging.NullHandler())'
SET_UPS = {"basic": BASIC, "dict": DICT, "observe": OBSERVE, "handler": HANDLER}


def lines(server: Server) -> list[dict[str, Any]]:
    """Return the lines about executions, wherever they were printed."""
    lines = [json.loads(line) for line in server.output.splitlines() if line.startswith("{")]
    return [line for line in lines if line.get("message") == "ucam_faas_function_aborted"]


def check(server: Server) -> None:
    for data in (b"fail", b"crash"):
        push = make_push(data, subscription="projects/p/subscriptions/s")
        assert server.post("/", push.body, headers=push.headers).status == 500

    wait_until(lambda: len(lines(server)) >= 2, "two lines")
    failed, crashed = lines(server)[:2]
    assert failed["error"] == "ucam_faas.exceptions.UCAMFAASCouldNotProcess"
    assert (failed["severity"], crashed["severity"]) == ("WARNING", "ERROR")
    assert crashed["subscription"] == "projects/p/subscriptions/s"
    assert crashed["logging.googleapis.com/labels"]["task"] == "message"
    assert "ValueError: (text withheld" in crashed["stack_trace"]
    assert SECRET not in server.output
    assert len(lines(server)) == 2


@pytest.mark.parametrize("when", ["at import", "in the task"])
@pytest.mark.parametrize("set_up", SET_UPS)
@pytest.mark.parametrize("command", ["ucam-faas", "functions-framework"])
def test_logging_set_up_in_user_code_changes_its_own_lines_only(
    command: str, set_up: str, when: str, tmp_path: Path
) -> None:
    code = SET_UPS[set_up]
    late = "exec(SET_UP)" if when == "in the task" else "pass"
    early = f"SET_UP = {code!r}" if when == "in the task" else code
    (tmp_path / "main.py").write_text(TASKS.format(set_up=early, late=late))
    source = str(tmp_path / "main.py")

    if command == "ucam-faas":
        with serving("--target", "message", "--source", source, folder=tmp_path) as server:
            check(server)
    else:
        server = start(tmp_path, "message", source=source)
        try:
            check(server)
        finally:
            server.kill()
    expected = {
        **{"basic": "WARNING their line", "dict": "", "observe": '"event": "their line"'},
        "handler": '"order":7',
    }
    assert expected[set_up] in server.output
