"""The requests of Cloud Tasks: headers, tokens, Google's own APIs."""

from __future__ import annotations

import base64
import json

from tests.contract.behaviours import Group
from tests.contract.pubsub.backends import PubSub
from tests.contract.pubsub.sink import Sink

from .cloud_tasks import ACCOUNT, CloudTasks, after, seconds

requests = Group("Cloud Tasks: requests")


@requests("A request has the names of its queue and task.", docs="Create HTTP target tasks")
def test_names(tasks: CloudTasks, sink: Sink) -> None:
    task = tasks.create(sink)

    (push,) = sink.wait_for(1)

    assert push.headers["x-cloudtasks-queuename"] == "q"
    assert push.headers["x-cloudtasks-taskname"] == task.name.rpartition("/")[2]


@requests("A request has its schedule time in epoch seconds.", docs="Create HTTP target tasks")
def test_eta(tasks: CloudTasks, sink: Sink) -> None:
    task = tasks.create(sink)

    (push,) = sink.wait_for(1)

    assert abs(float(push.headers["x-cloudtasks-tasketa"]) - task.schedule_time.timestamp()) < 1e-3


@requests("Requests count the retries, from 0.", docs="Create HTTP target tasks")
def test_retry_count(tasks: CloudTasks, sink: Sink) -> None:
    sink.answers = [500, 404, 200]
    tasks.create(sink)

    pushes = sink.wait_for(3)

    assert [push.headers["x-cloudtasks-taskretrycount"] for push in pushes] == ["0", "1", "2"]


@requests("Requests count the handler's answers, without 5xx.", docs="Create HTTP target tasks")
def test_execution_count(tasks: CloudTasks, sink: Sink) -> None:
    sink.answers = [500, 404, 200]
    tasks.create(sink)

    pushes = sink.wait_for(3)

    assert [push.headers["x-cloudtasks-taskexecutioncount"] for push in pushes] == ["0", "0", "1"]


@requests("A retry may tell the previous response.", docs="Create HTTP target tasks")
def test_previous_response(tasks: CloudTasks, sink: Sink) -> None:
    sink.answers = [404, 200]
    tasks.create(sink)

    first, second = sink.wait_for(2)

    assert "x-cloudtasks-taskpreviousresponse" not in first.headers
    assert second.headers["x-cloudtasks-taskpreviousresponse"] == "404"


@requests("The user agent is Google-Cloud-Tasks.", docs="API: HttpRequest")
def test_user_agent(tasks: CloudTasks, sink: Sink) -> None:
    tasks.create(sink, http_request={"headers": {"User-Agent": "me"}})

    assert sink.wait_for(1)[0].headers["user-agent"] == "Google-Cloud-Tasks"


@requests("Host and Content-Length are computed.", docs="API: HttpRequest")
def test_computed(tasks: CloudTasks, sink: Sink) -> None:
    wrong = {"Host": "example.com", "Content-Length": "9"}
    tasks.create(sink, http_request={"body": b"abc", "headers": wrong})

    (push,) = sink.wait_for(1)

    assert push.headers["host"] == sink.url.split("/")[2]
    assert (push.headers["content-length"], push.body) == ("3", b"abc")


@requests("X-Google-* and X-AppEngine-* are Google's.", docs="API: HttpRequest")
def test_reserved(tasks: CloudTasks, sink: Sink) -> None:
    headers = {"X-Google-A": "1", "x-appengine-b": "1", "X-CloudTasks-TaskName": "1", "X-C": "1"}
    tasks.create(sink, id="t", http_request={"headers": headers})

    (push,) = sink.wait_for(1)

    assert push.headers["x-c"] == "1"
    assert push.headers["x-cloudtasks-taskname"] == "t"
    assert not [name for name in push.headers if name.startswith(("x-google-", "x-appengine-"))]


@requests("Content-Type is the user's, and isn't set otherwise.", docs="API: HttpRequest")
def test_content_type(tasks: CloudTasks, sink: Sink) -> None:
    tasks.create(sink, http_request={"body": b"x"})
    (without,) = sink.wait_for(1)
    tasks.create(sink, http_request={"body": b"x", "headers": {"Content-Type": "text/plain"}})
    with_one = sink.wait_for(2)[1]

    assert "content-type" not in without.headers
    assert with_one.headers["content-type"] == "text/plain"


@requests("An OIDC token is for its audience, or for the URL.", docs="API: OidcToken")
def test_oidc(tasks: CloudTasks, sink: Sink) -> None:
    tasks.create(sink, http_request={"oidc_token": ACCOUNT})
    tasks.create(sink, http_request={"oidc_token": {**ACCOUNT, "audience": "me"}})

    tokens = [push.headers["authorization"].split(".")[1] for push in sink.wait_for(2)]

    claims = [json.loads(base64.urlsafe_b64decode(f"{token}==")) for token in tokens]
    assert {claim["aud"] for claim in claims} == {sink.url, "me"}
    assert {claim["email"] for claim in claims} == {ACCOUNT["service_account_email"]}


@requests("An OAuth token is in the Authorization header.", docs="API: OAuthToken")
def test_oauth(tasks: CloudTasks, sink: Sink) -> None:
    tasks.create(sink, http_request={"oauth_token": ACCOUNT})

    assert sink.wait_for(1)[0].headers["authorization"].startswith("Bearer ")


def publish(topic: str) -> dict[str, object]:
    body = json.dumps({"messages": [{"data": "aGk=", "attributes": {"a": "b"}}]}).encode()
    return {"body": body, "headers": {"Content-Type": "application/json"}}


def url(topic: str) -> str:
    return f"https://pubsub.googleapis.com/v1/{topic}:publish"


@requests(
    "A task publishes to Pub/Sub with an OAuth token, at its schedule time.", docs="API: OAuthToken"
)
def test_publish(tasks: CloudTasks, pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    request = {**publish(topic), "oauth_token": ACCOUNT}
    due = after(seconds=0.5)
    task = tasks.create(url(topic), http_request=request, schedule_time=due)

    (received,) = pubsub.pull(subscription)

    assert received.message.data == b"hi"
    assert received.message.attributes == {"a": "b"}
    assert received.message.publish_time >= due - seconds(0.01)
    tasks.wait_until_gone(task)


@requests("Pub/Sub answers 401 to an OIDC token.", docs="API: OAuthToken")
def test_publish_without(tasks: CloudTasks, pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscribed_topic()
    tasks.update("retry_config", retry_config={"min_backoff": seconds(100)})
    request = {**publish(topic), "oidc_token": ACCOUNT}

    task = tasks.failed(tasks.create(url(topic), http_request=request))

    assert task.last_attempt.response_status.code == 16
    assert pubsub.pull_now(subscription) == []


requests.only_in_the_cloud(
    "The account of a token is of the queue's project, and the caller may act as it.",
    docs="API: OAuthToken",
)
