"""The command line: errors are one line and exit code 2; `tasks` lists what a source holds."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.support.sources import Sources
from ucam_faas import http, message_handler, raw_event
from ucam_faas.cli import _VERBS, main
from ucam_faas.cli.serve import example
from ucam_faas.config import Settings

Run = Callable[..., Result]


@pytest.fixture
def ucam_faas(own_logging: None, sources: Sources, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Call the command line, in an empty directory and environment."""
    for name in ("FUNCTION_TARGET", "FUNCTION_SOURCE", "LONG_RUNNING", "INPUT_FILE", "PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(sources.root)

    def run(*arguments: str, **environ: str) -> Result:
        return CliRunner().invoke(main, arguments, env=environ)

    return run


def error_of(result: Result) -> str:
    """Return the one line of an error."""
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("ucam-faas: ")
    return lines[0]


# --- errors


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["publsh", "welcome"], "No command 'publsh'. Did you mean 'publish'?"),
        (["task"], "Did you mean 'tasks'?"),
        (["Dev"], "Did you mean 'dev'?"),
        (["schedule"], "Did you mean 'schedules'?"),
        (["schedules", "rnu", "x"], "No command 'rnu'. Did you mean 'run'?"),
        (["schedules", "delete"], "There are: pause, resume, run."),
        (["start"], "`ucam-faas serve` serves"),
        (["replay"], "`ucam-faas dlq replay` sends dead letters again"),
        (["main.py"], "To serve that file: ucam-faas serve main.py, or ucam-faas dev main.py."),
        (["xyz"], "There are: asyncapi, check, completion, config,"),
        (["dev", "--taget", "x"], "--target"),
    ],
    ids=" ".join,
)
def test_a_mistyped_command_gets_a_suggestion(
    ucam_faas: Run, arguments: list[str], hint: str
) -> None:
    result = ucam_faas(*arguments)

    assert result.exit_code == 2
    assert hint in result.stderr


def test_no_source_is_one_line_that_says_where_it_looked(ucam_faas: Run) -> None:
    line = error_of(ucam_faas())

    assert "main.py" in line
    assert "--source" in line


@pytest.mark.parametrize("verb", [[], ["tasks"]])
@pytest.mark.parametrize(
    ("before", "part"),
    [
        ("def broken(:", "SyntaxError"),
        ("import no_such_module_here", "'no_such_module_here'"),
        ("raise ValueError('line one\\nline two')", "line one line two"),
        ("@ucam_faas.raw_event\ndef bad(one, two): ...", "bad"),
        ("", "holds no tasks"),
    ],
)
def test_a_source_that_cannot_be_loaded_is_one_line(
    verb: list[str], before: str, part: str, ucam_faas: Run, sources: Sources
) -> None:
    sources.write("main.py", before=before)

    assert part in error_of(ucam_faas(*verb))


def test_an_unknown_target_is_one_line_with_the_known_ones(
    ucam_faas: Run, sources: Sources
) -> None:
    sources.write("main.py", "one", "two")

    line = error_of(ucam_faas("--target", "three"))

    assert "'three'" in line
    assert "'one', 'two'" in line


def test_a_task_of_batches_is_not_served(ucam_faas: Run, sources: Sources) -> None:
    batch = "@ucam_faas.batch_handler(message_type=None)\ndef store(messages): ..."
    sources.write("main.py", "one", before=batch)

    line = error_of(ucam_faas("--target", "store"))

    assert "Pull them: `ucam-faas worker --target store`" in line


@pytest.mark.parametrize(
    "arguments",
    [
        ["--target", "stroe"],
        ["serve", "--target", "stroe"],
        ["run", "stroe"],
        ["publish", "stroe", "x"],
        ["config", "stroe"],
    ],
    ids=" ".join,
)
def test_a_mistyped_task_gets_a_suggestion(
    arguments: list[str], ucam_faas: Run, sources: Sources
) -> None:
    sources.write("main.py", "store", "two")

    assert "'stroe' in ./main.py. Did you mean 'store'?" in error_of(ucam_faas(*arguments))


@pytest.mark.parametrize(
    ("variable", "text"),
    [("PORT", "http"), ("WORKERS", "0"), ("DEBUG", "maybe"), ("UCAM_FAAS_LOG_FORMAT", "xml")],
)
def test_a_bad_variable_is_one_line(
    variable: str, text: str, ucam_faas: Run, sources: Sources
) -> None:
    sources.write("main.py", "one")

    line = error_of(ucam_faas(**{variable: text}))

    assert variable in line
    assert text in line


