"""The shop, deployed once a session; each test changes a copy of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.terraform.attached import Attached
from tests.terraform.cases import MODULE

from . import page
from .deployment import IMAGE, Deployment, written

JOBS = """[environment]
UCAM_FAAS_JOB_STORE = "firestore:my-project/jobs"
UCAM_FAAS_DELAY_QUEUE = "projects/my-project/locations/europe-west2/queues/delays"
UCAM_FAAS_PAYLOADS = "gs://my-payloads"
UCAM_FAAS_EVENTS_TOPIC = "events"
"""


@pytest.fixture(scope="session")
def fresh_shop(
    terraform_environment: Attached, tmp_path_factory: pytest.TempPathFactory
) -> Deployment:
    """The shop with its plan's file, initialised, and not applied."""
    folder = tmp_path_factory.mktemp("fresh") / "shop"
    shop = written(folder, MODULE, terraform_environment.with_cloud())
    shop.plan()
    shop.terraform.init()
    return shop


@pytest.fixture(scope="session")
def deployed_shop(fresh_shop: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """The shop, applied."""
    shop = fresh_shop.copy(tmp_path_factory.mktemp("deployed") / "shop")
    shop.terraform.apply({"container_image": IMAGE})
    return shop


@pytest.fixture
def shop(deployed_shop: Deployment, tmp_path: Path) -> Deployment:
    """A copy of the deployed shop, in a cloud of its own."""
    return deployed_shop.copy(tmp_path / "shop")


@pytest.fixture(scope="session")
def deployed_with_jobs(
    deployed_shop: Deployment, tmp_path_factory: pytest.TempPathFactory
) -> Deployment:
    """The deployed shop, after a release with jobs."""
    shop = deployed_shop.copy(tmp_path_factory.mktemp("with_jobs") / "shop")
    (shop.folder / "pyproject.toml").write_text('[project]\nname = "shop"\n')
    shop.configure(JOBS)
    page.follow(shop, "release")
    return shop


@pytest.fixture
def with_jobs(deployed_with_jobs: Deployment, tmp_path: Path) -> Deployment:
    """A copy of the shop with jobs, in a cloud of its own."""
    return deployed_with_jobs.copy(tmp_path / "shop")
