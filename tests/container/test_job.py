"""The same image as a Cloud Run job: one run, and an exit code that says how it went."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.processes import wait_until

from .engine import LOCKED_UP, run

pytestmark = pytest.mark.slow

JOB = (*LOCKED_UP, "--env=LONG_RUNNING=true")


@pytest.mark.parametrize(
    ("target", "code", "outcome"),
    [("greet", 0, "done"), ("abort", 1, "failed"), ("crash", 2, "crashed")],
)
def test_the_exit_code_says_how_it_went(image: str, target: str, code: int, outcome: str) -> None:
    with run(image, *JOB, f"--env=FUNCTION_TARGET={target}") as container:
        assert container.wait() == code
        (line,) = container.log(task=target)

    assert line["outcome"] == outcome


def test_a_target_that_is_not_there_is_one_line_and_exit_code_2(image: str) -> None:
    with run(image, *JOB, "--env=FUNCTION_TARGET=nothing") as container:
        assert container.wait() == 2
        (line,) = container.output().splitlines()

    assert line.startswith("ucam-faas: No task named 'nothing' in /srv/tasks. Found: ")


@pytest.mark.parametrize(("file", "code"), [("order.json", 0), ("nothing.json", 3)])
def test_the_input_comes_from_a_file(image: str, tmp_path: Path, file: str, code: int) -> None:
    (tmp_path / "order.json").write_text('{"number": 1}')
    tmp_path.chmod(0o755)
    mount = f"--volume={tmp_path}:/input:ro"

    with run(
        image, *JOB, mount, "--env=FUNCTION_TARGET=store", f"--env=INPUT_FILE=/input/{file}"
    ) as container:
        assert container.wait() == code, container.output()


def test_sigterm_ends_a_job_within_the_grace(image: str) -> None:
    """The job is answered by its log: it was shut down, and is to be run again."""
    options = [*JOB, "--env=FUNCTION_TARGET=wait", "--env=UCAM_FAAS_GRACE_SECONDS=0.5"]
    with run(image, *options) as container:
        wait_until(lambda: "waiting" in container.output(), "the job runs")

        container.stop()

        state = container.state()
        assert (state["ExitCode"], state["Status"]) == (1, "exited")
        assert '"outcome":"shutting_down"' in container.output()
