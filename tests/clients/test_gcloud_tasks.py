"""`gcloud tasks` unchanged."""

from __future__ import annotations

import pytest

from tests.integration.emulator import PROJECT, new_name

from .gcloud import Gcloud, GcloudError
from .sink import Sink

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ours_only")]

AT = "--location=europe-west2"


def test_queues_and_tasks(gcloud: Gcloud, sink: Sink) -> None:
    queue = new_name("topics").rpartition("/")[2]
    name = f"projects/{PROJECT}/locations/europe-west2/queues/{queue}"

    created = gcloud.run(
        f"tasks queues create {queue} {AT} --max-attempts=3 --min-backoff=1s"
        " --max-dispatches-per-second=5 --max-concurrent-dispatches=2"
    )
    gcloud.run(
        f"tasks create-http-task now {AT} --queue={queue} --url={sink.url}/work --method=PUT"
        " --header=X-Colour:red --body-content=tick"
    )

    assert created["name"] == name
    assert created["retryConfig"]["maxAttempts"] == 3
    assert created["rateLimits"]["maxConcurrentDispatches"] == 2
    received = sink.wait()
    assert (received.method, received.path, received.body) == ("PUT", "/work", b"tick")
    assert received.headers["x-colour"] == "red"
    gcloud.run(f"tasks queues pause {queue} {AT}")
    changed = gcloud.run(f"tasks queues update {queue} {AT} --max-attempts=7")
    assert changed["state"] == "PAUSED"
    assert changed["retryConfig"]["maxAttempts"] == 7
    assert changed["rateLimits"]["maxConcurrentDispatches"] == 2
    gcloud.run(f"tasks create-http-task waits {AT} --queue={queue} --url={sink.url}/forced")
    listed, tasks = gcloud.together(
        (f"tasks queues list {AT}",), (f"tasks list {AT} --queue={queue}",)
    )
    assert name in {queue["name"] for queue in listed}
    assert [task["name"] for task in tasks] == [f"{name}/tasks/waits"]
    gcloud.run(f"tasks run waits {AT} --queue={queue}")
    assert sink.wait().path == "/forced"
    gcloud.run(f"tasks queues resume {queue} {AT}")
    gcloud.run(f"tasks queues delete {queue} {AT}")
    with pytest.raises(GcloudError, match=r"NOT_FOUND|not found|does not exist"):
        gcloud.run(f"tasks queues describe {queue} {AT}")
