"""Nothing of a payload, a header or an exception's text is in a response."""

from __future__ import annotations

import json
import string
from collections.abc import Iterator
from typing import Any

import pytest
from cloudevents.http import CloudEvent
from hypothesis import HealthCheck, given, settings, strategies as st

import ucam_faas
from ucam_faas.config import Settings
from ucam_faas.testing import Client, ClientResponse, make_message, make_push, serve

# They start with letters that the code has in no word, because hypothesis also tries its words.
MARKERS = st.text(string.ascii_letters + string.digits, min_size=9, max_size=17).map("zq7".__add__)
RESPONDS = ("raw", "raw_async", "event", "event_async")
HANDLES = ("message", "message_async", "data", "model")


def behave(content: bytes) -> Any:
    """Do as the payload says, with its marker wherever one can be put."""
    try:
        payload = json.loads(content)
        act, marker = payload["act"], payload["marker"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(content) from error
    if act == "abort":
        result = ucam_faas.AbortedExecutionResult(reason=marker, exception=ValueError(marker))
        return ucam_faas.ExecutionInfo(execution=result, note=marker)  # type: ignore[call-arg]
    if act == "return":
        return {"marker": marker}
    raise {
        "fail": ucam_faas.UCAMFAASException(marker),
        "crash": KeyError(marker),
        "exit": SystemExit(marker),
        "retry": ucam_faas.Retry(reason=marker),
        "dead": ucam_faas.DeadLetter(marker),
        "ignore": ucam_faas.Ignore(marker),
    }[act]


ACTS = ("abort", "fail", "crash", "exit", "retry", "dead", "ignore")


class Model(ucam_faas.PubsubMessage):
    act: int


@ucam_faas.raw_event
def raw(body: bytes) -> Any:
    return behave(json.loads(body)["data"].encode())


@ucam_faas.raw_event
async def raw_async(body: bytes) -> Any:
    return behave(json.loads(body)["data"].encode())


@ucam_faas.cloud_event
def event(event: CloudEvent) -> Any:
    return behave(event.get_data().encode())


@ucam_faas.cloud_event
async def event_async(event: CloudEvent) -> Any:
    return behave(event.get_data().encode())


@ucam_faas.message_handler(message_type=None)
def message(data: bytes) -> Any:
    return behave(data)


@ucam_faas.message_handler(message_type=None)
async def message_async(data: bytes) -> Any:
    return behave(data)


@ucam_faas.cloud_event_handler(event_data_parser=lambda event: event.get_data().encode())
def data(content: bytes) -> Any:
    return behave(content)


@ucam_faas.message_handler(message_type=Model)
def model(payload: Model) -> Any:
    raise AssertionError("never accepted")


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    tasks = (raw, raw_async, event, event_async, message, message_async, data, model)
    with serve(*tasks, settings=Settings(debug=True, log_payloads=True)) as made:
        yield made


def deliver(client: Client, name: str, content: str, marker: str) -> ClientResponse:
    headers = {"x-note": marker, "traceparent": marker, "cookie": f"a={marker}"}
    if name.startswith("message") or name == "model":
        made = make_push(make_message(content, attributes={"note": marker}, message_id=marker))
        return client.post(f"/{name}", body=made.body, headers={**made.headers, **headers})
    body = {"specversion": "1.0", "id": marker, "source": marker, "type": "t", "data": content}
    headers["content-type"] = "application/cloudevents+json"
    return client.post(f"/{name}", json=body, headers=headers)


def assert_nothing_of(marker: str, response: ClientResponse) -> None:
    assert marker.encode() not in response.body
    assert not any(marker in name + value for name, value in response.headers.items())


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(marker=MARKERS, act=st.sampled_from(ACTS), name=st.sampled_from(RESPONDS + HANDLES))
@pytest.mark.slow
def test_a_failure_reveals_nothing(client: Client, marker: str, act: str, name: str) -> None:
    content = json.dumps({"act": act, "marker": marker})

    response = deliver(client, name, content, marker)

    assert_nothing_of(marker, response)


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(marker=MARKERS, name=st.sampled_from(HANDLES))
def test_no_result_of_a_handler_is_sent_back(client: Client, marker: str, name: str) -> None:
    content = json.dumps({"act": "return", "marker": marker})

    response = deliver(client, name, content, marker)

    assert_nothing_of(marker, response)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    marker=MARKERS,
    name=st.sampled_from([*RESPONDS[2:], *HANDLES]),
    form=st.sampled_from(["body", "type", "field", "header", "path", "method"]),
)
@pytest.mark.slow
def test_a_refusal_reveals_nothing(client: Client, marker: str, name: str, form: str) -> None:
    body: bytes = json.dumps({"message": {"messageId": {marker: marker}}}).encode()
    headers = {"content-type": "application/json"}
    path, method = f"/{name}", "POST"
    if form == "body":
        body = marker.encode()
    elif form == "type":
        headers = {"content-type": f"text/{marker}"}
    elif form == "header":
        headers = {"ce-specversion": marker, "ce-type": marker}
    elif form == "path":
        path = f"/{marker}"
    elif form == "method":
        method = marker.upper()

    response = client.request(method, path, body=body, headers={**headers, "x-note": marker})

    assert response.status >= 400
    assert_nothing_of(marker, response)
    assert_nothing_of(marker.upper(), response)