def test_a_dead_letter_topic_without_a_project_is_one_line(
    ucam_faas: Run, sources: Sources
) -> None:
    sources.write("main.py", "one")

    line = error_of(ucam_faas(UCAM_FAAS_DEAD_LETTER_TOPIC="dead"))

    assert "GOOGLE_CLOUD_PROJECT" in line


@pytest.mark.parametrize("arguments", [["--port", "http"], ["--no-such-option"], ["no-such-verb"]])
def test_wrong_usage_is_exit_code_2_without_a_traceback(
    arguments: list[str], ucam_faas: Run
) -> None:
    result = ucam_faas(*arguments)

    assert result.exit_code == 2
    assert "Traceback" not in result.output


# --- running once


@pytest.fixture
def jobs(sources: Sources) -> Sources:
    sources.write(
        "main.py",
        before="""
@ucam_faas.raw_event
def fine(body):
    import pathlib
    pathlib.Path("ran").write_bytes(body)

@ucam_faas.raw_event
def fails(body):
    raise ucam_faas.UCAMFAASException("secret")

@ucam_faas.raw_event
def crashes(body):
    raise ValueError("secret")

@ucam_faas.http(path="/page")
def page(request):
    return ""
""",
    )
    return sources


@pytest.mark.parametrize(
    "arguments",
    [["jobs", "show", "order \udcff"], ["send", "store", "{}", "--id", "order \udcff"]],
    ids=lambda arguments: arguments[0],
)
def test_an_argument_that_is_not_text_is_one_line(
    arguments: list[str], ucam_faas: Run, sources: Sources, tmp_path: Path
) -> None:
    """Python reads a byte that isn't UTF-8 as half a character."""
    sources.write("main.py", "store")

    result = ucam_faas(*arguments, UCAM_FAAS_JOB_STORE=f"sqlite:{tmp_path}/jobs.db")

    assert error_of(result) == "ucam-faas: 'order \\udcff' cannot be written in UTF-8."


@pytest.mark.parametrize(("target", "code"), [("fine", 0), ("fails", 1), ("crashes", 2)])
def test_long_running_runs_the_target_once(
    target: str, code: int, ucam_faas: Run, jobs: Sources
) -> None:
    results = [ucam_faas("--target", target, "--long-running"), ucam_faas("run", target)]

    assert [result.exit_code for result in results] == [code, code]
    assert [json.loads(result.stdout)["task"] for result in results] == [target, target]


def test_run_takes_an_input_and_the_target_of_the_environment(
    ucam_faas: Run, jobs: Sources
) -> None:
    (jobs.root / "input").write_text("hello")

    result = ucam_faas("run", "--input-file", "input", FUNCTION_TARGET="fine")

    assert result.exit_code == 0
    assert (jobs.root / "ran").read_text() == "hello"


def test_run_names_the_tasks_to_choose_from(ucam_faas: Run, jobs: Sources) -> None:
    assert "Name one of 'fine', 'fails', 'crashes', 'page'" in error_of(ucam_faas("run"))


def test_serve_serves_though_the_environment_says_long_running(
    ucam_faas: Run, jobs: Sources
) -> None:
    """The verb decides: here it goes as far as to refuse the address."""
    line = error_of(ucam_faas("serve", "--host", "203.0.113.1", LONG_RUNNING="true"))

    assert "203.0.113.1" in line


def test_the_environment_says_the_same_as_options(ucam_faas: Run, jobs: Sources) -> None:
    (jobs.root / "input").write_text("hello")

    result = ucam_faas(FUNCTION_TARGET="fine", LONG_RUNNING="true", INPUT_FILE="input")

    assert result.exit_code == 0
    assert (jobs.root / "ran").read_text() == "hello"


def test_options_win_over_the_environment(ucam_faas: Run, jobs: Sources) -> None:
    result = ucam_faas("--target", "fine", "--long-running", FUNCTION_TARGET="crashes")

    assert result.exit_code == 0


def test_an_input_that_is_not_there_is_exit_code_3(ucam_faas: Run, jobs: Sources) -> None:
    result = ucam_faas("--target", "fine", "--long-running", "--input-file", "missing")

    assert result.exit_code == 3
    assert result.stderr.splitlines() == [
        "ucam-faas: Cannot read missing: No such file or directory."
    ]
    assert not (jobs.root / "ran").exists()


