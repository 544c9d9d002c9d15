"""Every verb takes `--json`; servers print a line when they are ready, and `dev` one per event."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from tests.dev.cloud import starting
from tests.integration.processes import UCAM_FAAS, Process, environment, request, wait_until
from tests.support.sources import Sources
from tests.worker.processes import WorkerProcess, pubsub
from ucam_faas import cli

WITHOUT = {
    "completion": "its stdout is for a shell, which reads it as its own language",
    "mcp": "its stdout is the protocol's, which is JSON",
}
"""Commands without `--json`, and why."""
TASKS = """
@ucam_faas.message_handler(message_type=None, create_default_info=ucam_faas.ExecutionInfo)
def count(data):
    print("counting", flush=True)
    return {"bytes": len(data)}

@ucam_faas.raw_event
def fail(data):
    raise ValueError("secret")
"""


def commands(
    group: click.Group, context: click.Context, *path: str
) -> Iterator[tuple[str, click.Command]]:
    """Yield the commands of a group, and of its groups."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield " ".join((*path, name)), command
        if isinstance(command, click.Group):
            yield from commands(command, context, *path, name)


def lines_of(process: Process) -> list[dict[str, Any]]:
    """Return the documents on its stdout, which has nothing else."""
    text = process.stdout
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


def wait_for(process: Process, event: str, **fields: Any) -> dict[str, Any]:
    """Return the first event with these fields, when it is there."""

    def find() -> list[dict[str, Any]]:
        assert process.popen.poll() is None, process.output
        events = (line for line in lines_of(process) if line["event"] == event)
        return [line for line in events if fields.items() <= line.items()]

    return wait_until(find, f"{event} {fields}")[0]


def test_every_command_takes_json() -> None:
    context = click.Context(cli.main)
    every = {"ucam-faas": cli.main, **dict(commands(cli.main, context))}

    without = {
        name
        for name, command in every.items()
        if not any("--json" in parameter.opts for parameter in command.params)
    }

    assert len(every) > 40
    assert without == set(WITHOUT)


@pytest.fixture
def ucam_faas(
    own_logging: None, sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Result]:
    monkeypatch.chdir(sources.root)
    sources.write("main.py", before=TASKS)
    return lambda *arguments: CliRunner().invoke(cli.main, arguments)


def test_a_run_is_a_document_and_its_log_goes_to_stderr(
    ucam_faas: Callable[..., Result], tmp_path: Path
) -> None:
    (tmp_path / "input").write_text("four")

    done = ucam_faas("run", "count", "--input-file", str(tmp_path / "input"), "--json")
    crashed = ucam_faas("--json", "run", "fail")

    document = json.loads(done.stdout)
    assert (document["task"], document["outcome"], document["exit_code"]) == ("count", "done", 0)
    assert document["result"] == {"bytes": 4}
    assert document["execution_info"]["execution"]["status"] == "COMPLETED"
    assert "counting" in done.stderr
    assert "ucam_faas_function_completed" in done.stderr
    document = json.loads(crashed.stdout)
    assert (document["outcome"], document["exit_code"]) == ("crashed", crashed.exit_code)
    assert "secret" not in crashed.stdout


