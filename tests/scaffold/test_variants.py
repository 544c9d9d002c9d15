"""A new collection of each kind works as a newcomer uses it: make, its README, Terraform, Docker.

A run tries one variant, which the commit decides. `make variants` tries all of them.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.container.engine import NAME, ROOT, build, docker, require_engine
from tests.integration.processes import SCRIPTS, UCAM_FAAS, Process, wait_until
from tests.terraform.attached import Attached
from tests.terraform.fixtures import terraform_environment  # noqa: F401  # a fixture
from tests.terraform.runner import Terraform

pytestmark = pytest.mark.slow

VARIANTS = {
    "message": ["message"],
    "schedule": ["schedule"],
    "http": ["http"],
    "job": ["job"],
    "all": ["job", "message", "schedule", "http"],
}
"""The kinds of a collection's tasks: the first one is new with it, and the others are added."""
EXPECTED = {
    "message": r"done .*take_order",
    "schedule": r"done .*clean_up",
    "http": '"state":"shipped"',
    "job": '"paid": 250',
}
"""In the output of `make run` and of the sample command of the README."""


def chosen() -> list[str]:
    """Return the variants of this run."""
    if os.environ.get("VARIANTS") == "all":
        return list(VARIANTS)
    git = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    return [list(VARIANTS)[int(commit or "0", 16) % len(VARIANTS)]]


@dataclass(frozen=True)
class Collection:
    """A new collection, in a folder of its own."""

    folder: Path
    kinds: list[str]

    def run(self, command: str) -> str:
        """Run a command line in the collection's environment; return its output."""
        done = subprocess.run(
            ["bash", "-ec", command],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @property
    def environment(self) -> dict[str, str]:
        """That of a newcomer's terminal, where none of our own environment is active."""
        paths = os.environ["PATH"].replace(f"{SCRIPTS}:", "")
        environ = {
            **os.environ,
            "PATH": f"{self.folder}/.venv/bin:{paths}",
            "PYTHON": sys.executable,
        }
        return {name: text for name, text in environ.items() if name != "VIRTUAL_ENV"}

    def sample(self) -> str:
        """Return the command that the README has for the second terminal."""
        readme = (self.folder / "README.md").read_text()
        (command,) = re.findall(r"bin/activate\n(.*)", readme)
        return str(command)

    @contextmanager
    def running(self) -> Iterator[Process]:
        """Run `make run`, and end it with Control-C."""
        command = ["make", "run", "ARGS=--port 0 --pubsub-port 0"]
        process = Process(command, self.folder, self.environment)
        try:
            wait_until(lambda: "Control-C ends." in process.stdout, "it serves", 120)
            yield process
            process.signal_group(signal.SIGINT)
            process.wait()
        finally:
            process.kill()


CHOSEN = chosen()


def test_the_other_variants_are_tried_at_night() -> None:
    if len(CHOSEN) < len(VARIANTS):
        pytest.skip(f"This commit tries the variant {CHOSEN[0]!r}; `make variants` tries all.")


@pytest.fixture(scope="module", params=CHOSEN)
def collection(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Collection]:
    """A collection of a variant, with its dependencies installed."""
    first, *more = VARIANTS[request.param]
    parent = tmp_path_factory.mktemp("variant")
    new = [UCAM_FAAS, "new", "my-tasks", "--kind", first, "--ucam-faas", str(ROOT)]
    subprocess.run(new, cwd=parent, check=True, capture_output=True)
    collection = Collection(parent / "my-tasks", [first, *more])
    collection.run("make .venv/.installed")
    for kind in more:
        collection.run(f"ucam-faas new task my_{kind} --kind {kind}")
    yield collection
    shutil.rmtree(collection.folder / ".venv")  # some 150 MB


def test_its_tests_pass(collection: Collection) -> None:
    output = collection.run("make test ARGS=--verbose")

    assert output.count("PASSED") == 2 * len(collection.kinds)


def test_its_sample_does_what_it_should(collection: Collection) -> None:
    kind = collection.kinds[0]
    with collection.running() as process:
        port = re.findall(r"Tasks on http://127\.0\.0\.1:(\d+)", process.stdout)[0]
        shown = collection.run(collection.sample().replace("8080", port))

        wait_until(lambda: re.search(EXPECTED[kind], process.stdout + shown), "its outcome")


def test_it_has_no_contradictions(collection: Collection) -> None:
    for stage in ("test", "production"):
        assert "No contradiction found" in collection.run(f"make check STAGE={stage}")


def test_terraform_takes_its_plan(
    collection: Collection,
    terraform_environment: Attached,  # noqa: F811
) -> None:
    collection.run("make plan")
    folder = collection.folder / "deploy"
    local = 'terraform {\n  backend "local" {}\n}\n'
    (folder / "backend_override.tf").write_text(local)  # for the bucket
    terraform = Terraform(folder, terraform_environment.with_cloud())
    terraform.init()

    faults, errors = terraform.format_faults(), terraform.validate()
    variables = json.loads((folder / "test.tfvars.json").read_text())
    plan = terraform.plan({**variables, "container_image": "my-tasks:1"})

    assert (faults, errors) == ([], [])
    services = {each.values["name"] for each in plan.of("google_cloud_run_v2_service")}
    assert len(services) >= len(collection.kinds)
    assert "No contradiction found" in collection.run("make check")  # with the plan


@pytest.fixture(scope="module")
def bases() -> Iterator[str]:
    """The name of the base images."""
    require_engine()
    name = f"{NAME}-base"
    for stage in ("build", "run"):
        docker("build", f"--target={stage}", f"--tag={name}:{stage}", ".", seconds=600)
    yield name
    docker("rmi", "--force", f"{name}:build", f"{name}:run")


def test_its_image_has_its_tasks_and_no_tests(collection: Collection, bases: str) -> None:
    dockerfile = collection.folder / "Dockerfile"
    dockerfile.write_text(dockerfile.read_text().replace("ucam-faas:", f"{bases}:"))

    image = build("variant", folder=collection.folder)
    try:
        tasks = json.loads(docker("run", "--rm", image, "tasks", "--json"))
        files = docker("run", "--rm", "--entrypoint=find", image, "/srv/app")
    finally:
        docker("rmi", "--force", image)

    assert len({each["module"] for each in tasks}) == len(collection.kinds)
    assert "/srv/app/tasks/" in files
    assert not re.search(r"test_|main\.tf|README|\.venv", files)


def test_its_code_is_as_linters_want_it(collection: Collection) -> None:
    collection.run(f"{SCRIPTS}/ruff check --isolated --no-cache tasks")
    collection.run(f"{SCRIPTS}/ruff format --isolated --no-cache --check tasks")
    collection.run(f"{SCRIPTS}/hadolint Dockerfile")
