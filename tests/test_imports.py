"""The modules that an import loads, read from `sys.modules` of fresh processes: cost at a start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ucam_faas.testing import make_push

from .integration.processes import serving

pytestmark = pytest.mark.slow

AT_IMPORT = {
    *("flask", "grpc", "google.cloud", "google.protobuf", "requests", "sqlalchemy"),
    *("click", "gunicorn", "pydantic"),
}
WITH_TASKS = {
    *("flask", "grpc", "google.cloud", "google.cloud.pubsub_v1", "google.cloud.storage"),
    *("requests", "structlog", "functions_framework", "click", "gunicorn", "cloudevents"),
    *("jinja2", "starlette", "ucam_faas.dashboard"),
}
WHEN_SERVING = {
    *("flask", "werkzeug", "grpc", "google.cloud", "google.cloud.pubsub_v1", "google.protobuf"),
    *("google.cloud.storage", "google.auth", "requests", "structlog", "watchdog"),
    *("functions_framework", "cloudevents", "sqlalchemy", "opentelemetry"),
    # No task of the test has jobs.
    *("sqlite3", "psycopg", "ucam_faas.jobs.stores", "ucam_faas.jobs.rows"),
    *("ucam_faas.job_runs.job_run", "ucam_faas.job_runs.current_job"),
    *("ucam_faas.http_jobs", "ucam_faas.dashboard", "jinja2", "starlette"),
    *("ucam_faas.tasks.middleware", "ucam_faas.tasks.dependencies"),
}

TASKS = """
import json
import sys

from pydantic import BaseModel

import ucam_faas


class Order(BaseModel):
    number: int


@ucam_faas.raw_event
def modules(body: bytes) -> str:
    return json.dumps(sorted(sys.modules))


@ucam_faas.message_handler(message_type=Order)
def store(order: Order) -> None:
    pass
"""


def modules_after(code: str) -> set[str]:
    """Return what a fresh interpreter has imported after some code."""
    result = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport json, sys\nprint(json.dumps(list(sys.modules)))"],
        env={name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert result.returncode == 0, result.stderr
    return set(json.loads(result.stdout.splitlines()[-1]))


def offenders(loaded: set[str], unwanted: set[str]) -> set[str]:
    """Return the unwanted libraries among what is loaded.

    A bare interpreter's modules do not count: `.pth` files may make namespace packages at its
    start, such as an empty google.cloud.
    """
    return (unwanted & loaded) - modules_after("")


def test_importing_the_package_imports_next_to_nothing() -> None:
    loaded = modules_after("import ucam_faas")

    assert offenders(loaded, AT_IMPORT | WITH_TASKS | WHEN_SERVING) == set()
    assert {name for name in loaded if name.startswith("ucam_faas")} == {"ucam_faas"}


def test_loading_tasks_imports_no_heavy_library(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(TASKS)
    source = str(tmp_path / "main.py")

    loaded = modules_after(f"from ucam_faas.tasks import registry\nregistry.load({source!r})")

    assert offenders(loaded, WITH_TASKS) == set()
    assert "pydantic" in loaded


def test_no_heavy_library_is_imported_until_a_request_was_served(tmp_path: Path) -> None:
    """The real process: command line, gunicorn, worker, pushes, and one request that tells."""
    (tmp_path / "main.py").write_text(TASKS)
    push = make_push({"number": 1})

    environ = {"FUNCTION_SOURCE": "main.py", "UCAM_FAAS_JOB_STORE": "firestore:my-project"}
    with serving(folder=tmp_path, **environ) as server:
        answer = server.post("/store", push.body, headers=push.headers)
        loaded = set(json.loads(server.post("/modules").body))

    assert answer.status == 200
    assert offenders(loaded, WHEN_SERVING) == set()
    assert {"gunicorn", "uvicorn", "pydantic"} <= loaded


def test_a_store_in_firestore_takes_no_client_library_of_google() -> None:
    """Nor google-auth before it is used."""
    code = (
        "from ucam_faas.config import Settings\nfrom ucam_faas.execution.runtime import store_of\n"
    )

    loaded = modules_after(f"{code}assert store_of(Settings(job_store='firestore:my-project'))")

    unwanted = {
        "grpc",
        "google.cloud",
        "google.protobuf",
        "google.auth",
        "requests",
        "psycopg",
        "sqlite3",
    }
    assert offenders(loaded, unwanted) == set()
    assert "ucam_faas.jobs.stores.firestore.store" in loaded


def test_the_pytest_plugin_imports_nothing_of_ours_before_it_is_used() -> None:
    loaded = modules_after("import ucam_faas._pytest_plugin")

    ours = {name for name in loaded if name.startswith("ucam_faas")}
    assert ours == {"ucam_faas", "ucam_faas._pytest_plugin"}
    assert offenders(loaded, AT_IMPORT) == set()


def test_help_and_version_import_no_server() -> None:
    code = "import ucam_faas.cli as cli\ntry: cli.main(['--help'])\nexcept SystemExit: pass"

    loaded = modules_after(code)

    assert offenders(loaded, {"gunicorn", "uvicorn", "pydantic", *WITH_TASKS} - {"click"}) == set()


def test_a_protobuf_task_brings_protobuf_and_not_grpc(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(
        TASKS + "\nfrom google.protobuf.wrappers_pb2 import StringValue\n"
        "@ucam_faas.message_handler(message_type=StringValue)\n"
        "def store_protobuf(message: StringValue) -> None: ...\n"
    )
    source = str(tmp_path / "main.py")

    loaded = modules_after(f"from ucam_faas.tasks import registry\nregistry.load({source!r})")

    assert offenders(loaded, WITH_TASKS) == set()
    assert "google.protobuf" in loaded


def test_all_public_names_together_import_no_heavy_library() -> None:
    code = "import ucam_faas\nfor name in ucam_faas.__all__: getattr(ucam_faas, name)"

    loaded = modules_after(code)

    assert offenders(loaded, WITH_TASKS) == set()


def test_the_local_cloud_leaves_the_pages_to_the_process_of_the_dashboard() -> None:
    loaded = modules_after("import ucam_faas.dev.session")

    assert offenders(loaded, {"jinja2", "starlette", "ucam_faas.dashboard"}) == set()