@pytest.mark.parametrize("check", [False, True])
def test_a_file_that_asyncapi_writes_is_reported(
    check: bool, ucam_faas: Callable[..., Result], sources: Sources
) -> None:
    command = ["asyncapi", "--output", "topics.json", "--json", *["--check"] * check]

    first, second = ucam_faas(*command), ucam_faas(*command)

    written = {"file": "topics.json", "current": not check, "written": not check}
    assert (json.loads(first.stdout), first.exit_code) == (written, int(check))
    assert json.loads(second.stdout) == {**written, "written": False}
    assert Path(sources.path("topics.json")).exists() is not check


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["serve", "--json"], "url"),
        (["--json"], "url"),
        (["emulator", "--memory", "--json"], "pubsub"),
        (["dashboard", "--google", "--project", "p", "--json"], "url"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_server_prints_a_line_when_it_is_ready(
    command: list[str], name: str, sources: Sources
) -> None:
    sources.write("main.py", before=f"print('at import')\n{TASKS}")
    environ = environment(sources.root, UCAM_FAAS_LOG_FORMAT="console")
    process = Process([UCAM_FAAS, *command, "--port", "0"], sources.root, environ)
    try:
        ready = wait_for(process, "ready")
        port = int(ready[name].rpartition(":")[2])
        status = request(port, "GET", "/").status
        process.signal(signal.SIGTERM)

        assert status < 500
        assert process.wait() in (0, -signal.SIGTERM)
        assert lines_of(process) == [ready]
    finally:
        process.kill()


@pytest.mark.slow
def test_a_worker_prints_a_line_at_its_start_and_its_end(tmp_path: Path) -> None:
    arguments = ("--target", "charge", "--messages-limit", "2", "--json")
    with pubsub(tmp_path / "pubsub") as cloud:
        process = WorkerProcess(tmp_path / "worker", cloud, *arguments)
        try:
            ready = wait_for(process, "ready")
            cloud.publish_many("charge", [{"id": "1"}, {"id": "2"}])

            assert process.wait() == 0
            names = {name.rpartition("/")[2] for name in ready["subscriptions"]}
            assert names == {"charge", "charge-inbox"}
            assert lines_of(process) == [
                ready,
                {
                    "event": "ended",
                    "exit_code": 0,
                    "processed": 2,
                    "returned": 0,
                    "outcomes": {"done": 2},
                },
            ]
        finally:
            process.kill()


@pytest.mark.slow
def test_dev_prints_a_line_for_each_event(sources: Sources) -> None:
    """Also those that no line for people shows, such as a success that is in the tasks' log."""
    sources.write("main.py", "welcome", before="print('at import')")
    dev = starting(sources.root, "--json", "--memory")
    try:
        ready = wait_for(dev, "ready")
        sent = dev.run("publish", "welcome", "hi", "--wait", "--json")
        done = wait_for(dev, "done", subscription="welcome")
        sources.write("main.py", "welcome", before="broken")
        error = wait_for(dev, "error")
        sources.write("main.py", "welcome", "leave")
        reload = wait_for(dev, "reload", tasks=["welcome", "leave"])
        exit_code = dev.end()

        assert ready["tasks"] == ["welcome"]
        assert ready["url"].startswith("http://127.0.0.1:")
        document = json.loads(sent.stdout)
        assert document["pubsub"] == ready["pubsub"]
        assert document["handled"]
        assert document["steps"] == [{"event": "acknowledged", "attempt": 1}]
        assert done["message_id"] == document["message_id"]
        assert "broken" in error["text"]
        assert error["code"] == "source-not-loaded"
        assert reload["down"] == []
        assert exit_code == 0
        events = [line["event"] for line in lines_of(dev)]
        assert events[1:4] == ["published", "delivered", "done"]
        assert "Try, in another terminal" in dev.stderr
    finally:
        dev.kill()


@pytest.mark.slow
def test_dev_ends_in_order_when_the_reader_of_its_events_has_gone(sources: Sources) -> None:
    sources.write("main.py", "welcome")
    command = [UCAM_FAAS, "dev", "--json", "--memory", "--no-dashboard"]
    dev = subprocess.Popen(
        [*command, "--port", "0", "--pubsub-port", "0"],
        cwd=sources.root,
        env=environment(sources.root),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert dev.stdout is not None
        ready = json.loads(dev.stdout.readline())
        dev.stdout.close()
        topic = f"/v1/projects/{ready['project']}/topics/welcome:publish"
        port = int(ready["pubsub"].rpartition(":")[2])
        request(port, "POST", topic, b'{"messages": [{"data": "aGk="}]}')

        assert dev.wait(60) == 0
    finally:
        dev.kill()
