"""Whatever is sent to the service gets an answer of a known form, which quotes none of it."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from ucam_faas.http_jobs.problems import MEDIA_TYPE
from ucam_faas.testing import Client, ClientResponse

pytestmark = pytest.mark.slow

any_request = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # requests share one service
    deadline=None,
)
MARK = "7c3f0e"
"""In bodies and parameters: it may be in no answer."""
TASKS = st.sampled_from(["charge", "refund", "ship", "index", "measure", "count", "tidy"])
METHODS = st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)
ORDERS = st.fixed_dictionaries(
    {"id": st.integers() | ANY_JSON}, optional={"pence": ANY_JSON, "customers": ANY_JSON}
)
SENT = frozenset({202, 400, 413, 415, 422, 409, 429})


def check(response: ClientResponse, expected: frozenset[int]) -> None:
    assert response.status in expected, response
    assert MARK not in response.text
    if response.status >= 400:
        assert response.headers["content-type"] == MEDIA_TYPE
        assert response.json()["status"] == response.status


@any_request
@given(task=TASKS, body=st.binary(), form=st.sampled_from(["", "application/json", "x/y", "text"]))
def test_any_bytes_are_a_job_or_a_problem(
    client: Client, task: str, body: bytes, form: str
) -> None:
    headers = {"content-type": form} if form else {}

    response = client.post(f"/jobs/{task}", body=MARK.encode() + body, headers=headers)

    check(response, SENT)


@any_request
@given(task=TASKS, payload=ANY_JSON | ORDERS)
def test_any_json_is_a_job_or_a_problem(client: Client, task: str, payload: Any) -> None:
    response = client.post(f"/jobs/{task}", body=json.dumps(payload))

    check(response, SENT)


@any_request
@given(query=st.lists(st.tuples(st.sampled_from(["delay", "at", "ttl", "lane", MARK]), st.text())))
def test_any_query_is_a_job_or_a_problem(client: Client, query: list[tuple[str, str]]) -> None:
    marked = [(name, text + MARK) for name, text in query]

    response = client.post(f"/jobs/charge?{urlencode(marked)}", json={"id": 1})

    check(response, frozenset({400}) if query else frozenset({202}))


@any_request
@given(
    delay=st.floats(allow_nan=True) | st.integers(),
    at=st.datetimes(timezones=st.timezones(), allow_imaginary=False),
    ttl=st.floats() | st.integers(),
    which=st.sampled_from(["delay", "at", "delay ttl", "at ttl", "ttl"]),
)
def test_any_time_is_a_job_that_can_be_shown_or_a_problem(
    client: Client, which: str, **values: Any
) -> None:
    texts = {"delay": values["delay"], "at": values["at"].isoformat(), "ttl": values["ttl"]}
    query = urlencode({name: texts[name] for name in which.split()})

    response = client.post(f"/jobs/charge?{query}", json={"id": 1})

    check(response, SENT)
    if response.status == 202:
        assert client.get(response.headers["location"]).status == 200


@any_request
@given(key=st.text(st.characters(max_codepoint=255)) | st.text('./\\" %?#ab', max_size=4))
def test_any_key_is_the_id_of_a_job_with_an_address_or_a_problem(client: Client, key: str) -> None:
    headers = {"idempotency-key": key}

    response = client.post("/jobs/measure", body=b"x", headers=headers)

    check(response, frozenset({202, 400}))
    if response.status == 202:
        job = client.get(response.headers["location"])
        assert job.status == 200
        assert job.json()["id"] == response.json()["id"] == key.strip('"')
        assert client.post(f"{response.headers['location']}/cancel").status == 202


@any_request
@given(
    method=METHODS,
    parts=st.lists(st.sampled_from(["charge", "cancel", "openapi.json", "x"]) | st.text()),
)
def test_any_path_has_an_answer(client: Client, method: str, parts: list[str]) -> None:
    path = "/".join(quote(part, safe="") for part in [*parts, MARK])

    response = client.request(method, f"/jobs/{path}", body=b"{}")

    if response.status == 308:  # of doubled slashes
        return
    check(response, frozenset({204, 404, 405}))
