"""`ucam-faas emulator`: one line when it is ready, errors in one line, an orderly end."""

from __future__ import annotations

import json
import re
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from google.api_core.exceptions import ServiceUnavailable
from google.cloud import pubsub_v1

from tests.integration.processes import HANG_SECONDS, UCAM_FAAS, Process, request, wait_until

from .cloud import Rest, environ_of, refused

pytestmark = pytest.mark.slow

TOPIC = "projects/local/topics/orders"
READY = re.compile(r"ucam-faas emulator ready on 127\.0\.0\.1:(\d+) \(.*\)\n")


class Emulator(Process):
    """A running `ucam-faas emulator`."""

    rest: Rest

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it, and return the exit code."""
        self.signal(number)
        return self.wait()


StartEmulator = Callable[..., Emulator]


@pytest.fixture
def start_emulator(tmp_path: Path) -> Iterator[StartEmulator]:
    """Start one on a free port, and wait until it is ready."""
    with ExitStack() as stack:

        def start(*arguments: str) -> Emulator:
            folder = tmp_path / f"emulator-{len(list(tmp_path.glob('emulator-*')))}"
            command = [UCAM_FAAS, "emulator", "--port", "0", *arguments]
            emulator = Emulator(command, folder, environ_of(folder))
            stack.callback(emulator.kill)
            line = wait_until(lambda: READY.fullmatch(emulator.stdout), "it is ready")
            emulator.rest = Rest(int(line[1]))
            return emulator

        yield start


def refuse(folder: Path, *arguments: str) -> str:
    process = Process([UCAM_FAAS, "emulator", *arguments], folder / "refused", environ_of(folder))
    try:
        return refused(process)
    finally:
        process.kill()


def seed(folder: Path, content: Any) -> str:
    path = folder / "seed.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


def test_it_answers_when_it_says_that_it_is_ready(start_emulator: StartEmulator) -> None:
    emulator = start_emulator("--memory")

    assert request(emulator.rest.port, "GET", "/").body.strip() == b"Ok"
    assert emulator.stdout.count("\n") == 1
    assert emulator.stderr == ""


def test_state_is_kept_in_its_folder_and_memory_keeps_nothing(
    start_emulator: StartEmulator, tmp_path: Path
) -> None:
    state = str(tmp_path / "state")
    emulator = start_emulator("--state", state)
    assert emulator.rest.call("PUT", TOPIC).status == 200
    emulator.signal(signal.SIGKILL)
    emulator.wait()

    again = start_emulator("--state", state)
    empty = start_emulator("--memory")

    assert again.rest.exists(TOPIC)
    assert not empty.rest.exists(TOPIC)
    assert again.end() == 0
    assert not start_emulator("--state", state, "--reset").rest.exists(TOPIC)


def test_reset_starts_anew_from_a_broken_file(
    start_emulator: StartEmulator, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (state / "pubsub.sqlite3").write_bytes(b"this is no database, and long enough" * 100)

    line = refuse(tmp_path, "--port", "0", "--state", str(state))
    emulator = start_emulator("--state", str(state), "--reset")

    assert "--reset" in line
    assert emulator.rest.call("PUT", TOPIC).status == 200


@pytest.mark.parametrize("more", [[], ["--reset"]])
def test_two_on_one_folder_are_refused_and_the_first_keeps_its_state(
    start_emulator: StartEmulator, tmp_path: Path, more: list[str]
) -> None:
    state = str(tmp_path / "state")
    emulator = start_emulator("--state", state)
    assert emulator.rest.call("PUT", TOPIC).status == 200

    line = refuse(tmp_path, "--port", "0", "--state", state, *more)

    assert "Another emulator uses it" in line
    assert emulator.end() == 0
    assert start_emulator("--state", state).rest.exists(TOPIC)


def test_a_seed_is_sown_and_what_is_there_stays(
    start_emulator: StartEmulator, tmp_path: Path
) -> None:
    subscription = {
        "name": "projects/local/subscriptions/orders",
        "topic": TOPIC,
        "ackDeadlineSeconds": 60,
    }
    job = {
        "name": "projects/local/locations/local/jobs/nightly",
        "schedule": "0 3 * * *",
        "pubsubTarget": {"topicName": TOPIC, "data": "e30="},
    }
    queue = {"name": "projects/local/locations/local/queues/later"}
    name = "projects/local/schemas/orders"
    schema = {"name": name, "type": "AVRO", "definition": '"string"'}
    topic = {"name": TOPIC, "schemaSettings": {"schema": name, "encoding": "JSON"}}
    content = {
        "schemas": [schema],
        "topics": [topic],
        "subscriptions": [subscription],
        "jobs": [job],
        "queues": [queue],
    }
    state = ["--state", str(tmp_path / "state")]
    emulator = start_emulator(*state, "--seed", seed(tmp_path, content))
    emulator.rest.publish("orders", b'"kept"')
    assert emulator.end() == 0
    subscription["ackDeadlineSeconds"] = 90

    again = start_emulator(*state, "--seed", seed(tmp_path, content))

    assert again.rest.subscription("orders")["ackDeadlineSeconds"] == 60
    assert len(again.rest.pull("orders")) == 1
    assert again.rest.job("nightly")["schedule"] == "0 3 * * *"
    answer = request(again.rest.port, "GET", f"/v2/{queue['name']}")
    assert json.loads(answer.body)["state"] == "RUNNING"


BAD_SEEDS = [
    ("{", "cannot be read as JSON"),
    ([], "expected an object with the keys schemas, topics, subscriptions, jobs, queues"),
    ({"topic": []}, "expected an object with the keys"),
    ({"topics": 5}, "topics: expected a list"),
    ({"topics": ["orders"]}, "topics[0]: Invalid resource name given"),
    ({"topics": [TOPIC], "subscriptions": [5]}, "subscriptions[0]: 5: expected an object"),
    ({"subscriptions": [{"nam": "x"}]}, 'subscriptions[0]: Message type "google.pubsub'),
    ({"jobs": [{"schedule": "0 3 * * *"}]}, "jobs[0]: Invalid name"),
]


@pytest.mark.parametrize(("content", "named"), BAD_SEEDS[::3])
def test_a_bad_seed_is_one_line_that_says_what_is_wrong(
    tmp_path: Path, content: Any, named: str
) -> None:
    line = refuse(tmp_path, "--port", "0", "--memory", "--seed", seed(tmp_path, content))

    assert named in line
    assert "seed.json" in line


def test_a_taken_port_is_one_line(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])

        line = refuse(tmp_path, "--memory", "--port", port)

    assert f"127.0.0.1:{port}" in line
    assert "--port" in line


def test_it_ends_quickly_with_0_although_clients_wait(
    start_emulator: StartEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscription = "projects/local/subscriptions/orders"
    content = {"topics": [TOPIC], "subscriptions": [{"name": subscription, "topic": TOPIC}]}
    emulator = start_emulator("--memory", "--seed", seed(tmp_path, content))
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", f"127.0.0.1:{emulator.rest.port}")
    ended = threading.Event()

    def requests() -> Iterator[dict[str, Any]]:
        yield {"subscription": subscription, "stream_ack_deadline_seconds": 10}
        ended.wait(2 * HANG_SECONDS)

    with pubsub_v1.SubscriberClient() as subscriber, socket.socket() as waiting:
        stream = subscriber.streaming_pull(requests=requests(), retry=None)
        emulator.rest.publish("orders", b"one")
        (received,) = next(iter(stream)).received_messages
        body = b'{"maxMessages": 1}'
        waiting.connect(("127.0.0.1", emulator.rest.port))
        waiting.sendall(
            b"POST /v1/%b:pull HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b"
            % (subscription.encode(), len(body), body)
        )

        code = emulator.end()

        ended.set()
        with pytest.raises(ServiceUnavailable):
            next(iter(stream))
    assert received.message.data == b"one"
    assert code == 0
    assert emulator.stderr == ""
