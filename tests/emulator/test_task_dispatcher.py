"""The embedded Cloud Tasks sends requests on time, and keeps its tasks."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format

from ucam_faas.emulator.core.moment import timestamp
from ucam_faas.emulator.core.storage.sqlite import SqliteStorage
from ucam_faas.emulator.errors import RpcError
from ucam_faas.emulator.wire.methods import CLOUD_TASKS, SCHEDULER, SUBSCRIBER

from .push_sink import SUBSCRIPTION, TOPIC, Cloud, Pushed, Sink, nothing, response, settle

PARENT = "projects/p/locations/l"
QUEUE = f"{PARENT}/queues/q"
TASK = f"{QUEUE}/tasks/t"
PUBLISH = f"https://pubsub.googleapis.com/v1/{TOPIC}:publish"
ACCOUNT = {"serviceAccountEmail": "wake@p.iam.gserviceaccount.com"}
HOUR, DAY = 3600.0, 86400.0


class Tasks:
    """A queue of an emulator, and a sink."""

    def __init__(self, cloud: Cloud, sink: Sink) -> None:
        self.cloud = cloud
        self.sink = sink

    async def call(self, method: str, **fields: Any) -> Any:
        """Call a method with a request in JSON, and return its answer in JSON."""
        unary = self.cloud.emulator.services.find(CLOUD_TASKS, method)
        assert unary is not None
        request = json_format.ParseDict(fields, unary.request())
        return json_format.MessageToDict(await unary.call(request))

    async def queue(self, **fields: Any) -> None:
        await self.call("CreateQueue", parent=PARENT, queue={"name": QUEUE, **fields})

    async def create(self, *, after: float = 0.0, **request: Any) -> Any:
        request = {"url": self.sink.url, **request}
        at = self.cloud.emulator.hub.wall_time() + after
        task = {"name": TASK, "httpRequest": request, "scheduleTime": timestamp(at)}
        return await self.call("CreateTask", parent=QUEUE, task=task)

    async def advance(self, seconds: float) -> None:
        await self.cloud.advance(seconds)
        await asyncio.wait_for(self._quiet(), 10)

    async def _quiet(self) -> None:
        while self.cloud.emulator.cloud_tasks.in_flight:
            await asyncio.sleep(0)
        await settle()


def with_tasks(test: Callable[[Tasks], Awaitable[None]]) -> Callable[[], None]:
    """Run a test on an event loop of its own."""

    def run() -> None:
        async def main() -> None:
            async with Sink() as sink, Cloud() as cloud:
                tasks = Tasks(cloud, sink)
                await tasks.queue()
                await test(tasks)

        asyncio.run(main())

    run.__name__ = test.__name__
    return run


def own(pushed: Pushed) -> dict[str, str]:
    """Return the headers of Cloud Tasks, without their prefix."""
    start = "x-cloudtasks-"
    named = {name.lower(): value for name, value in pushed.headers}
    return {name.removeprefix(start): named[name] for name in named if name.startswith(start)}


@with_tasks
async def test_a_request_is_sent_at_its_time_with_the_headers_of_cloud_tasks(tasks: Tasks) -> None:
    created = await tasks.create(
        after=DAY, httpMethod="PUT", body="e30=",
        headers={
            "X-Mine": "yes", "user-agent": "me", "x-cloudtasks-taskname": "no", "X-Google-A": "b",
        },
    )  # fmt: skip

    await tasks.advance(DAY - 1)
    assert tasks.sink.pushed == []
    await tasks.advance(1)

    (pushed,) = tasks.sink.pushed
    assert pushed.line == "PUT /push?token=secret HTTP/1.1"
    assert (pushed.body, pushed.header("X-Mine")) == (b"{}", ["yes"])
    assert pushed.header("User-Agent") == ["Google-Cloud-Tasks"]
    assert pushed.header("X-CloudTasks-TaskName") == ["t"]
    assert pushed.header("X-Google-A") == []
    assert pushed.header("Content-Type") == []
    eta = float(own(pushed).pop("tasketa"))
    assert timestamp(eta) == created["scheduleTime"].replace("00Z", "00.000Z")[:24]
    assert own(pushed) == {
        "queuename": "q", "taskname": "t", "taskretrycount": "0", "taskexecutioncount": "0",
        "tasketa": own(pushed)["tasketa"],
    }  # fmt: skip
    with pytest.raises(RpcError, match="not found"):
        await tasks.call("GetTask", name=TASK)


@with_tasks
async def test_a_failed_request_is_sent_again_after_its_backoff(tasks: Tasks) -> None:
    await tasks.call("UpdateQueue", queue={"name": QUEUE, "retryConfig": {"minBackoff": "10s"}})
    answers = iter([response(404), response(503), response(204)])
    tasks.sink.answer = lambda _: next(answers)
    await tasks.create()

    await tasks.advance(0)
    await tasks.advance(9.9)
    assert len(tasks.sink.pushed) == 1
    await tasks.advance(0.2)
    last = (await tasks.call("GetTask", name=TASK))["lastAttempt"]
    await tasks.advance(20)

    seen = [own(pushed) for pushed in tasks.sink.pushed]
    assert [headers["taskretrycount"] for headers in seen] == ["0", "1", "2"]
    assert [headers["taskexecutioncount"] for headers in seen] == ["0", "1", "1"]
    assert [headers.get("taskpreviousresponse") for headers in seen] == [None, "404", "503"]
    assert last["responseStatus"] == {"code": 14, "message": "HTTP status code 503"}
    failures = tasks.cloud.told("task_failed")
    assert [(failure["attempt"], failure["retry_seconds"]) for failure in failures] == [
        (1, pytest.approx(10)),
        (2, pytest.approx(20)),
    ]


@with_tasks
async def test_a_request_without_a_response_fails_at_its_deadline(tasks: Tasks) -> None:
    tasks.sink.answer = lambda _: nothing
    task = {"name": TASK, "httpRequest": {"url": tasks.sink.url}, "dispatchDeadline": "15s"}
    await tasks.call("CreateTask", parent=QUEUE, task=task)

    await tasks.cloud.advance(0)
    await until(lambda: len(tasks.sink.pushed) == 1)
    await tasks.cloud.advance(14)
    assert tasks.cloud.told("task_failed") == []
    await tasks.cloud.advance(1)

    (failure,) = tasks.cloud.told("task_failed")
    assert failure["reason"] == "There was no response in 15 s."


async def until(condition: Callable[[], bool]) -> None:
    async def wait() -> None:
        while not condition():
            await asyncio.sleep(0)

    await asyncio.wait_for(wait(), 10)


@with_tasks
async def test_an_oidc_token_is_of_the_account_and_for_the_target(tasks: Tasks) -> None:
    await tasks.create(oidcToken=ACCOUNT)
    await tasks.advance(0)

    (authorization,) = tasks.sink.pushed[0].header("Authorization")
    claims = authorization.split(".")[1]
    token = json.loads(base64.urlsafe_b64decode(claims + "=="))
    assert (token["email"], token["aud"]) == (ACCOUNT["serviceAccountEmail"], tasks.sink.url)


@with_tasks
async def test_an_oauth_token_is_sent_in_place_of_the_users_header(tasks: Tasks) -> None:
    await tasks.create(oauthToken=ACCOUNT, headers={"authorization": "mine"})
    await tasks.advance(0)

    (authorization,) = tasks.sink.pushed[0].header("authorization")
    assert authorization.startswith("Bearer ya29.")


@with_tasks
async def test_another_machine_is_not_called(tasks: Tasks) -> None:
    await tasks.create(url="https://example.com/")
    await tasks.advance(0)

    (failure,) = tasks.cloud.told("task_failed")
    assert "--allow-remote-push" in failure["reason"]


# -- the emulator's own Pub/Sub -------------------------------------------------------------------


def published(tasks: Tasks) -> list[Any]:
    return [event["message"] for event in tasks.cloud.told("published")]


def publish_request(**request: Any) -> dict[str, Any]:
    messages = {"messages": [{"data": base64.b64encode(b"hi").decode(), "attributes": {"a": "b"}}]}
    body = base64.b64encode(json.dumps(messages).encode()).decode()
    return {"url": PUBLISH, "body": body, "oauthToken": ACCOUNT, **request}


@with_tasks
async def test_a_request_to_pubsubs_publish_is_published_without_any_network(tasks: Tasks) -> None:
    await tasks.create(after=HOUR, **publish_request())

    await tasks.advance(HOUR - 1)
    assert published(tasks) == []
    await tasks.advance(1)

    (message,) = published(tasks)
    assert (message.data, message.attributes) == (b"hi", {"a": "b"})
    assert (await tasks.call("ListTasks", parent=QUEUE)) == {}


@pytest.mark.parametrize(
    "host", ["europe-west2-pubsub.googleapis.com", "pubsub.europe-west2.rep.googleapis.com"]
)
def test_regional_hosts_of_pubsub_are_the_same(host: str) -> None:
    @with_tasks
    async def run(tasks: Tasks) -> None:
        await tasks.create(**publish_request(url=f"https://{host}/v1/{TOPIC}:publish"))
        await tasks.advance(0)

        assert len(published(tasks)) == 1

    run()


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({"oauthToken": None, "oidcToken": ACCOUNT}, 401),
        ({"oauthToken": None}, 401),
        ({"url": PUBLISH.replace("top:", "none:")}, 404),
        ({"url": PUBLISH.replace("/v1/", "/v9/")}, 404),
        ({"body": "e30="}, 400),
        ({"body": "eA=="}, 400),
    ],
)
def test_pubsub_refuses_as_google_does(request_: dict[str, Any], status: int) -> None:
    """An OIDC token isn't a credential for Google's APIs."""

    @with_tasks
    async def run(tasks: Tasks) -> None:
        await tasks.create(**publish_request(**request_))
        await tasks.advance(0)

        assert published(tasks) == []
        (failure,) = tasks.cloud.told("task_failed")
        assert failure["reason"] == f"The target answered: {status}."

    run()


@with_tasks
async def test_a_scheduler_job_may_publish_over_http_too(tasks: Tasks) -> None:
    target = {"uri": PUBLISH, "body": publish_request()["body"], "oauthToken": ACCOUNT}
    job = {"name": f"{PARENT}/jobs/j", "schedule": "* * * * *", "httpTarget": target}
    unary = tasks.cloud.emulator.services.find(SCHEDULER, "CreateJob")
    assert unary is not None
    await unary.call(json_format.ParseDict({"parent": PARENT, "job": job}, unary.request()))

    await tasks.advance(60)

    assert len(published(tasks)) == 1


@with_tasks
async def test_a_published_message_is_delivered(tasks: Tasks) -> None:
    await tasks.cloud.subscribe(tasks.sink.url)
    await tasks.create(**publish_request())
    await tasks.advance(0)
    await until(lambda: bool(tasks.sink.pushed))

    assert tasks.sink.pushed[0].data == "hi"


# -- limits, state and the clock ------------------------------------------------------------------


@with_tasks
async def test_a_task_waits_for_room_in_its_queue(tasks: Tasks) -> None:
    await tasks.call(
        "UpdateQueue", queue={"name": QUEUE, "rateLimits": {"maxConcurrentDispatches": 1}}
    )
    tasks.sink.answer = lambda _: nothing
    for number in range(2):
        task = {"name": f"{TASK}{number}", "httpRequest": {"url": tasks.sink.url}}
        await tasks.call("CreateTask", parent=QUEUE, task=task)
    await tasks.cloud.advance(0)
    await until(lambda: len(tasks.sink.pushed) == 1)

    tasks.sink.answer = lambda _: response(204)
    await tasks.cloud.advance(600)  # the deadline of the first
    await until(lambda: len(tasks.sink.pushed) >= 2)

    assert own(tasks.sink.pushed[1])["taskname"] == "t1"


@with_tasks
async def test_a_deleted_task_that_ends_makes_room(tasks: Tasks) -> None:
    await tasks.call(
        "UpdateQueue", queue={"name": QUEUE, "rateLimits": {"maxConcurrentDispatches": 1}}
    )
    tasks.sink.answer = lambda _: nothing
    await tasks.create()
    await tasks.cloud.advance(0)
    await until(lambda: len(tasks.sink.pushed) == 1)
    second = {"name": f"{TASK}2", "httpRequest": {"url": tasks.sink.url}}
    await tasks.call("CreateTask", parent=QUEUE, task=second)
    await tasks.call("DeleteTask", name=TASK)

    await tasks.cloud.advance(600)  # the deadline of the deleted one
    await tasks.cloud.advance(0)
    await until(lambda: len(tasks.sink.pushed) == 2)

    assert own(tasks.sink.pushed[1])["taskname"] == "t2"


@with_tasks
async def test_a_reset_forgets_queues_and_tasks(tasks: Tasks) -> None:
    await tasks.create(after=HOUR)

    tasks.cloud.emulator.clear()
    await tasks.advance(HOUR)

    assert await tasks.call("ListQueues", parent=PARENT) == {}
    assert tasks.sink.pushed == []


@with_tasks
async def test_a_retry_follows_a_wall_clock_that_is_set_back(tasks: Tasks) -> None:
    tasks.sink.answer = lambda _: response(500)
    await tasks.call("UpdateQueue", queue={"name": QUEUE, "retryConfig": {"minBackoff": "30s"}})
    await tasks.create()
    await tasks.advance(0)

    tasks.cloud.clock.set_back(timedelta(days=1))
    for _ in range(2):
        await tasks.advance(60)

    assert len(tasks.sink.pushed) >= 2


def test_tasks_outlive_the_process(tmp_path: Path) -> None:
    async def run() -> None:
        async with Sink() as sink:
            async with Cloud() as cloud:
                storage = SqliteStorage(tmp_path / "state")
                cloud.emulator.cloud_tasks.close()
                cloud.emulator._assemble(storage)
                tasks = Tasks(cloud, sink)
                await tasks.queue(rateLimits={"maxDispatchesPerSecond": 3})
                await tasks.create(after=HOUR)
                await tasks.call("DeleteTask", name=TASK)
                await tasks.call("PauseQueue", name=QUEUE)
                second = {"name": f"{TASK}2", "httpRequest": {"url": sink.url}}
                await tasks.call("CreateTask", parent=QUEUE, task=second)
            storage.close()
            async with Cloud() as cloud:
                storage = SqliteStorage(tmp_path / "state")
                cloud.emulator.cloud_tasks.close()
                cloud.emulator._assemble(storage)
                tasks = Tasks(cloud, sink)
                queue = await tasks.call("ResumeQueue", name=QUEUE)
                assert queue["rateLimits"]["maxDispatchesPerSecond"] == 3
                with pytest.raises(RpcError, match="already exists"):
                    await tasks.create()
                await tasks.advance(0)

                assert [own(pushed)["taskname"] for pushed in sink.pushed] == ["t2"]
            storage.close()

    asyncio.run(run())


@with_tasks
async def test_an_unused_pull_subscription_reads_a_delayed_message(tasks: Tasks) -> None:
    await tasks.cloud.call(SUBSCRIBER, "CreateSubscription", name=SUBSCRIPTION, topic=TOPIC)
    await tasks.create(after=29 * DAY, **publish_request())

    await tasks.advance(29 * DAY)
    pulled = await tasks.cloud.call(
        SUBSCRIBER, "Pull", subscription=SUBSCRIPTION, max_messages=9, return_immediately=True
    )

    assert [received.message.data for received in pulled.received_messages] == [b"hi"]
