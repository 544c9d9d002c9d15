"""The Docker engine, by its command line: images are built, containers run and removed."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.integration.processes import Answer, free_port, request, wait_until

ROOT = Path(__file__).parent.parent.parent
NAME = f"ucam-faas-test-{os.getpid()}"
"""The beginning of the names of all images and containers of this test run."""
LOCKED_UP = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges")


class DockerError(Exception):
    """A command failed; the text is what it printed."""


def docker(*arguments: str, folder: Path = ROOT, seconds: float = 300) -> str:
    """Run `docker ARGUMENTS`, and return what it prints on standard output."""
    done = subprocess.run(
        ["docker", *arguments],
        cwd=folder,
        env={**os.environ, "DOCKER_BUILDKIT": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
    )
    if done.returncode:
        raise DockerError(f"docker {' '.join(arguments)}:\n{done.stdout}{done.stderr}")
    return done.stdout


def require_engine() -> None:
    """Skip the test where there is no engine, but fail it in CI."""
    try:
        docker("info", seconds=30)
        docker("compose", "version")
    except (OSError, DockerError, subprocess.TimeoutExpired) as error:
        reason = f"No Docker engine with compose: {str(error).strip().splitlines()[-1]}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


def build(tag: str, *options: str, folder: Path = ROOT) -> str:
    """Build an image from a folder, and return its name."""
    name = f"{NAME}:{tag}"
    docker("build", "--tag", name, *options, ".", folder=folder, seconds=600)
    return name


@dataclass(frozen=True)
class Container:
    """A container; `port` is that of the loopback interface which leads to its own."""

    id: str
    port: int = 0

    def output(self) -> str:
        """Return what it printed, errors included."""
        done = subprocess.run(
            ["docker", "logs", self.id], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        return done.stdout

    def log(self, **fields: Any) -> list[dict[str, Any]]:
        """Return the lines of its log that have these fields; each line is a JSON object."""
        lines = [json.loads(line) for line in self.output().splitlines()]
        return [line for line in lines if fields.items() <= line.items()]

    def state(self) -> dict[str, Any]:
        """Return what the engine knows of its state."""
        state: dict[str, Any] = json.loads(docker("inspect", "--format={{json .State}}", self.id))
        return state

    def get(self, path: str) -> Answer:
        """Ask for a page."""
        return request(self.port, "GET", path)

    def post(self, path: str, body: bytes) -> Answer:
        """Post a body."""
        return request(self.port, "POST", path, body)

    def wait(self, seconds: float = 30) -> int:
        """Return the exit code when it has ended."""
        return int(docker("wait", self.id, seconds=seconds))

    def stop(self) -> None:
        """Send SIGTERM, and SIGKILL ten seconds later, as Cloud Run does."""
        docker("stop", "--time=10", self.id)

    def start(self) -> None:
        """Start it again; its log goes on."""
        docker("start", self.id)

    def wait_until_served(self) -> None:
        """Return when its port is open."""
        wait_until(self._is_served, "the container serves")

    def _is_served(self) -> bool:
        if not self.state()["Running"]:
            raise AssertionError(f"The container ended at its start: {self.output()}")
        return "ucam_faas_serving" in self.output()


@contextmanager
def run(image: str, *options: str, command: tuple[str, ...] = ()) -> Iterator[Container]:
    """Start a container; it is removed at the end."""
    id = docker("run", "--detach", *options, image, *command).strip()
    try:
        yield Container(id)
    finally:
        docker("rm", "--force", "--volumes", id)


@contextmanager
def serve(image: str, *options: str) -> Iterator[Container]:
    """Start a locked-up container that serves, on a port that it keeps when it is started again."""
    port = free_port()
    with run(image, *LOCKED_UP, f"--publish=127.0.0.1:{port}:8080", *options) as container:
        running = Container(container.id, port)
        running.wait_until_served()
        yield running


def run_python(image: str, code: str, program: str = "python") -> str:
    """Run Python code in a container of an image, and return what it prints."""
    return docker("run", "--rm", *LOCKED_UP, f"--entrypoint={program}", image, "-c", code).strip()
