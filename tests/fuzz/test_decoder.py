"""No delivery, however broken, is answered 5xx, raises, or logs an error."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from .mutator import (
    FUNCTIONS,
    NAMES,
    ODD_NAMES,
    ODD_VALUES,
    VALID,
    BrokenError,
    Mutator,
    Request,
    Target,
    request,
)

IN_CI = os.environ.get("CI") == "true"
MUTATED = 20_000 if IN_CI else 2_000
GENERATED = 3_000 if IN_CI else 300
EVENT_TASKS = ("message", "threaded", "event", "data")


@pytest.fixture(scope="module", autouse=True)
def _served() -> Iterator[None]:
    """Serve for the whole module: an application for each example would take most of the time."""
    with asyncio.Runner() as runner, Target() as target:
        _running.append((runner, target))
        yield
        _running.clear()
        target.app.service.runner.close()


_running: list[tuple[asyncio.Runner, Target]] = []


def ask_all(requests: list[Request]) -> list[int]:
    ((runner, target),) = _running

    async def run() -> list[int]:
        return [await target.ask(made) for made in requests]

    return runner.run(run())


def breakages(requests: list[Request]) -> list[str]:
    errors: list[str] = []
    for made in requests:
        try:
            ask_all([made])
        except BrokenError as error:
            errors.append(str(error)[:1000])
    return errors


@pytest.mark.parametrize("name", ["raw", "event", "data"])
@pytest.mark.parametrize("form", VALID)
def test_the_valid_forms_are_valid_for_every_event_task(form: str, name: str) -> None:
    made = replace(VALID[form], path=f"/{name}")

    statuses = ask_all([made])

    assert statuses == [200]


@pytest.mark.parametrize("form", [form for form in VALID if not form.startswith(("bin", "struct"))])
@pytest.mark.parametrize("name", ["message", "threaded"])
def test_the_valid_forms_of_messages_are_valid_for_message_handlers(form: str, name: str) -> None:
    made = replace(VALID[form], path=f"/{name}")

    statuses = ask_all([made])

    assert statuses == [200]


def test_the_mutator_breaks_some_deliveries_and_leaves_some_valid() -> None:
    mutator = Mutator(1)
    requests = [mutator.make() for _ in range(500)]

    answers = ask_all(requests)

    assert answers.count(200) > 100
    assert answers.count(400) > 100


@pytest.mark.slow
def test_mutated_deliveries_break_nothing() -> None:
    mutator = Mutator(20260131)

    broken = breakages([mutator.make() for _ in range(MUTATED)])

    assert not broken, f"{len(broken)} of {MUTATED}, the first: {broken[0]}"


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["1.0", "aGk=", "application/json", "text/plain", "2026-01-31T09:00:00Z"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=6,
)
MESSAGES = st.fixed_dictionaries(
    {},
    optional={
        "data": JSON | st.binary(max_size=9).map(lambda data: data.hex()),
        "attributes": st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3) | JSON,
        "messageId": JSON,
        "message_id": JSON,
        "publishTime": JSON,
        "orderingKey": JSON,
        "@type": JSON,
    },
)
PUSHES = st.fixed_dictionaries(
    {"message": MESSAGES | JSON}, optional={"subscription": JSON, "deliveryAttempt": JSON}
)
REQUIRED = {name: st.just("1.0") | JSON for name in ("specversion", "id", "source", "type")}
EVENTS = st.fixed_dictionaries(
    REQUIRED,
    optional={
        "data": PUSHES | JSON,
        "data_base64": JSON,
        "datacontenttype": JSON,
        "subject": JSON,
        "time": JSON,
        "extension": JSON,
    },
)
HEADERS = st.lists(
    st.tuples(
        st.sampled_from(ODD_NAMES) | st.binary(max_size=6).map(bytes.lower),
        st.sampled_from(ODD_VALUES) | st.binary(max_size=12),
    ),
    max_size=4,
)


@pytest.mark.slow
@settings(
    max_examples=GENERATED, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
@given(
    body=PUSHES | EVENTS | JSON,
    headers=HEADERS,
    kind=st.sampled_from(["application/json", "application/cloudevents+json", ""]),
    name=st.sampled_from(NAMES),
)
def test_generated_deliveries_break_nothing(
    body: object, headers: list[tuple[bytes, bytes]], kind: str, name: str
) -> None:
    made = request({"content-type": kind} if kind else {}, body, path=f"/{name}")
    made = replace(made, headers=(*made.headers, *headers))

    statuses = ask_all([made])

    assert statuses[0] < 500


@pytest.mark.slow
@settings(
    max_examples=GENERATED, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
@given(body=st.binary(max_size=200), headers=HEADERS, name=st.sampled_from(NAMES))
def test_arbitrary_bytes_break_nothing(
    body: bytes, headers: list[tuple[bytes, bytes]], name: str
) -> None:
    made = Request("POST", f"/{name}", tuple(headers), body)

    statuses = ask_all([made])

    assert statuses[0] < 500


def structured(**attributes: object) -> Request:
    event = {"specversion": "1.0", "id": "1", "source": "//x", "type": "t", **attributes}
    return request({"content-type": "application/cloudevents+json"}, event)


@pytest.mark.parametrize("name", EVENT_TASKS)
@pytest.mark.parametrize("value", [5, 1.5, True, [], {}], ids=repr)
def test_a_datacontenttype_that_is_no_string_is_malformed(name: str, value: object) -> None:
    made = replace(structured(datacontenttype=value, data="text"), path=f"/{name}")

    statuses = ask_all([made])

    assert statuses == [400]


@pytest.mark.parametrize("data", ["text", {"a": 1}, None], ids=repr)
def test_a_datacontenttype_of_null_is_none(data: object) -> None:
    made = replace(structured(datacontenttype=None, data=data), path="/event")

    statuses = ask_all([made])

    assert statuses == [200]


def test_a_content_length_of_thousands_of_digits_is_too_large() -> None:
    made = replace(VALID["wrapped push"], path="/message")
    made = replace(made, headers=(*made.headers, (b"content-length", b"9" * 5000)))

    statuses = ask_all([made])

    assert statuses == [413]


def test_every_fuzzed_task_is_reached() -> None:
    names = {name.partition("/")[0] for name in NAMES}

    reached = {function.__name__ for function in FUNCTIONS}

    assert names == reached
