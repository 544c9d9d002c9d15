"""The description of a service of jobs, looked at with validators of OpenAPI and JSON Schema."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from openapi_spec_validator import validate

from ucam_faas.testing import Client, Jobs


@pytest.fixture
def document(client: Client) -> Any:
    return client.get("/jobs/openapi.json").json()


def check(document: Any, value: Any, schema: Any) -> None:
    rooted = {**schema, "components": document["components"]}
    Draft202012Validator(rooted, format_checker=FormatChecker()).validate(value)


def operation(document: Any, method: str, place: str) -> Any:
    return document["paths"][place][method]


def schema_of(document: Any, method: str, place: str, status: int) -> Any:
    (content,) = operation(document, method, place)["responses"][str(status)]["content"].values()
    return content["schema"]


@pytest.mark.slow
def test_the_description_is_valid_openapi(document: Any) -> None:
    validate(document)

    assert document["openapi"] == "3.1.0"


def test_it_has_the_tasks_of_the_service_and_no_others(document: Any) -> None:
    tasks = {path.split("/")[2] for path in document["paths"]}

    assert tasks == {
        *("charge", "refund", "ship", "index", "measure", "count", "tidy", "label"),
        *("log_in", "greet", "notify"),
    }


def test_the_payloads_schema_is_that_of_the_tasks_type(document: Any) -> None:
    body = operation(document, "post", "/jobs/charge")["requestBody"]

    assert body["required"] is True
    schema = body["content"]["application/json"]["schema"]
    check(document, {"id": 1, "customers": {"a": 1}}, schema)
    with pytest.raises(Exception, match="is not of type"):
        check(document, {"id": "one"}, schema)


def test_the_results_schema_is_that_of_the_tasks_return_annotation(document: Any) -> None:
    job = {"task": "charge", "id": "1", "state": "SUCCESS", "created": "2026-01-31T09:00:00Z"}
    job |= {"attempts": 0, "error": None, "result": {"order": 1, "paid": 1, "on": "2026-01-31"}}
    schema = schema_of(document, "get", "/jobs/charge/{id}", 200)

    check(document, job, schema)
    with pytest.raises(Exception, match="is not valid under any of the given schemas"):
        check(document, {**job, "result": {"order": "one"}}, schema)


@pytest.mark.parametrize(
    ("task", "types"),
    [
        ("charge", {"application/json"}),
        ("index", {"application/json", "application/protobuf"}),
        ("measure", {"application/octet-stream"}),
    ],
)
def test_each_task_has_its_media_types(document: Any, task: str, types: set[str]) -> None:
    content = operation(document, "post", f"/jobs/{task}")["requestBody"]["content"]

    assert content.keys() == types


def test_the_lanes_of_a_task_are_the_values_of_its_parameter(document: Any) -> None:
    def lanes(task: str) -> list[Any]:
        parameters = operation(document, "post", f"/jobs/{task}")["parameters"]
        return [each["schema"]["enum"] for each in parameters if each["name"] == "lane"]

    assert lanes("notify") == [["default", "high", "low"]]
    assert lanes("charge") == []


def test_answers_are_as_they_are_described(client: Client, jobs: Jobs, document: Any) -> None:
    place = "/jobs/charge/{id}"
    sent = client.post("/jobs/charge?delay=5&ttl=60", json={"id": 1})
    check(document, sent.json(), schema_of(document, "post", "/jobs/charge", 202))
    waiting = client.get(sent.headers["location"])
    check(document, waiting.json(), schema_of(document, "get", place, 200))
    jobs.advance(5)
    ended = client.get(sent.headers["location"])
    check(document, ended.json(), schema_of(document, "get", place, 200))
    refused = client.post("/jobs/charge", json={"id": "one"})
    check(document, refused.json(), schema_of(document, "post", "/jobs/charge", 422))
    late = client.post(f"{sent.headers['location']}/cancel")
    check(document, late.json(), schema_of(document, "post", f"{place}/cancel", 409))

    statuses = (sent.status, waiting.status, ended.status, refused.status, late.status)
    assert statuses == (202, 200, 200, 422, 409)
