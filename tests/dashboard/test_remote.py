"""The dashboard of a store and a Pub/Sub that aren't of a `ucam-faas dev`."""

from __future__ import annotations

import base64
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ucam_faas.backends import remote
from ucam_faas.backends.ports import Backends
from ucam_faas.config import Settings
from ucam_faas.dashboard import people
from ucam_faas.dashboard.app import make_app
from ucam_faas.dead_letters.parser import Parser
from ucam_faas.exceptions import ConfigurationError
from ucam_faas.execution.runtime import store_of
from ucam_faas.jobs.rows import Key, Row
from ucam_faas.jobs.states import State

from .asgi import Answer, call

SECRET = "221b Baker Street"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(job_store=f"sqlite:{tmp_path / 'jobs.db'}", project="shop", app="orders")


@pytest.fixture
def job(settings: Settings) -> Row:
    """Keep a job with an address in its payload."""
    store = store_of(settings)
    assert store is not None
    payload = json.dumps({"to": SECRET}).encode()
    row = Row(
        key=Key("orders", "deliver", "17"),
        payload=payload,
        attributes={"for": SECRET},
        state=State.PENDING,
    )
    store.insert([row], wait=[0.0])
    return row


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    monkeypatch.setattr(
        remote.logger, "info", lambda message, extra: lines.append({"": message, **extra["fields"]})
    )
    return lines


def ask(backends: Backends, method: str, url: str, **headers: str) -> Answer:
    app = make_app(lambda: backends, who=people.person_of)
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return call(app, method, url, form={} if method == "POST" else None, headers=names)


def post(backends: Backends, url: str, form: dict[str, str]) -> Answer:
    return call(make_app(lambda: backends), "POST", url, form=form)


def test_nothing_is_changed_unless_the_command_line_allows_it(
    settings: Settings, job: Row, tmp_path: Path
) -> None:
    backends = remote.connect(settings, folder=tmp_path)

    assert backends.place == "shop, orders"
    assert ask(backends, "POST", "/jobs/deliver/17/cancel").status == 403
    assert "/jobs/deliver/17/cancel" not in ask(backends, "GET", "/jobs/deliver/17").text
    allowed = remote.connect(settings, folder=tmp_path, allow_writes=True)
    assert ask(allowed, "POST", "/jobs/deliver/17/delete").status == 303
    assert ask(allowed, "GET", "/jobs/deliver/17").status == 404


def test_a_payload_is_shown_on_request_and_the_log_says_to_whom(
    settings: Settings,
    job: Row,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    logged: list[dict[str, Any]],
) -> None:
    monkeypatch.setenv("K_SERVICE", "dashboard")
    backends = remote.connect(settings, folder=tmp_path)
    iap = {"x_goog_authenticated_user_email": "accounts.google.com:ann@example.org"}

    hidden = ask(backends, "GET", "/jobs/deliver/17", **iap).text
    shown = ask(backends, "POST", "/jobs/deliver/17/reveal", **iap).text

    assert SECRET not in hidden
    assert f"to: string of {len(SECRET)}" in hidden
    assert SECRET in shown
    assert [(line["person"], line["about"]) for line in logged] == [
        ("ann@example.org", "deliver/17")
    ]


def test_the_person_is_in_the_token_that_cloud_run_has_verified(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    claims = base64.urlsafe_b64encode(b'{"email": "bob@example.org"}').rstrip(b"=").decode()
    authorization = {"authorization": f"Bearer e30.{claims}.SIGNATURE_REMOVED_BY_GOOGLE"}

    assert people.person_of(authorization) != "bob@example.org"
    monkeypatch.setenv("K_SERVICE", "dashboard")
    assert people.person_of(authorization) == "bob@example.org"
    assert people.person_of({"authorization": "Bearer x"}) == ""
    assert people.person_of({"authorization": "Bearer e30.e30.x"}) == ""


def test_an_action_whose_view_logs_nothing_is_logged_by_its_path(
    settings: Settings, job: Row, tmp_path: Path, logged: list[dict[str, Any]]
) -> None:
    backends = remote.connect(settings, folder=tmp_path, allow_writes=True)

    assert ask(backends, "POST", "/lanes/deliver/default/pause").status == 303

    assert [line["about"] for line in logged] == ["/lanes/deliver/default/pause"]


def test_without_a_store_and_a_pubsub_there_is_nothing_to_show(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="UCAM_FAAS_JOB_STORE isn't set"):
        remote.connect(Settings(), folder=tmp_path)


def test_the_first_page_does_not_say_that_nothing_waits_before_it_was_read(
    settings: Settings, tmp_path: Path
) -> None:
    """Reading takes leases of the letters, so it is done only when a person asks for it."""
    backends = remote.connect(replace(settings, pubsub_emulator="127.0.0.1:1"), folder=tmp_path)

    for url in ("/", "/dead-letters"):
        text = ask(backends, "GET", url).text

        assert "Nothing waits" not in text
        assert "No dead letters" not in text
        assert "haven&#39;t been read yet" in text
        assert 'action="/dead-letters/mirror"' in text


SOURCE = """
import pydantic
import ucam_faas

class Parcel(pydantic.BaseModel):
    weight: int

@ucam_faas.message_handler(topic="parcels", unique=lambda parcel: parcel.weight)
def deliver(parcel: Parcel): ...
"""


@pytest.mark.slow
def test_the_tasks_and_their_forms_are_those_of_the_code_that_is_named(
    settings: Settings, tmp_path: Path
) -> None:
    source = tmp_path / "main.py"
    source.write_text(SOURCE)
    environ = {"UCAM_FAAS_JOB_STORE": str(settings.job_store), "UCAM_FAAS_APP": "orders"}
    environ = {**os.environ, **environ, "GOOGLE_CLOUD_PROJECT": "shop"}
    url, typed = "/tasks/deliver/send", {"mode": "form", "f/weight": "3", "ordering_key": ""}
    with Parser([str(source)], environ=environ) as parser:
        backends = remote.connect(settings, folder=tmp_path, parser=parser)
        allowed = replace(backends, read_only=False)

        tasks = ask(backends, "GET", "/tasks").text
        form = ask(backends, "GET", url).text
        wrong = post(backends, url, {**typed, "f/weight": "heavy", "do": "check"})
        refused = post(backends, url, {**typed, "do": "send"})
        sent = post(allowed, url, {**typed, "do": "send"})

    assert 'href="/tasks/deliver"' in tasks
    assert 'name="f/weight"' in form
    assert 'value="send"' not in form
    assert "Expected a number" in wrong.text
    assert (refused.status, sent.status) == (403, 303)
    assert backends.jobs is not None
    (row,) = backends.jobs.store.find("orders")
    assert (row.payload, row.unique) == (b'{"weight": 3}', "3")


def test_without_the_code_the_page_of_tasks_names_the_option_that_shows_them(
    settings: Settings, job: Row, tmp_path: Path
) -> None:
    backends = remote.connect(settings, folder=tmp_path)

    for url in ("/tasks", "/tasks/deliver", "/tasks/deliver/send"):
        assert "--source main.py" in ask(backends, "GET", url).text