def test_a_bucket_without_a_file_is_exit_code_3(ucam_faas: Run, jobs: Sources) -> None:
    result = ucam_faas("--target", "fine", "--long-running", "--input-bucket", "b")

    assert result.exit_code == 3
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [["--target", "page"], ["--target", "missing"], [], ["--target", "fine,fails"]],
    ids=str,
)
def test_what_cannot_be_run_once_is_exit_code_2(
    arguments: list[str], ucam_faas: Run, jobs: Sources
) -> None:
    error_of(ucam_faas(*arguments, "--long-running"))


# --- tasks


@pytest.fixture
def listed(sources: Sources) -> str:
    return sources.write(
        "main.py",
        before='''
import datetime
import pydantic

class User(pydantic.BaseModel):
    name: str

ADA = b'{"name": "Ada"}'
KIND = {"kind": "user"}

@ucam_faas.message_handler(
    message_type=User, timeout=datetime.timedelta(seconds=90), concurrency=3,
    topic="users", filter="attributes:kind", ordered=True,
    schedule=[
        ucam_faas.Schedule("0 3 * * *", time_zone="Europe/London", data=ADA, attributes=KIND),
        ucam_faas.Schedule("0 4 * * SUN", data=ADA, attributes=KIND, paused=True),
    ],
    retry=ucam_faas.RetryPolicy(max_attempts=None),
)
async def greet(user: User):
    """Say hello.

    And more.
    """

@ucam_faas.raw_event
def shout(body): ...

@ucam_faas.http(path="/users/<id>", methods=["GET", "PUT"])
def users(request, id): ...
''',
    )


def test_tasks_is_a_table(ucam_faas: Run, listed: str) -> None:
    result = ucam_faas("tasks")

    assert result.exit_code == 0
    heading, *rows = [line.split() for line in result.stdout.splitlines() if line.strip()]
    assert heading == ["TASK", "TAKES", "PATH", "TRIGGER", "TIMEOUT", "SUMMARY"]
    assert rows == [
        ["greet", "User", "/greet", "users", "(filtered,", "ordered)", "90", "s", "Say", "hello."],
        ["0", "3", "*", "*", "*", "Europe/London"],
        ["0", "4", "*", "*", "SUN", "Etc/UTC", "(paused)"],
        ["shout", "bytes", "/shout", "shout", "300", "s"],
        ["users", "HTTP", "request", "/users/<id>", "300", "s"],
    ]


def test_tasks_as_json(ucam_faas: Run, listed: str) -> None:
    result = ucam_faas("tasks", "--json")

    greet, shout, users = json.loads(result.stdout)
    assert greet == {
        "name": "greet",
        "module": "main",
        "kind": "message",
        "takes": "User",
        "path": "/greet",
        "methods": ["POST"],
        "async": True,
        "run_as": "service",
        "topic": "users",
        "filter": "attributes:kind",
        "ordered": True,
        "lanes": ["default"],
        "schedules": [
            {"expression": "0 3 * * *", "time_zone": "Europe/London", "paused": False},
            {"expression": "0 4 * * SUN", "time_zone": "Etc/UTC", "paused": True},
        ],
        "retry": {"max_attempts": None, "min_backoff_seconds": 10, "max_backoff_seconds": 600},
        "timeout_seconds": 90.0,
        "concurrency": 3,
        "batch": None,
        "summary": "Say hello.",
    }
    assert (shout["kind"], shout["takes"]) == ("raw event", "bytes")
    assert (shout["topic"], shout["schedules"]) == ("shout", [])
    assert (users["path"], users["methods"]) == ("/users/<id>", ["GET", "PUT"])
    assert (users["topic"], users["schedules"], users["retry"]) == (None, [], None)


@pytest.mark.parametrize(
    ("arguments", "environ"),
    [
        (["tasks", "elsewhere/jobs.py"], {}),
        (["--source", "elsewhere/jobs.py", "tasks"], {}),
        (["tasks"], {"FUNCTION_SOURCE": "elsewhere/jobs.py"}),
        (["--source", "main.py", "tasks", "elsewhere/jobs.py"], {"FUNCTION_SOURCE": "x"}),
    ],
    ids=str,
)
def test_tasks_takes_a_source(
    arguments: list[str], environ: dict[str, str], ucam_faas: Run, sources: Sources
) -> None:
    sources.write("elsewhere/jobs.py", "other")
    sources.write("main.py", "one")

    result = ucam_faas(*arguments, "--json", **environ)

    assert [row["name"] for row in json.loads(result.stdout)] == ["other"]


