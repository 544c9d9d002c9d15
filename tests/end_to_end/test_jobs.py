"""Jobs of a deployed collection: from `send` to the result, in the real containers.

The plan, Terraform's state and the image are as in `test_end_to_end`. Google's Firestore emulator
has the database that Terraform has made. Not proven: the permissions, and Firestore's indexes,
which the emulator doesn't need.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from tests.clients.sink import Sink
from tests.container.engine import Container, docker
from tests.integration.processes import wait_until
from tests.support.firestore import Firestore
from tests.terraform.runner import Terraform
from ucam_faas.local_testing import EmbeddedCloud
from ucam_faas.testing import ManualClock

from . import cloud, guide
from .deployed import Deployed

pytestmark = pytest.mark.slow

TASKS = "jobs"
IMAGE = guide.IMAGE.replace("-guide", "-jobs")
SERVICES = ("charge", "split", "shop-sweep")
PLAN = f"""
cp -r tests/end_to_end/jobs {TASKS}  # Docker doesn't get the tests
docker build --build-arg TASKS={TASKS} --tag {IMAGE} .
mkdir deploy-jobs
sed 's|"../../modules|"../terraform/modules|' terraform/examples/tasks_from_plan/main.tf \
  > deploy-jobs/main.tf
cd {TASKS}
ucam-faas plan --output "$OLDPWD/deploy-jobs/ucam-faas.auto.tfvars.json"
ucam-faas check --plan "$OLDPWD/deploy-jobs/ucam-faas.auto.tfvars.json"
"""


@pytest.fixture(scope="module")
def deployed(repository: guide.Repository) -> Iterator[Deployed]:
    """The resources that Terraform has made for the tasks in `jobs`."""
    try:
        repository.run(PLAN)
        terraform = Terraform(repository.folder / "deploy-jobs", repository.environment)
        terraform.init()
        yield Deployed(terraform.apply({"container_image": IMAGE}))
    finally:
        if docker("images", "--quiet", IMAGE):
            docker("rmi", "--force", IMAGE)


@dataclass(frozen=True)
class Shop:
    """The running collection.

    Args:
        environ: of a sender outside of the cloud: that of a task, and the emulators.
        services: the containers.
        options: Docker's, of containers that use the emulators.
    """

    local: EmbeddedCloud
    environ: dict[str, str]
    services: dict[str, Container]
    deployed: Deployed
    options: tuple[str, ...]

    def run(self, code: str, folder: Path) -> str:
        """Run a sender in a process of its own, and return its output."""
        done = subprocess.run(
            [sys.executable, "-c", f"import ucam_faas\n{code}"],
            cwd=folder,
            env={**os.environ, **self.environ},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture
def shop(
    deployed: Deployed,
    pubsub: cloud.ReachablePubsub,
    every_address_firestore: Firestore,
    admin: Sink,
) -> Iterator[Shop]:
    """The collection's services, and the resources that Terraform has made for them."""
    port, clock = every_address_firestore.port, ManualClock()
    options = (
        *pubsub.for_containers,
        f"--env=FIRESTORE_EMULATOR_HOST=host.docker.internal:{port}",
    )
    pubsub.reset(clock)
    with ExitStack() as stack:
        services = {
            name: stack.enter_context(cloud.service(deployed.service(name), *options))
            for name in SERVICES
        }
        addresses = {name: f"http://127.0.0.1:{each.port}" for name, each in services.items()}
        local = stack.enter_context(closing(EmbeddedCloud(pubsub, clock, deliveries="parallel")))
        cloud.create(deployed, pubsub.port, addresses, admin.url)
        environ = {
            **deployed.service("split").environment,
            "FIRESTORE_EMULATOR_HOST": f"127.0.0.1:{port}",
            "PUBSUB_EMULATOR_HOST": f"127.0.0.1:{pubsub.port}",
        }
        yield Shop(local, environ, services, deployed, options)


def test_a_job_goes_from_send_to_its_result_and_sends_others(shop: Shop, tmp_path: Path) -> None:
    ids = shop.run("print(*ucam_faas.send('split', [100, 250]).result(timeout=60))", tmp_path)

    results = [f"ucam_faas.get_job('charge', {id!r}).result(timeout=60)" for id in ids.split()]
    assert shop.run(f"print({', '.join(results)})", tmp_path) == "100 250"


def test_the_sweep_wakes_a_job_when_its_time_has_come(shop: Shop, tmp_path: Path) -> None:
    delay = "import datetime; delay = datetime.timedelta(seconds=1)"
    shop.run(f"{delay}; ucam_faas.send('charge', 7, id='later', delay=delay)", tmp_path)
    status = "print(ucam_faas.get_job('charge', 'later').status)"
    before = shop.run(status, tmp_path)

    def swept() -> bool:
        shop.local.advance(timedelta(minutes=1))
        return shop.run(status, tmp_path) == "SUCCESS"

    wait_until(swept, "the job has run")

    assert before == "PENDING"
    assert shop.services["shop-sweep"].log(outcome="done")


def test_a_worker_pool_runs_jobs_and_messages(shop: Shop, tmp_path: Path) -> None:
    """Of an inbox and of the task's topic, whose subscriptions don't push."""
    with cloud.worker_pool(shop.deployed.worker_pool("render"), *shop.options) as worker:
        charged = shop.run("print(ucam_faas.send('render', 24).result(timeout=60))", tmp_path)
        topic = f"projects/{shop.environ['GOOGLE_CLOUD_PROJECT']}/topics/render"
        message_id = shop.local.publish(topic, 48)
        (line,) = wait_until(lambda: worker.log(message_id=message_id), "the message has run")
        worker.stop()

        assert line["outcome"] == "done"
        (ended,) = worker.log(message="ucam_faas_worker_ended")
        assert (ended["processed"], ended["returned"]) == (2, 0)
        assert worker.state()["ExitCode"] == 0
    job = f"ucam_faas.get_job('charge', {charged!r})"
    assert shop.run(f"print({job}.result(timeout=60))", tmp_path) == "24"
