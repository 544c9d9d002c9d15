"""Google's Firestore emulator as a process of the tests' own."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from http.client import HTTPException
from pathlib import Path

import pytest

from tests.integration.processes import Process, free_port, request, wait_until
from ucam_faas.clock import Clock
from ucam_faas.jobs.stores.firestore.connect import api
from ucam_faas.jobs.stores.firestore.store import FirestoreStore
from ucam_faas.net.rest import Api

_JAR = Path("platform/cloud-firestore-emulator/cloud-firestore-emulator.jar")
_MAIN = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"


class Firestore:
    """A running emulator.

    Args:
        folder: to run in.
        command: that starts it; its port is added.
        address: that it listens on.
    """

    def __init__(self, folder: Path, command: Sequence[str], address: str = "127.0.0.1") -> None:
        self.port = free_port()
        self.host = f"127.0.0.1:{self.port}"
        self._folder = folder
        self._command = [*command, f"--host={address}", f"--port={self.port}"]
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers; it has no data."""
        self._process = Process(
            self._command, self._folder, {**os.environ, "HOME": str(self._folder)}
        )
        wait_until(self._answers, "the Firestore emulator answers", 60)

    def stop(self) -> None:
        """End it at once."""
        self._process.kill()

    def store(self, clock: Clock | None = None, project: str | None = None) -> FirestoreStore:
        """Return a store; without a project, of one that has no data."""
        return FirestoreStore(api(self.host), project or self.new_project(), clock=clock)

    def new_project(self) -> str:
        """Make up a project."""
        return f"p-{uuid.uuid4().hex[:12]}"

    def _answers(self) -> bool:
        assert self._process.popen.poll() is None, f"It ended at its start: {self._process.output}"
        try:
            return request(self.port, "GET", "/", seconds=5).status == 200
        except (OSError, HTTPException):
            return False


@pytest.fixture(scope="session")
def firestore(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firestore]:
    """Run the emulator for the session; it is skipped where there is none, except in CI."""
    emulator = Firestore(tmp_path_factory.mktemp("firestore"), _emulator())
    yield emulator
    emulator.stop()


@pytest.fixture(scope="session")
def every_address_firestore(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firestore]:
    """Run an emulator that containers reach, too."""
    emulator = Firestore(tmp_path_factory.mktemp("firestore"), _emulator(), "0.0.0.0")
    yield emulator
    emulator.stop()


def _emulator() -> list[str]:
    """Return the command that starts the emulator; the test is skipped without it, except in CI."""
    java, jar = shutil.which("java"), _jar()
    if java is None or jar is None:
        reason = "Google's Firestore emulator (java, cloud-firestore-emulator) isn't installed"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    # Its life is short: the second compiler and the parallel collector take more than they save.
    options = ["-Xmx512m", "-XX:-UsePerfData", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
    options += ["-Duser.language=en"]
    return [java, *options, "-cp", str(jar), _MAIN]


def _jar() -> Path | None:
    roots = [Path(os.environ["CLOUDSDK_ROOT_DIR"])] if "CLOUDSDK_ROOT_DIR" in os.environ else []
    gcloud = shutil.which("gcloud")
    roots += [Path(gcloud).resolve().parent.parent] if gcloud else []
    return next((root / _JAR for root in roots if (root / _JAR).exists()), None)


class Bill:
    """An API that counts as Google's page "Firestore pricing" does.

    A read is a document that is asked for, there or not, or that a query returns, at least one a
    query; a count is a read for each thousand. A write that fails is counted, too.
    """

    def __init__(self, api: Api) -> None:
        self._api = api
        self.host = api.host
        self.counts: Counter[str] = Counter()
        self.requests: list[str] = []
        self.last = b""
        self.answer = b""

    def post(self, path: str, body: bytes, timeout_seconds: float) -> tuple[int, bytes]:
        """Send a request, and count."""
        status, answer = self._api.post(path, body, timeout_seconds)
        verb, request = path.rpartition(":")[2], json.loads(body)
        self.last, self.answer = body, answer
        self.requests.append(verb)
        if verb == "batchGet":
            self.counts["reads"] += len(request["documents"])
        elif verb == "runQuery":
            documents = [item for item in json.loads(answer) if "document" in item]
            self.counts["reads"] += max(1, len(documents))
        elif verb == "runAggregationQuery":
            self.counts["reads"] += 1
        for write in request.get("writes", ()):
            self.counts["deletes" if "delete" in write else "writes"] += 1
        return status, answer

    def close(self) -> None:
        """Close the connections."""
        self._api.close()

    def taken(self) -> dict[str, int]:
        """Return the counts since the last call."""
        counts, self.counts, self.requests = dict(self.counts), Counter(), []
        return counts
