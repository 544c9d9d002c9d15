"""The end of a container, as Cloud Run ends one: SIGTERM, and SIGKILL ten seconds later."""

from __future__ import annotations

import pytest

from tests.integration.emulator import Emulator
from tests.integration.processes import wait_until

from .engine import serve
from .test_pubsub import QUICK

pytestmark = pytest.mark.slow

MESSAGES = 250


def test_a_container_that_ends_under_load_loses_no_message(image: str, embedded: Emulator) -> None:
    """It ends in time, in order, and in the middle of the work; started again, it does the rest.

    Each message is done once: executions that had begun ended and were acknowledged, and the
    other messages were delivered again.
    """
    topic = embedded.create_topic()
    with serve(image) as container:

        def done() -> list[str]:
            return [line["message_id"] for line in container.log(task="take_time", outcome="done")]

        endpoint = f"http://127.0.0.1:{container.port}/take_time"
        subscription = embedded.subscribe(
            topic, push_config={"push_endpoint": endpoint}, retry_policy=QUICK
        )
        futures = [embedded.publisher.publish(topic, b'{"number": 1}') for _ in range(MESSAGES)]
        published = [future.result(timeout=10) for future in futures]
        wait_until(lambda: len(done()) > 50, "the load is on")
        container.stop()
        state, first = container.state(), len(done())
        container.start()
        wait_until(lambda: set(done()) >= set(published), "all are done", 60)
        container.stop()  # by then the last ones are answered, too

        assert embedded.undelivered(subscription) == []
        assert sorted(done()) == sorted(published)
        assert len(container.log(message="begun")) == MESSAGES
    assert 50 < first < MESSAGES
    assert state["ExitCode"] == 0, "it had to be killed, after ten seconds"
