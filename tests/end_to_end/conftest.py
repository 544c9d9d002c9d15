"""The example collection: planned, applied, and running."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.clients.endpoint import Endpoint
from tests.clients.gcloud import Gcloud
from tests.clients.sink import Sink, running_sink
from tests.container.engine import ROOT, Container, docker, require_engine
from tests.integration.processes import SCRIPTS
from tests.terraform.fixtures import terraform_environment  # noqa: F401  # a fixture
from tests.terraform.runner import Terraform
from ucam_faas.local_testing import EmbeddedCloud
from ucam_faas.testing import ManualClock

from . import cloud, guide
from .deployed import Deployed

SATURDAY_IN_SUMMER = datetime(2026, 7, 4, 9, tzinfo=UTC)
"""When London's time is not UTC."""
_NOT_COPIED = (".git", ".venv", ".*_cache", ".hypothesis", "__pycache__", ".terraform*")


@pytest.fixture(scope="session")
def repository(
    terraform_environment: Mapping[str, str],  # noqa: F811
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[guide.Repository]:
    """The repository after the guide's local commands, up to `terraform apply`."""
    require_engine()
    folder = tmp_path_factory.mktemp("guide") / "repository"
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*_NOT_COPIED))
    environment = {
        **terraform_environment,
        **guide.variables(),
        "HOME": str(Path.home()),  # where Docker's plug-ins are
        "PATH": f"{SCRIPTS}:{os.environ['PATH']}",
        "DOCKER_BUILDKIT": "1",
        "TF_CLI_ARGS_destroy": "-auto-approve",  # for typing yes
    }
    repository = guide.Repository(folder, environment)
    try:
        for command in guide.commands(guide.LOCAL):
            if not command.startswith(guide.REMOVAL):
                repository.run(command)
        yield repository
    finally:
        if docker("images", "--quiet", guide.IMAGE):
            docker("rmi", "--force", guide.IMAGE)


@pytest.fixture(scope="session")
def deployed(repository: guide.Repository) -> Deployed:
    """The resources that Terraform has made."""
    return Deployed(Terraform(repository.folder / "deploy", repository.environment).show())


@pytest.fixture(scope="session")
def pubsub() -> Iterator[cloud.ReachablePubsub]:
    """The embedded Pub/Sub and Cloud Scheduler."""
    pubsub = cloud.ReachablePubsub()
    yield pubsub
    pubsub.close()


@pytest.fixture(scope="session")
def report_stock(deployed: Deployed, pubsub: cloud.ReachablePubsub) -> Iterator[Container]:
    """The service of that name."""
    with cloud.service(deployed.service("report-stock"), *pubsub.for_containers) as service:
        yield service


@pytest.fixture(scope="session")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the service `remove-old-exports` finds files."""
    folder = tmp_path_factory.mktemp("exports")
    folder.chmod(0o777)
    return folder


@pytest.fixture(scope="session")
def remove_old_exports(deployed: Deployed, exports: Path) -> Iterator[Container]:
    """The service of that name."""
    volume = f"--volume={exports}:/tmp/ucam_faas_exports"
    with cloud.service(deployed.service("remove-old-exports"), volume) as service:
        yield service


@pytest.fixture
def admin() -> Iterator[Sink]:
    """The Cloud Run Admin API: it keeps what it is asked."""
    with running_sink() as sink:
        yield sink


@pytest.fixture
def local(
    deployed: Deployed,
    pubsub: cloud.ReachablePubsub,
    report_stock: Container,
    remove_old_exports: Container,
    admin: Sink,
) -> Iterator[EmbeddedCloud]:
    """All that Terraform has made, new in each test, and a clock that stands still."""
    clock = ManualClock(SATURDAY_IN_SUMMER)
    pubsub.reset(clock)
    services = {"report-stock": report_stock, "remove-old-exports": remove_old_exports}
    addresses = {name: f"http://127.0.0.1:{each.port}" for name, each in services.items()}
    with closing(EmbeddedCloud(pubsub, clock, deliveries="parallel")) as local:
        cloud.create(deployed, pubsub.port, addresses, admin.url)
        yield local


@pytest.fixture(scope="session")
def gcloud(pubsub: cloud.ReachablePubsub, tmp_path_factory: pytest.TempPathFactory) -> Gcloud:
    """Gcloud, which takes the embedded Pub/Sub and Cloud Scheduler for Google's."""
    return Gcloud(Endpoint(pubsub.host, is_ours=True), tmp_path_factory.mktemp("gcloud"))
