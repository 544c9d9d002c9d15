"""`ucam-faas dev` and the verbs around it read `.env`; the server in production doesn't."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.integration.processes import UCAM_FAAS, Process, Server, request, serving, wait_until

from .cloud import environ_of, refused
from .conftest import StartDev

pytestmark = pytest.mark.slow

TASKS = """
import os

import ucam_faas

AT_IMPORT = os.environ.get("API_KEY", "none")


@ucam_faas.http(path="/key")
def key(request):
    return f"{AT_IMPORT} {os.environ.get('API_KEY', 'none')} {os.environ.get('MODE', 'none')}"


@ucam_faas.message_handler(message_type=None, environment={"MODE": "declared"})
def work(data):
    pass
"""


def key(server: Server) -> str:
    """Return API_KEY when the code was imported, and API_KEY and MODE now."""
    return request(server.port, "GET", "/key").body.decode()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "main.py").write_text(TASKS)
    return tmp_path


def test_tasks_find_its_variables_from_the_import_on(start_dev: StartDev, folder: Path) -> None:
    (folder / ".env").write_text("API_KEY=file\nMODE=file\nGOOGLE_CLOUD_PROJECT=of-the-file\n")

    dev = start_dev(folder=folder)

    assert key(dev) == "file file file"
    assert dev.rest.call("GET", "projects/of-the-file/topics/work").status == 200


def test_the_shell_wins(start_dev: StartDev, folder: Path) -> None:
    (folder / ".env").write_text("API_KEY=file\n")

    dev = start_dev(folder=folder, API_KEY="shell")

    assert key(dev) == "shell shell declared"


def test_a_save_of_it_is_served_at_once(start_dev: StartDev, folder: Path) -> None:
    dev = start_dev(folder=folder)
    assert key(dev) == "none none declared"

    (folder / ".env").write_text("API_KEY=new\n")
    wait_until(lambda: key(dev) == "new new declared", "the new file is read")
    dev.wait_shown("reload", ".env changed; serving it")

    (folder / ".env").write_text("API_KEY='newer\n")
    (error,) = dev.wait_shown("error", ".env, line 1: expected NAME=VALUE")
    assert ".env: .env" not in error
    assert key(dev) == "new new declared"

    (folder / ".env").unlink()
    wait_until(lambda: key(dev) == "none none declared", "the file is gone")
    dev.wait_shown("reload", ".env deleted; serving without it")


def test_a_line_that_is_no_variable_is_refused_at_start(folder: Path) -> None:
    (folder / ".env").write_text("API_KEY='secret\n")
    process = Process(
        [UCAM_FAAS, "dev", "--port", "0", "--no-dashboard"], folder, environ_of(folder)
    )

    try:
        line = refused(process)
    finally:
        process.kill()

    assert ".env, line 1: expected NAME=VALUE" in line
    assert "secret" not in line


def test_the_verbs_that_load_tasks_find_its_variables(folder: Path) -> None:
    tasks = TASKS.replace('environ.get("API_KEY", "none")', "environ['API_KEY']")
    (folder / "main.py").write_text(tasks)
    (folder / ".env").write_text("API_KEY=file\n")

    done = subprocess.run(
        [UCAM_FAAS, "tasks"], cwd=folder, env=environ_of(folder), capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr
    assert "work" in done.stdout


def test_what_serves_in_production_does_not_read_it(folder: Path) -> None:
    (folder / ".env").write_text("API_KEY=file\nMODE=file\nPORT=1\n")

    with serving(folder=folder, FUNCTION_SOURCE=str(folder / "main.py")) as server:
        assert key(server) == "none none declared"
