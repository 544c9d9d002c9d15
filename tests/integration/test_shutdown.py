"""The end of a real process: no effect is acknowledged twice, and none is lost."""

import http.client
import json
import signal
import socket
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from ucam_faas.testing import make_push

from .processes import Server, wait_until

pytestmark = pytest.mark.slow

Serve = Callable[..., Server]
NO_ANSWER = 0


def post_work(server: Server, id: str, seconds: float, task: str = "work") -> int:
    """Ask for work, and return the answer's status."""
    return status_of(server, f"/{task}", json.dumps({"id": id, "seconds": seconds}).encode())


def status_of(server: Server, path: str, body: bytes) -> int:
    """Post a body, and return the answer's status."""
    try:
        return server.post(path, body, headers={"Content-Type": "application/json"}).status
    except (OSError, http.client.HTTPException):
        return NO_ANSWER


@pytest.mark.parametrize(("task", "workers"), [("work", "1"), ("work_async", "1"), ("work", "2")])
def test_under_load_an_effect_is_acknowledged_exactly_if_it_happened(
    serve: Serve, task: str, workers: str
) -> None:
    """Sixteen clients post to eight threads, so that at SIGTERM some work runs and some waits.

    A 2xx means one effect. Anything else means none: what had begun was finished and answered.
    """
    server = serve(WORKERS=workers, THREADS="8")
    ended = threading.Event()

    def client(name: int) -> dict[str, int]:
        statuses: dict[str, int] = {}
        while not ended.is_set():
            id = f"{name}-{len(statuses)}"
            statuses[id] = post_work(server, id, seconds=0.05, task=task)
            if statuses[id] == NO_ANSWER:
                break
        return statuses

    with ThreadPoolExecutor(16) as clients:
        running = [clients.submit(client, name) for name in range(16)]
        wait_until(lambda: len(server.effects("work")) > 100, "the load is on")
        server.signal(signal.SIGTERM)
        code = server.wait()
        ended.set()
        statuses = {id: status for each in running for id, status in each.result().items()}

    assert code == 0
    assert server.stderr == ""
    effects = Counter(line["id"] for line in server.effects("work"))
    acknowledged = {id for id, status in statuses.items() if 200 <= status < 300}
    assert len(acknowledged) > 100
    assert {status for status in statuses.values() if status not in (200, 429, 503)} <= {NO_ANSWER}
    assert effects == dict.fromkeys(acknowledged, 1)


@pytest.mark.parametrize("task", ["work", "work_async"])
def test_running_work_is_finished_within_the_grace(serve: Serve, task: str) -> None:
    server = serve()
    with ThreadPoolExecutor(1) as clients:
        running = clients.submit(post_work, server, "long", 1.0, task)
        wait_until(lambda: server.effects("work_begins"), "the work runs")

        server.signal(signal.SIGTERM)

        assert running.result() == 200
    assert server.wait() == 0
    assert [line["id"] for line in server.effects("work")] == ["long"]


@pytest.mark.parametrize("task", ["work", "work_async"])
def test_work_beyond_the_grace_is_answered_503_and_does_not_keep_the_process(
    serve: Serve, task: str
) -> None:
    server = serve(UCAM_FAAS_GRACE_SECONDS="1")
    with ThreadPoolExecutor(1) as clients:
        running = clients.submit(post_work, server, "too long", 600, task)
        wait_until(lambda: server.effects("work_begins"), "the work runs")

        server.signal(signal.SIGTERM)

        assert running.result() == 503
        assert server.wait() == 0
    assert server.effects("work") == []
    (line,) = server.log("ucam_faas_function_aborted")
    assert line["outcome"] == "shutting_down"
    assert server.stderr == ""


def test_a_dead_letter_whose_publishing_hangs_does_not_keep_the_process(serve: Serve) -> None:
    with socket.socket() as silent, ThreadPoolExecutor(1) as clients:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        server = serve(
            UCAM_FAAS_GRACE_SECONDS="1",
            UCAM_FAAS_DEAD_LETTER_TOPIC="projects/p/topics/dead",
            PUBSUB_EMULATOR_HOST=f"127.0.0.1:{silent.getsockname()[1]}",
        )
        push = make_push({"number": 1})
        running = clients.submit(status_of, server, "/give_up", push.body)
        wait_until(lambda: server.effects("give_up"), "the task has given up")

        server.signal(signal.SIGTERM)

        assert server.wait() == 0
        assert running.result() in (500, 503, NO_ANSWER)


def test_waiting_work_is_answered_503_at_once(serve: Serve) -> None:
    """There is room for one to wait: when another was answered 429, it does."""
    server = serve(THREADS="1", UCAM_FAAS_QUEUE="1")
    with ThreadPoolExecutor(3) as clients:
        running = clients.submit(post_work, server, "runs", 1.5)
        wait_until(lambda: server.effects("work_begins"), "the work runs")
        others = [clients.submit(post_work, server, f"waits-{n}", 0) for n in range(2)]
        wait_until(lambda: any(other.done() for other in others), "one of them waits")

        server.signal(signal.SIGTERM)

        assert sorted(other.result() for other in others) == [429, 503]
        assert not running.done()
        assert running.result() == 200
    assert server.wait() == 0
    assert [line["id"] for line in server.effects("work")] == ["runs"]


@pytest.mark.parametrize("workers", [1, 2])
def test_control_c_ends_all_processes_cleanly(serve: Serve, workers: int) -> None:
    server = serve(WORKERS=str(workers))
    server.pids_of_workers(workers)

    server.signal_group(signal.SIGINT)

    assert server.wait() == 0
    assert server.stderr == ""
    assert [line for line in server.log() if line["severity"] != "INFO"] == []
    wait_until(lambda: not _answers(server), "the port is closed")


def test_an_interrupt_of_the_main_process_alone_ends_all_in_order(serve: Serve) -> None:
    """As `docker run` passes Control-C on: its children get no signal of their own."""
    server = serve()
    with ThreadPoolExecutor(1) as clients:
        running = clients.submit(post_work, server, "long", 0.5)
        wait_until(lambda: server.effects("work_begins"), "the work runs")

        server.signal(signal.SIGINT)

        assert running.result() == 200
    assert server.wait() == 0


def test_control_c_finishes_running_work(serve: Serve) -> None:
    server = serve()
    with ThreadPoolExecutor(1) as clients:
        running = clients.submit(post_work, server, "long", 0.5)
        wait_until(lambda: server.effects("work_begins"), "the work runs")

        server.signal_group(signal.SIGINT)

        assert running.result() == 200
    assert server.wait() == 0


def test_an_idle_process_ends_without_waiting_for_its_grace(serve: Serve) -> None:
    server = serve()
    kept = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    kept.request("GET", "/healthy")
    kept.getresponse().read()

    server.signal(signal.SIGTERM)
    code = server.wait()
    kept.close()

    assert code == 0


def _answers(server: Server) -> bool:
    try:
        return server.post("/process_id").status > 0
    except (OSError, http.client.HTTPException):
        return False
