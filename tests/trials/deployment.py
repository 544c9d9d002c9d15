"""A deployment on this machine: `ucam-faas emulator`, and the services that it pushes to."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.dev.cloud import PROJECT, Rest
from tests.integration.processes import (
    UCAM_FAAS,
    Process,
    Server,
    environment,
    free_port,
    serving,
    wait_until,
)
from ucam_faas.clock import SystemClock
from ucam_faas.config import Settings
from ucam_faas.dev.sweeping import sweeping
from ucam_faas.jobs.stores.sqlite import SqliteStore

READY = re.compile(r"ucam-faas emulator ready on 127\.0\.0\.1:(\d+) \(.*\)\n")
DEAD_LETTERS = "dead-letters"


@dataclass(frozen=True)
class Deployment:
    """An emulator with inboxes, a store, a sweep, and a port for the service.

    Args:
        folder: of the tasks, which write to it, and of the store.
        rest: the emulator.
        port: to which it pushes.
        store: of the jobs.
    """

    folder: Path
    rest: Rest
    port: int
    store: SqliteStore

    @property
    def environ(self) -> dict[str, str]:
        """The environment of senders and services."""
        return {
            "PUBSUB_EMULATOR_HOST": f"127.0.0.1:{self.rest.port}",
            "GOOGLE_CLOUD_PROJECT": PROJECT,
            "UCAM_FAAS_JOB_STORE": f"sqlite:{self.folder}/jobs.db",
            "UCAM_FAAS_DEAD_LETTER_TOPIC": DEAD_LETTERS,
        }

    def service(self, **environ: str) -> AbstractContextManager[Server]:
        """Serve the tasks under gunicorn, at the port to which the emulator pushes."""
        own = {"FUNCTION_SOURCE": f"{self.folder}/main.py", "PORT": str(self.port)}
        return serving(folder=self.folder, **self.environ | own | environ)

    def dead_letters(self) -> list[dict[str, Any]]:
        """Return dead letters, if there are any."""
        return self.rest.pull(DEAD_LETTERS)


@contextmanager
def deployed(folder: Path, *tasks: str, ack_deadline_seconds: int = 60) -> Iterator[Deployment]:
    """Deploy these of the trials' tasks."""
    shutil.copy(Path(__file__).with_name("tasks.py"), folder / "main.py")
    own = folder / "emulator"
    emulator = Process([UCAM_FAAS, "emulator", "--port", "0"], own, environment(own))
    store = SqliteStore(f"{folder}/jobs.db", SystemClock())
    try:
        line = wait_until(lambda: READY.fullmatch(emulator.stdout), "it is ready")
        assert line is not None
        cloud = Deployment(folder, Rest(int(line[1])), free_port(), store)
        _subscribe(cloud, DEAD_LETTERS)
        for task in tasks:
            endpoint = f"http://127.0.0.1:{cloud.port}/{task}/inbox"
            _subscribe(
                cloud,
                f"{task}-inbox",
                pushConfig={"pushEndpoint": endpoint},
                ackDeadlineSeconds=ack_deadline_seconds,
                retryPolicy={"minimumBackoff": "1s"},
            )
        with sweeping(
            Settings(
                job_store=cloud.environ["UCAM_FAAS_JOB_STORE"],
                pubsub_emulator=cloud.environ["PUBSUB_EMULATOR_HOST"],
                project=PROJECT,
            ),
            on_expired=lambda _: None,
        ):
            yield cloud
    finally:
        store.close()
        emulator.kill()


def _subscribe(cloud: Deployment, name: str, **options: Any) -> None:
    topic, subscription = (
        f"projects/{PROJECT}/{kind}/{name}" for kind in ("topics", "subscriptions")
    )
    assert cloud.rest.call("PUT", topic, {}).status == 200
    answer = cloud.rest.call("PUT", subscription, {"topic": topic, **options})
    assert answer.status == 200, answer
