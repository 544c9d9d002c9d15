"""Jobs over HTTP: sent, followed and cancelled as another system does it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from google.protobuf.struct_pb2 import Struct

from tests.http_jobs import tasks
from ucam_faas.exceptions import JobStoreError
from ucam_faas.http_jobs.problems import MEDIA_TYPE
from ucam_faas.jobs.rows import Key
from ucam_faas.testing import Client, ClientResponse, Jobs

ORDER = {"id": 17}


def problem(response: ClientResponse) -> tuple[int, str]:
    """Return the status and the kind of a problem, whose form is that of RFC 9457."""
    assert response.headers["content-type"] == MEDIA_TYPE
    body = response.json()
    assert body["status"] == response.status
    assert {"type", "title", "detail"} <= body.keys()
    return response.status, body.get("code", "")


def send(
    client: Client, payload: Any = ORDER, key: str | None = None, task: str = "charge"
) -> ClientResponse:
    headers = {} if key is None else {"idempotency-key": key}
    return client.post(f"/jobs/{task}", json=payload, headers=headers)


def shown(client: Client, sent: ClientResponse) -> dict[str, Any]:
    assert sent.status == 202, sent
    response = client.get(sent.headers["location"])
    assert response.status == 200, response
    return dict(response.json())


def test_a_job_is_accepted_and_its_address_shows_its_result(client: Client, jobs: Jobs) -> None:
    sent = send(client, key="order-17")
    pending = client.get(sent.headers["location"])
    jobs.run_all()
    done = client.get(sent.headers["location"])

    assert (sent.status, sent.json()) == (202, {"task": "charge", "id": "order-17"})
    assert sent.headers["location"] == "/jobs/charge/order-17"
    assert pending.headers["retry-after"] == "1"
    assert pending.json()["state"] == "PENDING"
    assert "retry-after" not in done.headers
    assert done.json() == {
        "task": "charge",
        "id": "order-17",
        "state": "SUCCESS",
        "created": "2026-01-31T09:00:00.000Z",
        "due": None,
        "expires": None,
        "ended": "2026-01-31T09:00:00.000Z",
        "attempts": 0,
        "cancel_requested": False,
        "progress": None,
        "error": None,
        "result": {"order": 17, "paid": 100, "on": "2026-01-31"},
    }


def test_the_same_request_again_is_the_same_job(client: Client, jobs: Jobs) -> None:
    first, second = send(client, key="order-17"), send(client, key='"order-17"')

    assert first == second
    assert len(jobs.store.find("default", limit=10)) == 1


def test_a_key_with_another_payload_is_a_conflict_that_names_the_field(client: Client) -> None:
    send(client, key="order-17")

    conflict = send(client, {"id": 17, "pence": 4711}, key="order-17")

    assert problem(conflict) == (409, "id-taken")
    assert conflict.json()["fields"] == ["pence"]
    assert "4711" not in conflict.text


def test_a_payload_without_its_defaults_is_that_of_the_same_job(client: Client) -> None:
    in_python = tasks.charge.send(tasks.Order(id=17), id="order-17")

    same = send(client, key="order-17")
    conflict = send(client, {"id": 18}, key="order-17")

    assert (same.status, same.json()["id"]) == (202, in_python.id)
    assert problem(conflict) == (409, "id-taken")
    assert conflict.json()["fields"] == ["id"]


def test_secrets_that_serialise_alike_arent_the_same_payload(client: Client) -> None:
    send(client, {"password": "one"}, key="1", task="log_in")

    conflict = send(client, {"password": "two"}, key="1", task="log_in")

    assert problem(conflict) == (409, "id-taken")


def test_entities_that_compare_by_id_arent_the_same_payload(client: Client) -> None:
    send(client, {"id": 1, "name": "Ada"}, key="1", task="greet")

    conflict = send(client, {"id": 1, "name": "Grace"}, key="1", task="greet")

    assert problem(conflict) == (409, "id-taken")


def test_keys_of_a_payload_that_may_be_data_arent_named(client: Client) -> None:
    send(client, {"a@example.org": 1, "b": 1}, key="1", task="count")

    conflict = send(client, {"c@example.org": 2, "b": 2}, key="1", task="count")

    assert problem(conflict) == (409, "id-taken")
    assert conflict.json()["fields"] == ["*", "b"]


def test_an_id_of_the_tasks_own_is_a_part_of_the_address(client: Client) -> None:
    sent = send(client, task="refund")

    assert sent.headers["location"] == "/jobs/refund/refund%2F17"
    assert shown(client, sent)["id"] == "refund/17"
    assert client.post(f"{sent.headers['location']}/cancel").status == 202


def test_a_second_job_of_a_unique_key_is_a_conflict_that_names_the_first(client: Client) -> None:
    first = send(client, task="ship")

    second = send(client, task="ship")

    assert problem(second) == (409, "duplicate")
    assert second.json()["job"] == first.json()["id"]


def test_a_full_queue_is_too_many_requests(client: Client) -> None:
    for number in (1, 2):
        assert send(client, {"id": number}, task="refund").status == 202

    full = send(client, {"id": 3}, task="refund")

    assert problem(full) == (429, "queue-full")
    assert full.headers["retry-after"] == "5"


@pytest.mark.parametrize(
    ("payload", "errors"),
    [
        ({"id": "SECRET"}, [{"pointer": "#/id", "kind": "int_parsing"}]),
        ({"pence": 1}, [{"pointer": "#/id", "kind": "missing"}]),
        (
            {"id": 1, "customers": {"SECRET@example.org": "x"}},
            [{"pointer": "#/customers/*", "kind": "int_parsing"}],
        ),
        (["SECRET"], [{"pointer": "#", "kind": "model_type"}]),
    ],
)
def test_a_wrong_payload_is_refused_with_the_place_and_not_the_value(
    client: Client, jobs: Jobs, payload: Any, errors: list[Any]
) -> None:
    response = send(client, payload)

    assert problem(response) == (422, "payload-rejected")
    assert response.json()["errors"] == errors
    assert "SECRET" not in response.text
    assert jobs.store.find("default", limit=1) == []


def test_a_body_that_isnt_json_is_refused(client: Client) -> None:
    body = b'{"id": SECRET'

    response = client.post("/jobs/charge", body=body, headers={"content-type": "application/json"})

    assert problem(response) == (422, "payload-rejected")
    assert response.json()["errors"] == [{"pointer": "#", "kind": "json_invalid"}]
    assert "SECRET" not in response.text


@pytest.mark.parametrize(
    ("task", "content_type", "status"),
    [
        ("charge", "application/json; charset=utf-8", 202),
        ("charge", "application/vnd.shop+json", 202),
        ("charge", "", 202),
        ("charge", "text/plain", 415),
        ("charge", "application/x-www-form-urlencoded", 415),
        ("charge", "application/protobuf", 415),
        ("index", "application/json", 202),
        ("index", "", 202),
        ("index", "text/plain", 415),
        ("measure", "image/png", 202),
        ("measure", "", 202),
    ],
)
def test_a_task_takes_its_own_media_types(
    client: Client, task: str, content_type: str, status: int
) -> None:
    headers = {"content-type": content_type} if content_type else {}

    response = client.post(f"/jobs/{task}", body=b'{"id": 17}', headers=headers)

    assert response.status == status
    if status == 415:
        assert problem(response) == (415, "media-type")
        assert "application/json" in response.headers["accept"]


def test_a_compressed_body_is_refused(client: Client) -> None:
    response = client.post("/jobs/charge", body=b"x", headers={"content-encoding": "gzip"})

    assert problem(response) == (415, "media-type")
    assert response.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("form", ["application/protobuf", "application/x-protobuf"])
def test_a_protobuf_task_takes_json_and_the_binary_form(
    client: Client, jobs: Jobs, form: str
) -> None:
    message = Struct()
    message.update({"a": 1, "b": 2})
    headers = {"content-type": form}

    binary = client.post("/jobs/index", body=message.SerializeToString(), headers=headers)
    in_json = send(client, {"a": 1, "b": 2}, task="index")
    jobs.run_all()

    assert [shown(client, sent)["result"] for sent in (binary, in_json)] == [2, 2]


@pytest.mark.parametrize("body", [b"[1]", b"{", b"\xff", b"[" * 100_000])
def test_wrong_json_of_a_protobuf_task_is_refused(client: Client, body: bytes) -> None:
    response = client.post("/jobs/index", body=body)

    assert problem(response) == (422, "payload-rejected")


def test_a_task_without_a_payload_needs_no_body(client: Client, jobs: Jobs) -> None:
    sent = client.post("/jobs/tidy")
    jobs.run_all()

    assert shown(client, sent)["result"] == "tidied"


def test_a_delayed_job_says_when_it_is_due_and_can_be_cancelled(client: Client) -> None:
    sent = client.post("/jobs/charge?delay=3600&ttl=7200", json=ORDER)
    job = client.get(sent.headers["location"])
    cancelled = client.post(f"{sent.headers['location']}/cancel")
    again = client.post(f"{sent.headers['location']}/cancel")

    assert job.headers["retry-after"] == "60"
    assert job.json()["due"] == "2026-01-31T10:00:00.000Z"
    assert job.json()["expires"] == "2026-01-31T11:00:00.000Z"
    assert (cancelled.status, cancelled.json()["state"]) == (202, "CANCELLED")
    assert (again.status, again.json()["state"]) == (202, "CANCELLED")
    assert shown(client, sent)["state"] == "CANCELLED"


def test_a_job_starts_at_its_time(client: Client, jobs: Jobs) -> None:
    sent = client.post("/jobs/charge?at=2026-01-31T12:00:00%2B02:00", json=ORDER)

    assert shown(client, sent)["due"] == "2026-01-31T10:00:00.000Z"


@pytest.mark.parametrize(("query", "lane"), [("?lane=high", "high"), ("", "default")])
def test_a_job_is_sent_to_a_lane(client: Client, jobs: Jobs, query: str, lane: str) -> None:
    sent = client.post(f"/jobs/notify{query}", json=ORDER)

    assert sent.status == 202
    assert [row.lane for row in jobs.store.find("default")] == [lane]


@pytest.mark.parametrize(
    ("task", "lane", "lanes"),
    [
        ("notify", "SECRET", "default, high, low"),
        ("notify", "", "default, high, low"),
        ("charge", "high", "default"),
    ],
)
def test_a_lane_that_the_task_lacks_is_a_problem_that_names_its_lanes(
    client: Client, jobs: Jobs, task: str, lane: str, lanes: str
) -> None:
    response = client.post(f"/jobs/{task}?lane={lane}", json=ORDER)

    assert problem(response) == (400, "parameter-invalid")
    assert response.json()["parameter"] == "lane"
    assert response.json()["detail"] == f"lane: expected one of the task's lanes, {lanes}."
    assert jobs.store.find("default") == []


def test_a_job_that_has_ended_cant_be_cancelled(client: Client, jobs: Jobs) -> None:
    sent = send(client)
    jobs.run_all()

    response = client.post(f"{sent.headers['location']}/cancel")

    assert problem(response) == (409, "ended")
    assert response.json()["state"] == "SUCCESS"


def test_a_failed_job_shows_the_type_of_its_error_and_not_its_text(
    client: Client, jobs: Jobs
) -> None:
    sent = send(client, {"id": 17, "pence": -4711}, key="order-17")
    jobs.run_all()
    retried = client.get(sent.headers["location"])
    jobs.advance(24 * 3600)
    failed = client.get(sent.headers["location"])

    assert (retried.json()["state"], retried.json()["attempts"]) == ("PENDING", 1)
    assert failed.json()["state"] == "FAILURE"
    assert failed.json()["error"] == {"type": "OutOfMoneyError"}
    assert failed.json()["result"] is None
    assert "SECRET" not in retried.text + failed.text
    assert "4711" not in retried.text + failed.text


def test_a_job_whose_result_isnt_stored_shows_that_as_its_error(client: Client, jobs: Jobs) -> None:
    sent = client.post("/jobs/label", body=b'{"text": "SECRET"}')
    jobs.run_all()

    job = client.get(sent.headers["location"]).json()

    assert (job["state"], job["result"]) == ("SUCCESS", None)
    assert job["error"] == {"type": "ResultNotStoredError"}


def test_a_progress_that_json_doesnt_have_is_null(client: Client, jobs: Jobs) -> None:
    sent = client.post("/jobs/label", body=b'{"text": "x"}')
    jobs.run_all()

    response = client.get(sent.headers["location"])

    assert "NaN" not in response.text
    assert response.json()["progress"] == {"done": None, "total": None, "note": ""}


def test_a_request_that_waits_gets_the_end(client: Client, jobs: Jobs) -> None:
    sent = send(client)
    jobs.run_all()

    assert client.get(f"{sent.headers['location']}?wait=60").json()["state"] == "SUCCESS"


@pytest.mark.parametrize(
    ("method", "path", "answer"),
    [
        ("POST", "/jobs/private", (404, "task-unknown")),
        ("GET", "/jobs/private/1", (404, "task-unknown")),
        ("POST", "/jobs/SECRET", (404, "task-unknown")),
        ("GET", "/jobs/charge/SECRET", (404, "job-unknown")),
        ("POST", "/jobs/charge/SECRET/cancel", (404, "job-unknown")),
        ("GET", "/jobs/charge", (405, "method")),
        ("PUT", "/jobs/charge/1", (405, "method")),
        ("DELETE", "/jobs/charge/1", (405, "method")),
        ("POST", "/jobs/charge/1", (405, "method")),
        ("PATCH", "/jobs/charge/1/cancel", (405, "method")),
        ("POST", "/jobs/openapi.json", (405, "method")),
        ("POST", "/jobs/charge?SECRET=1", (400, "parameter-unknown")),
        ("POST", "/jobs/charge?delay=SECRET", (400, "parameter-invalid")),
        ("POST", "/jobs/charge?delay=-1", (400, "parameter-invalid")),
        ("POST", "/jobs/charge?delay=nan", (400, "parameter-invalid")),
        ("POST", "/jobs/charge?delay=inf", (400, "parameter-invalid")),
        ("POST", "/jobs/charge?delay=1e300", (400, "parameter-invalid")),
        ("POST", "/jobs/charge?delay=3153600000", (202, "")),
        ("POST", "/jobs/charge?delay=3153600001", (400, "parameter-invalid")),
        ("POST", "/jobs/charge?delay=1&delay=2", (400, "parameter-invalid")),
        ("POST", "/jobs/charge?ttl=0", (400, "parameter-invalid")),
        ("POST", "/jobs/charge?delay=10&ttl=5", (400, "parameter-invalid")),
        ("POST", "/jobs/charge?at=2030-01-31", (400, "parameter-invalid")),
        ("POST", "/jobs/charge?at=2030-01-31T12:00:00", (400, "parameter-invalid")),
        ("POST", "/jobs/charge?at=0001-01-01T00:00:00Z", (202, "")),
        ("POST", "/jobs/charge?at=9999-12-31T23:59:59-14:00", (400, "parameter-invalid")),
        ("POST", "/jobs/charge?at=2030-01-31T12:00:00Z&delay=1", (400, "parameter-invalid")),
        ("GET", "/jobs/charge/1?wait=61", (400, "parameter-invalid")),
        ("GET", "/jobs/charge/1?delay=1", (400, "parameter-unknown")),
    ],
)
def test_requests_that_cant_be_answered_are_problems_without_values(
    client: Client, method: str, path: str, answer: tuple[int, str]
) -> None:
    response = client.request(method, path, body=json.dumps(ORDER))

    if answer[0] == 202:
        assert response.status == 202
        return
    assert problem(response) == answer
    assert "SECRET" not in response.text


@pytest.mark.parametrize("path", ["/jobs/", "/jobs/charge/a%0Ab"])
def test_a_path_that_no_job_can_have_is_a_problem(client: Client, path: str) -> None:
    assert problem(client.get(path)) == (404, "")


@pytest.mark.parametrize(
    "key", ["", "SECRET/17", "SECRET\N{LATIN SMALL LETTER E WITH ACUTE}", ".", "..", "x" * 1025]
)
def test_a_key_that_cant_be_in_an_address_is_refused(client: Client, key: str) -> None:
    response = send(client, key=key)

    assert problem(response) == (400, "parameter-invalid")
    assert response.json()["parameter"] == "Idempotency-Key"
    assert "SECRET" not in response.text


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "/jobs/charge", "POST, OPTIONS"),
        ("PUT", "/jobs/charge/1", "GET, HEAD, OPTIONS"),
        ("OPTIONS", "/jobs/charge/1", "GET, HEAD, OPTIONS"),
        ("OPTIONS", "/jobs/charge/1/cancel", "POST, OPTIONS"),
    ],
)
def test_answers_name_the_methods_that_are_allowed(
    client: Client, method: str, path: str, allow: str
) -> None:
    assert client.request(method, path).headers["allow"] == allow


def test_a_body_over_the_servers_limit_is_a_problem(client: Client) -> None:
    headers: Mapping[str, str] = {"content-type": "application/json"}

    response = client.post("/jobs/measure", body=b"x" * 15_000_000, headers=headers)

    assert problem(response)[0] == 413


def test_a_payload_over_the_stores_limit_is_a_problem(
    client: Client, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs.store, "max_bytes", 10, raising=False)

    response = client.post("/jobs/measure", body=b"x" * 11)

    assert problem(response) == (413, "payload-too-large")


@pytest.mark.parametrize("method", ["insert", "get"])
def test_a_store_that_doesnt_answer_is_a_problem_that_passes(
    client: Client, jobs: Jobs, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise JobStoreError("SECRET")

    sent = send(client)
    monkeypatch.setattr(jobs.store, method, fail)
    response = send(client) if method == "insert" else client.get(sent.headers["location"])

    assert problem(response) == (503, "store")
    assert response.headers["retry-after"] == "5"
    assert "SECRET" not in response.text


def test_a_fault_is_a_problem_without_a_text(
    client: Client, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise LookupError("SECRET")

    monkeypatch.setattr(jobs.store, "get", fail)

    response = client.get("/jobs/charge/1")

    assert problem(response)[0] == 500
    assert "SECRET" not in response.text


def test_a_removed_job_is_unknown(client: Client, jobs: Jobs) -> None:
    sent = send(client, key="order-17")
    key = Key("default", "charge", "order-17")
    jobs.store.delete(key, states=frozenset({jobs.store.get(key).state}))  # type: ignore[union-attr]

    assert problem(client.get(sent.headers["location"])) == (404, "job-unknown")
