"""`ucam-faas` that ends by itself: errors at its start, and tasks that are run once."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from .processes import SOURCE, Server

pytestmark = pytest.mark.slow

RunOnce = Callable[..., Server]

BAD_SOURCES = {
    "broken syntax": ("def", "main.py"),
    "raises": ("raise KeyError('who')", "'who'"),
    "exits": ("raise SystemExit(0)", "SystemExit"),
    "needs what is not installed": ("import not_installed_anywhere", "not_installed_anywhere"),
    "no tasks": ("def plain(): ...", "no tasks"),
    "a task that can never work": (
        "import ucam_faas\n@ucam_faas.message_handler(message_type=3)\ndef task(data): ...",
        "message_type=3",
    ),
    "two tasks of one path": (
        "import ucam_faas\n"
        "@ucam_faas.http(path='/twice')\ndef once(request): ...\n"
        "@ucam_faas.http(path='/twice')\ndef again(request): ...",
        "/twice",
    ),
}


def refused(process: Server) -> str:
    """Return the one line of an error; there is no traceback, and the exit code is 2."""
    assert process.wait() == 2, process.output
    assert "Traceback" not in process.output
    assert process.stdout == ""
    (line,) = process.stderr.splitlines()
    assert line.startswith("ucam-faas: ")
    return line


@pytest.mark.parametrize("name", BAD_SOURCES)
def test_a_bad_source_is_one_line_and_exit_code_2(
    run_once: RunOnce, tmp_path: Path, name: str
) -> None:
    content, named = BAD_SOURCES[name]
    (tmp_path / "main.py").write_text(content)

    process = run_once("--source", str(tmp_path / "main.py"), "--port", "0")

    assert named in refused(process)


def test_two_tasks_of_one_name_are_refused(run_once: RunOnce, tmp_path: Path) -> None:
    for package in ("first", "second"):
        (tmp_path / "tasks" / package).mkdir(parents=True)
        (tmp_path / "tasks" / package / "main.py").write_text(
            "import ucam_faas\n@ucam_faas.raw_event\ndef same(body): ...\n"
        )

    process = run_once("--source", str(tmp_path / "tasks"), "--port", "0")

    line = refused(process)
    assert "'same'" in line
    assert "first.main" in line
    assert "second.main" in line


def test_a_source_that_is_not_there_is_refused(run_once: RunOnce) -> None:
    assert "missing.py" in refused(run_once("--source", "missing.py"))


def test_the_default_source_is_main_py(run_once: RunOnce) -> None:
    assert "main.py" in refused(run_once())


def test_an_unknown_target_is_refused_with_the_known_ones(run_once: RunOnce) -> None:
    process = run_once("--source", str(SOURCE), "--target", "stroe")

    line = refused(process)
    assert "'stroe'" in line
    assert "'store'" in line


def test_a_target_that_is_not_a_task_is_refused(run_once: RunOnce) -> None:
    process = run_once(FUNCTION_SOURCE=str(SOURCE), FUNCTION_TARGET="not_a_task")

    assert "is not a task" in refused(process)


def test_a_taken_port_is_refused(run_once: RunOnce) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])

        process = run_once("--port", port, FUNCTION_SOURCE=str(SOURCE))

    line = refused(process)
    assert f"127.0.0.1:{port}" in line
    assert "--port" in line


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PORT", "http"),
        ("WORKERS", "0"),
        ("UCAM_FAAS_GRACE_SECONDS", "soon"),
        ("UCAM_FAAS_LOG_FORMAT", "xml"),
        ("UCAM_FAAS_DEAD_LETTER_TOPIC", "projects/p/topic/t"),
    ],
)
def test_a_bad_variable_is_named(run_once: RunOnce, variable: str, value: str) -> None:
    process = run_once(FUNCTION_SOURCE=str(SOURCE), **{variable: value})

    assert value in refused(process)


@pytest.mark.parametrize(
    ("target", "code"),
    [("echo", 0), ("store_bytes", 0), ("abort", 1), ("abort_by_report", 1), ("crash", 2)],
)
def test_the_exit_code_of_a_run_says_how_it_went(run_once: RunOnce, target: str, code: int) -> None:
    process = run_once("--long-running", "--source", str(SOURCE), "--target", target)

    assert process.wait() == code, process.output
    assert process.stderr == ""
    (line,) = process.log()
    assert ("stack_trace" in line) == (target == "crash")


def test_a_mistyped_variable_is_a_warning_and_no_error(run_once: RunOnce) -> None:
    process = run_once(
        *("--long-running", "--source", str(SOURCE), "--target", "echo"),
        UCAM_FAAS_LOG_LEVLE="secret",
    )

    assert process.wait() == 0, process.output
    warning, _ = process.log()
    assert warning["severity"] == "WARNING"
    assert warning["variable"] == "UCAM_FAAS_LOG_LEVLE"
    assert warning["hint"] == "did you mean UCAM_FAAS_LOG_LEVEL?"
    assert "secret" not in process.output


@pytest.mark.parametrize("target", ["not_a_task", "missing"])
def test_a_run_of_what_is_no_task_has_exit_code_2(run_once: RunOnce, target: str) -> None:
    process = run_once("--long-running", "--source", str(SOURCE), "--target", target)

    assert target in refused(process)


def test_a_run_by_environment_variables_gets_a_local_file_as_bytes(
    run_once: RunOnce, tmp_path: Path
) -> None:
    (tmp_path / "input.txt").write_text("the input")

    process = run_once(
        LONG_RUNNING="true",
        FUNCTION_SOURCE=str(SOURCE),
        FUNCTION_TARGET="echo",
        INPUT_FILE=str(tmp_path / "input.txt"),
    )

    assert process.wait() == 0, process.output
    (effect,) = process.effects("echo")
    assert (effect["body"], effect["type"]) == ("the input", "bytes")


@pytest.mark.parametrize(
    ("content", "code", "effects"), [('{"number": 5}', 0, [5]), ('{"number": "x"}', 1, [])]
)
def test_a_message_handler_run_once_gets_the_file_as_its_message(
    run_once: RunOnce, tmp_path: Path, content: str, code: int, effects: list[int]
) -> None:
    (tmp_path / "input.json").write_text(content)
    options = ("--source", str(SOURCE), "--target", "store")

    process = run_once("--long-running", *options, "--input-file", str(tmp_path / "input.json"))

    assert process.wait() == code, process.output
    assert [line["number"] for line in process.effects("store")] == effects


def test_an_async_task_is_run_once(run_once: RunOnce, tmp_path: Path) -> None:
    (tmp_path / "input.json").write_text('{"number": 6}')
    options = ("--source", str(SOURCE), "--target", "store_async")

    process = run_once("--long-running", *options, "--input-file", str(tmp_path / "input.json"))

    assert process.wait() == 0, process.output
    assert [line["number"] for line in process.effects("store_async")] == [6]


def test_an_input_that_is_not_there_has_exit_code_3(run_once: RunOnce) -> None:
    process = run_once(
        *("--long-running", "--source", str(SOURCE), "--target", "echo"),
        *("--input-file", "nowhere.txt"),
    )

    assert process.wait() == 3, process.output
    (line,) = process.stderr.splitlines()
    assert "nowhere.txt" in line
    assert process.effects() == []


def test_a_name_that_no_topic_can_have_is_served_and_run(
    serve: Callable[..., Server], run_once: RunOnce, tmp_path: Path
) -> None:
    (tmp_path / "main.py").write_text(
        "import ucam_faas\n@ucam_faas.message_handler(message_type=None)\ndef go(data): ...\n"
    )
    source = str(tmp_path / "main.py")

    answer = serve("serve", source).post(
        "/go",
        b'{"message": {"data": "eA=="}}',
        headers={"Content-Type": "application/json"},
    )

    assert answer.status == 200
    assert run_once("run", "go", source).wait() == 0


def test_a_run_of_several_tasks_is_refused(run_once: RunOnce) -> None:
    process = run_once("--long-running", "--source", str(SOURCE))

    assert "--target" in refused(process)
