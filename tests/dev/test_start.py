"""The resources and output of `ucam-faas dev` when it is ready."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from tests.integration.processes import UCAM_FAAS, Process, request
from ucam_faas import local_state
from ucam_faas.tasks.needs import TaskNeeds

from .cloud import SOURCE, Dev, environ_of, refused
from .conftest import StartDev

pytestmark = pytest.mark.slow


def table(dev: Dev) -> list[str]:
    """Return the lines of the first table."""
    lines = dev.stdout.splitlines()
    start = next(i for i, line in enumerate(lines) if line.lstrip().startswith("TASK "))
    return lines[start : lines.index("", start)]


# --- shown


def test_the_table_has_each_task_with_its_trigger_and_its_type(dev: Dev) -> None:
    header, *rows = table(dev)

    assert header.split() == ["TASK", "TAKES", "TRIGGER"]
    cells = [re.split(r"  +", row.strip()) for row in rows]
    assert ["store", "Order", "topic store"] in cells
    place = cells.index(["on_order", "bytes", "topic shop-events, in order"])
    assert cells[place + 1] == ['if attributes.kind = "order"']
    assert ["hello", "HTTP request", "HTTP /hello"] in cells


def test_the_table_is_aligned(dev: Dev) -> None:
    header, *rows = table(dev)

    for name in ("TAKES", "TRIGGER"):
        column = header.index(name)
        assert all(row[column - 2 : column].strip() == "" for row in rows)


def test_each_schedule_has_its_next_run_in_local_time(dev: Dev) -> None:
    nightly, yearly = (row for row in table(dev) if " * * *" in row or " 1 1 *" in row)

    assert re.search(r"0 3 \* \* \*  Europe/London, next \w{3} \d\d \w{3} \d\d:00 \S+$", nightly)
    assert re.search(r"30 6 1 1 \*  Etc/UTC, paused$", yearly)


def test_its_tasks_are_kept_with_the_schemas_of_their_payloads(dev: Dev) -> None:
    tasks = {each["needs"]["name"]: each for each in local_state.read_tasks(dev.folder)}

    needs = TaskNeeds.from_json(tasks["store"]["needs"])
    assert needs.topic == "store"
    assert set(tasks["store"]["schema"]["schema"]["properties"]) == {"number"}


def test_nothing_is_coloured_when_the_output_is_no_terminal(dev: Dev) -> None:
    assert "\033" not in dev.output


def test_nothing_is_said_on_standard_error(dev: Dev) -> None:
    assert dev.stderr == ""


# --- made


@pytest.mark.parametrize(
    "topic", ["store", "shop-events", "shop-dead", "clean_up", "fail", "fail-dead-letter"]
)
def test_topics_are_made(dev: Dev, topic: str) -> None:
    assert dev.rest.exists(f"projects/local/topics/{topic}")


def test_a_subscription_is_as_its_decorator_says(dev: Dev) -> None:
    subscription = dev.rest.subscription("on_order")

    assert subscription["topic"] == "projects/local/topics/shop-events"
    assert subscription["pushConfig"]["pushEndpoint"] == f"{dev.url}/on_order"
    assert subscription["filter"] == 'attributes.kind = "order"'
    assert subscription["enableMessageOrdering"] is True
    assert subscription["ackDeadlineSeconds"] == 45
    assert subscription["retryPolicy"] == {"minimumBackoff": "2s", "maximumBackoff": "20s"}
    assert subscription["deadLetterPolicy"] == {
        "deadLetterTopic": "projects/local/topics/shop-dead",
        "maxDeliveryAttempts": 7,
    }


def test_a_subscription_by_default(dev: Dev) -> None:
    subscription = dev.rest.subscription("linger")

    assert subscription["topic"] == "projects/local/topics/linger"
    assert "filter" not in subscription
    assert "enableMessageOrdering" not in subscription
    assert subscription["ackDeadlineSeconds"] == 300
    assert (
        subscription["deadLetterPolicy"]["deadLetterTopic"]
        == "projects/local/topics/linger-dead-letter"
    )
    assert subscription["deadLetterPolicy"]["maxDeliveryAttempts"] == 5


def test_a_raw_event_is_pushed_unwrapped(dev: Dev) -> None:
    subscription = dev.rest.subscription("clean_up")

    assert subscription["pushConfig"]["noWrapper"] == {"writeMetadata": True}


@pytest.mark.parametrize("name", ["fail-dead-letter", "shop-dead"])
def test_a_subscription_keeps_dead_letters(dev: Dev, name: str) -> None:
    subscription = dev.rest.subscription(name)

    assert subscription["topic"] == f"projects/local/topics/{name}"
    assert subscription.get("pushConfig", {}) == {}
    assert (
        subscription["messageRetentionDuration"] == "2678400s"
    )  # 31 days, as with the Terraform module


def test_an_http_task_has_no_topic_and_is_served(dev: Dev) -> None:
    assert not dev.rest.exists("projects/local/topics/hello")
    assert request(dev.port, "GET", "/hello").body == b"hello"


def test_schedules_are_as_the_decorator_says(dev: Dev) -> None:
    nightly, yearly = dev.rest.job("clean_up"), dev.rest.job("clean_up-2")

    assert (nightly["schedule"], nightly["timeZone"]) == ("0 3 * * *", "Europe/London")
    assert nightly["pubsubTarget"]["topicName"] == "projects/local/topics/clean_up"
    assert nightly["pubsubTarget"]["attributes"] == {"a": "b"}
    assert nightly["state"] == "ENABLED"
    assert yearly["state"] == "PAUSED"


# --- sources


@pytest.mark.parametrize("options", [[], ["--memory"]])
def test_several_sources_in_a_repository(
    start_dev: StartDev, tmp_path: Path, options: list[str]
) -> None:
    """Git ignores its state; a file named like a module of Python does no harm."""
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    (tmp_path / "socket.py").write_text("raise AssertionError('imported by mistake')")
    for name in ("first", "second"):
        (tmp_path / f"{name}.py").write_text(
            "import ucam_faas\n@ucam_faas.message_handler(message_type=None)\n"
            f"def {name}(data): ...\n"
        )

    second = str(tmp_path / "second.py")
    dev = start_dev("first.py", second, "--project", "p-1", *options, folder=tmp_path)

    names = [row.split()[0] for row in table(dev)[1:]]
    assert names == ["first", "second"]
    assert dev.rest.exists("projects/p-1/subscriptions/second")
    command = ["git", "status", "--porcelain", "--untracked-files=all"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "first.py" in done.stdout
    assert ".ucam-faas" not in done.stdout


# --- refused


def refuse(folder: Path, *arguments: str, **environ: str) -> str:
    folder.mkdir(exist_ok=True)
    command = [UCAM_FAAS, "dev", "--no-dashboard", *arguments]
    process = Process(command, folder, environ_of(folder, **environ))
    try:
        return refused(process)
    finally:
        process.kill()


@pytest.mark.parametrize("option", ["--port", "--pubsub-port"])
def test_a_taken_port_is_one_line_that_names_the_option(tmp_path: Path, option: str) -> None:
    shutil.copy(SOURCE, tmp_path)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        free = {"--port": "0", "--pubsub-port": "0", option: port}

        line = refuse(tmp_path, *(text for pair in free.items() for text in pair))

    assert f"127.0.0.1:{port}" in line
    assert f"{option};" in line
    assert line.endswith("Beside another `ucam-faas dev`: ucam-faas dev --port 0 --pubsub-port 0")


def test_no_source_is_one_line_that_says_where_it_looked(tmp_path: Path) -> None:
    """Nothing was started or made before."""
    command = [UCAM_FAAS, "dev", "--port", "0", "--pubsub-port", "0"]  # with a dashboard
    process = Process(command, tmp_path / "empty", environ_of(tmp_path / "empty"))
    try:
        line = refused(process)
    finally:
        process.kill()

    assert "main.py" in line
    assert str(tmp_path / "empty") in line
    assert not (tmp_path / "empty/.ucam-faas").exists()


@pytest.mark.parametrize("arguments", [["--source", "two.py"], []], ids=str)
def test_an_option_or_the_configuration_names_the_source(
    tmp_path: Path, arguments: list[str]
) -> None:
    source = "one.py" if arguments else "two.py"
    (tmp_path / "pyproject.toml").write_text(f"[tool.ucam-faas]\nsource = '{source}'")

    assert "no two.py in" in refuse(tmp_path, *arguments, "--port", "0", "--pubsub-port", "0")


def test_settings_that_no_task_can_be_served_with_are_one_line(tmp_path: Path) -> None:
    shutil.copy(SOURCE, tmp_path)

    line = refuse(
        *(tmp_path, "--port", "0", "--pubsub-port", "0"),
        UCAM_FAAS_PUSH_AUDIENCE="https://tasks.example.org",
    )

    assert "UCAM_FAAS_PUSH_EMAIL" in line


def test_a_target_that_no_source_holds_is_one_line(tmp_path: Path) -> None:
    shutil.copy(SOURCE, tmp_path / "one.py")

    line = refuse(
        *(tmp_path, "one.py", "--target", "stroe", "--port", "0", "--pubsub-port", "0"),
        EFFECTS="effects",
    )

    assert "'stroe'" in line
    assert "'store'" in line


@pytest.mark.parametrize("options", [[], ["--reset"], ["--memory"]])
def test_a_second_one_in_a_directory_says_where_the_first_one_is(
    dev: Dev, options: list[str]
) -> None:
    state = dev.folder / ".ucam-faas" / "pubsub.sqlite3"
    before = state.stat().st_ino

    done = dev.run("dev", "--port", str(dev.port), "--pubsub-port", "0", *options)

    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert f"(process {dev.popen.pid})" in line
    assert dev.url in line
    assert f"127.0.0.1:{dev.rest.port}" in line
    assert state.stat().st_ino == before
    assert json.loads((dev.folder / ".ucam-faas" / "dev.json").read_bytes())["pubsub"]


def test_memory_and_reset_exclude_one_another(tmp_path: Path) -> None:
    assert "--reset" in refuse(tmp_path, "--memory", "--reset")


def test_a_directory_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    shutil.copy(SOURCE, tmp_path)
    (tmp_path / ".ucam-faas").write_text("in the way")

    line = refuse(tmp_path, "--port", "0", "--pubsub-port", "0")

    assert ".ucam-faas" in line


def test_a_mistyped_variable_is_shown_with_a_suggestion(start_dev: StartDev) -> None:
    dev = start_dev(UCAM_FAAS_LOG_LEVLE="INFO")

    hint = "did you mean UCAM_FAAS_LOG_LEVEL?"
    assert dev.shown("warning") == [f"UCAM_FAAS_LOG_LEVLE is set, and not used: {hint}"]


def test_the_topic_of_events_is_made_and_shown(start_dev: StartDev) -> None:
    dev = start_dev(UCAM_FAAS_EVENTS_TOPIC="what-failed")

    assert "\nEvents of jobs go to the topic what-failed.\n" in dev.stdout
    assert dev.rest.exists("projects/local/topics/what-failed")