def test_a_markup_in_a_summary_is_shown_as_it_is(ucam_faas: Run, sources: Sources) -> None:
    sources.write(
        "main.py", before="@ucam_faas.raw_event\ndef one(body):\n    'Take [bold]x[/bold] [/y].'"
    )

    result = ucam_faas("tasks")

    assert result.exit_code == 0, result.exception
    assert "Take [bold]x[/bold] [/y]." in result.stdout


# --- the rest


def test_help_names_options_and_verbs(ucam_faas: Run) -> None:
    result = ucam_faas("--help")

    assert result.exit_code == 0
    for word in ("--target", "--source", "--host", "--port", "--debug", "--long-running"):
        assert word in result.stdout
    for word in ("--input-bucket", "--input-file", "FUNCTION_TARGET", "FUNCTION_SOURCE", "tasks"):
        assert word in result.stdout


@pytest.mark.parametrize("arguments", [["-h"], ["tasks", "--help"], ["--version"]])
def test_asking_is_no_error(arguments: list[str], ucam_faas: Run) -> None:
    assert ucam_faas(*arguments).exit_code == 0


def test_the_defaults_in_the_help_are_those_of_the_settings(ucam_faas: Run) -> None:
    text = " ".join(ucam_faas("--help").stdout.split())

    assert f"[FUNCTION_SOURCE, or source in [tool.ucam-faas]; default: {Settings().source}]" in text
    assert f"[HOST; default: {Settings().host}]" in text
    assert f"[PORT; default: {Settings().port}]" in text


@pytest.mark.parametrize("verb", ["", *_VERBS, "jobs list", "jobs cancel", "jobs wait"])
def test_help_in_a_narrow_terminal_breaks_at_spaces_only(verb: str) -> None:
    result = CliRunner().invoke(main, [*verb.split(), "--help"], terminal_width=60)

    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 60
    assert [line for line in lines if line.endswith("-")] == []


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["start"], ["dev", "--pubsub", "nowhere"]], ids=" ".join)
def test_a_usage_error_in_a_narrow_terminal_breaks_at_spaces_only(
    arguments: list[str], tmp_path: Path
) -> None:
    screen, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 60, 0, 0))
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "ucam_faas", *arguments]

    done = subprocess.run(command, cwd=tmp_path, env=environ, stdout=terminal, stderr=terminal)
    lines = os.read(screen, 65536).decode().splitlines()
    os.close(terminal)
    os.close(screen)

    assert done.returncode == 2
    assert any(line.startswith("Error: ") for line in lines)
    assert max(map(len, lines)) <= 60


@pytest.mark.slow
def test_the_module_is_the_command(tmp_path: Path) -> None:
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

    result = subprocess.run(
        [sys.executable, "-m", "ucam_faas"],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 2
    assert result.stderr.startswith("ucam-faas: There is no ./main.py")
    assert len(result.stderr.splitlines()) == 1


# --- the line to send a message with


def named(decorate: Any) -> Any:
    def it_s(payload: Any, **captured: Any) -> None: ...

    return decorate(it_s).task


@pytest.mark.parametrize(
    ("decorate", "parts"),
    [
        (message_handler(message_type=None), ["curl http://x/it_s", "Content-Type", '"message"']),
        (raw_event, ["curl http://x/it_s -d"]),
        (http(path="/users/<id>", methods=["PUT"]), ["curl -X PUT 'http://x/users/{id}'"]),
    ],
)
def test_there_is_a_line_to_try_a_task_with(decorate: Any, parts: list[str]) -> None:
    line = example([named(decorate)], "http://x")

    assert all(part in line for part in parts)


def test_the_line_is_for_the_first_task_that_takes_messages() -> None:
    line = example([named(raw_event), named(message_handler(message_type=None))], "http://x")

    assert '"message"' in line


@pytest.mark.parametrize("verb", ["dev", "emulator"])
def test_the_local_cloud_says_which_extra_it_needs(
    verb: str, ucam_faas: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)

    result = ucam_faas(verb)

    assert result.exit_code == 2
    assert 'pip install "ucam-faas[local]"' in error_of(result)
