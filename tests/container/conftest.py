"""Images that are built once, and the container that compose starts next to a Pub/Sub."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_docker.plugin import Services

from tests.integration.emulator import Emulator, running_emulator
from tests.integration.processes import UCAM_FAAS, Process, environment, wait_until

from .engine import NAME, ROOT, Container, build, docker, require_engine

collect_ignore = ["collection"]

COLLECTION = Path(__file__).parent / "collection"


def dockerfile() -> str:
    """The four lines that users are told to write, with the images of this test run."""
    guide = (ROOT / "docs/container.md").read_text()
    (block,) = re.findall(r"```dockerfile\n(.*?)```", guide, re.DOTALL)
    return str(block).replace("ucam-faas:", f"{NAME}:")


@pytest.fixture(scope="session")
def engine() -> Iterator[None]:
    """A Docker engine; what this run has made is removed at the end, but for the build cache."""
    require_engine()

    yield

    # Compose leaves behind what it could not start.
    project = f"label=com.docker.compose.project={NAME}"
    for kind, ids in {
        "container": docker("ps", "--all", "--quiet", "--filter", project),
        "network": docker("network", "ls", "--quiet", "--filter", project),
        # By name: other tests may have the same image under another one.
        "image": docker("images", "--format={{.Repository}}:{{.Tag}}", NAME),
    }.items():
        if ids:
            docker(kind, "rm", "--force", *set(ids.split()))


@pytest.fixture(scope="session")
def bases(engine: None) -> None:
    """The two images that a collection is built on."""
    build("build", "--target=build")
    build("run", "--target=run")


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's project: the collection, a Dockerfile of four lines, and private files."""
    folder = tmp_path_factory.mktemp("project") / "project"
    shutil.copytree(COLLECTION, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "Dockerfile").write_text(dockerfile())
    private = ("orders/.env", "orders/.git/config", "orders/pip.conf", "not_of_the_collection.txt")
    for name in private:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("secret")
    (folder / "orders").chmod(0o700)
    (folder / "orders/greeting.py").chmod(0o600)
    return folder


@pytest.fixture(scope="session")
def image(bases: None, project: Path) -> str:
    """The image of that project."""
    return build("orders", "--build-arg=TASKS=orders", folder=project)


@pytest.fixture(scope="session")
def embedded(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """The embedded Pub/Sub, where containers can reach it."""
    folder = tmp_path_factory.mktemp("emulator")
    command = [UCAM_FAAS, "emulator", "--host", "0.0.0.0", "--port", "0", "--memory"]
    process = Process(command, folder, environment(folder))

    def ready() -> re.Match[str] | None:
        assert process.popen.poll() is None, f"It ended at its start: {process.output}"
        return re.search(r"ready on 0\.0\.0\.0:(\d+)", process.stdout)

    try:
        ready_line = wait_until(ready, "the embedded Pub/Sub is ready", 30)
        assert ready_line
        clients = Emulator(f"127.0.0.1:{ready_line[1]}")
        yield clients
        clients.close()
    finally:
        process.kill()


@pytest.fixture(scope="session", params=["embedded", "google"])
def pubsub(
    request: pytest.FixtureRequest, engine: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Emulator]:
    """A Pub/Sub: ours, or Google's emulator."""
    if request.param == "embedded":
        yield request.getfixturevalue("embedded")
    else:
        with running_emulator(tmp_path_factory.mktemp("google")) as emulator:
            yield emulator


@pytest.fixture(scope="session")
def docker_compose_file() -> str:
    """The file of the containers that compose starts."""
    return str(Path(__file__).parent / "compose.yaml")


@pytest.fixture(scope="session")
def docker_compose_project_name() -> str:
    """Tell this run's containers from others'."""
    return NAME


@pytest.fixture(scope="session")
def docker_compose_command(
    image: str, embedded: Emulator, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """Fill in the variables of the file."""
    variables = tmp_path_factory.mktemp("compose") / "variables"
    port = embedded.host.rpartition(":")[2]
    variables.write_text(f"IMAGE={image}\nPUBSUB_PORT={port}\n")
    return f"docker compose --env-file {variables}"


@pytest.fixture(scope="session")
def docker_setup() -> str:
    """Start it, and wait until it is healthy."""
    return "up --wait"


@pytest.fixture(scope="session")
def docker_cleanup() -> str:
    """End it; what it does at its end is tested elsewhere."""
    return "down --volumes --timeout 1"


@pytest.fixture(scope="session")
def tasks(docker_services: Services) -> Container:
    """The container that compose has started."""
    port = docker_services.port_for("tasks", 9090)
    return Container(docker("ps", "--quiet", "--filter", f"name={NAME}-tasks").strip(), port)
