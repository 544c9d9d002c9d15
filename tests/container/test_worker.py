"""The image as a worker pool runs it: with the argument `worker`. Its build adds gRPC."""

from __future__ import annotations

import pytest

from tests.integration.emulator import PROJECT, Emulator
from tests.integration.processes import free_port, request, wait_until

from .conftest import dockerfile
from .engine import LOCKED_UP, build, run

pytestmark = pytest.mark.slow

CODE = '''
import ucam_faas

@ucam_faas.message_handler(run_as="worker", run_in_process=True)
def cut(seconds: list[int]) -> None:
    """Cut a film."""
'''


@pytest.fixture(scope="module")
def worker(bases: None, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The image of a project with a worker."""
    folder = tmp_path_factory.mktemp("films")
    (folder / "Dockerfile").write_text(dockerfile())
    (folder / "films").mkdir()
    (folder / "films/main.py").write_text(CODE)
    return build("films", "--build-arg=TASKS=films", folder=folder)


def test_a_container_pulls_and_ends_in_order(worker: str, embedded: Emulator) -> None:
    """Its environment is that which Terraform gives it. The task runs in a process."""
    port = free_port()
    environ = {
        "FUNCTION_TARGET": "cut",
        "GOOGLE_CLOUD_PROJECT": PROJECT,
        "PUBSUB_EMULATOR_HOST": embedded.host,
        "UCAM_FAAS_HEALTH_PORT": str(port),
    }
    options = [f"--env={name}={value}" for name, value in environ.items()]
    with run(worker, *LOCKED_UP, "--network=host", *options, command=("worker",)) as container:
        wait_until(lambda: container.log(message="ucam_faas_worker_pulling"), "it pulls", 60)

        assert request(port, "GET", "/ready").status == 200
        message_id = embedded.publish(f"projects/{PROJECT}/topics/cut", b"[1]")
        (line,) = wait_until(lambda: container.log(message_id=message_id), "the execution", 30)
        container.stop()

        assert line["outcome"] == "done"
        assert container.state()["ExitCode"] == 0
        (ended,) = container.log(message="ucam_faas_worker_ended")
        assert (ended["processed"], ended["returned"]) == (1, 0)
