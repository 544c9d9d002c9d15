"""The page of a job: its life, data and relatives, and the actions on it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support import history
from ucam_faas.dashboard.views.job_history import moments
from ucam_faas.exceptions import PayloadMissingError
from ucam_faas.jobs.payloads.references import BY_REFERENCE, reference_to
from ucam_faas.jobs.rows import Change, Key, Row
from ucam_faas.jobs.states import State

from .shop import DONE, FAILED, KEY, Html, Shop

URL = "/jobs/charge/17"


def test_a_job_shows_its_state_its_data_and_its_history(shop: Shop) -> None:
    shop.send(attributes={"customer": "3"}, ordering_key="a")
    shop.end()

    page = Html(shop.get(URL).text)

    assert "customer 3" in page.text
    assert '"order": 17' in page.text
    assert '"paid": 100' in page.text
    assert "pending sent" in page.text
    assert "success finished run 1" in page.text


def test_a_failed_job_shows_its_error_and_traceback(shop: Shop) -> None:
    shop.send()
    shop.end(change=FAILED)

    page = Html(shop.get(URL).text)

    assert "KeyError : 'umbrella'" in page.text
    assert "price = prices[order.article]" in page.text


def test_a_job_that_isnt_there_is_a_page_that_says_so(shop: Shop) -> None:
    answer = shop.get("/jobs/charge/none")

    assert answer.status == 404
    assert "There is no job &#39;none&#39; of &#39;charge&#39;." in answer.text


@pytest.mark.parametrize(
    ("end", "actions"),
    [
        ("", ["cancel", "delete"]),
        ("claim", ["cancel"]),
        ("failure", ["retry", "delete"]),
        ("success", ["delete"]),
        ("pause", ["resume", "cancel", "delete"]),
        ("batch", ["cancel", "delete"]),
    ],
)
def test_the_buttons_are_those_that_the_state_allows(
    shop: Shop, end: str, actions: list[str]
) -> None:
    shop.send(state=State.PAUSED if end == "batch" else State.PENDING)
    changes = {
        "failure": FAILED,
        "success": DONE,
        "pause": Change(state=State.PAUSED, cause="paused", visit=60),
    }
    if end in changes:
        shop.end(change=changes[end])
    elif end == "claim":
        shop.claim()

    def buttons() -> list[str]:
        forms = Html(shop.get(URL).text).all("form", "action")
        return [url.rpartition("/")[2] for url in forms if url.startswith(URL)]

    assert buttons() == actions
    shop.backends = replace(shop.backends, read_only=True)
    assert buttons() == []


def test_a_failed_job_runs_again(shop: Shop) -> None:
    shop.send()
    shop.end(change=FAILED)

    answer = shop.post(f"{URL}/retry")

    assert (answer.status, answer.headers["location"]) == (303, URL)
    row = shop.store.get(KEY)
    assert row is not None
    assert row.state is State.PENDING


def test_a_deleted_job_leads_to_the_list(shop: Shop) -> None:
    shop.send()

    answer = shop.post(f"{URL}/delete")

    assert answer.headers["location"] == "/jobs"
    assert shop.store.get(KEY) is None


def test_an_action_that_the_state_forbids_says_why(shop: Shop) -> None:
    shop.send()
    shop.end()

    answer = shop.post(f"{URL}/retry")

    assert answer.headers["location"] == URL
    assert "only%20a%20job%20that%20ended%20without%20success" in answer.headers["set-cookie"]
    assert shop.post(f"{URL}/explode").status == 404


def test_relatives_are_linked(shop: Shop) -> None:
    shop.send(batch="report/b", parent="order/1")
    shop.send(Key("shop", "mail", "m"), parent="charge/17")
    shop.send(Key("shop", "report", "b"), state=State.PAUSED)

    own, callback = Html(shop.get(URL).text), Html(shop.get("/jobs/report/b").text)

    links = own.all("a", "href")
    assert {"/jobs/order/1", "/jobs/report/b", "/jobs/mail/m"} <= set(links)
    assert URL in callback.all("a", "href")
    assert "/jobs?batch=report/b&state=pending" in callback.all("a", "href")
    assert "waits for its batch" in callback.text


def test_steps_and_progress_are_shown(shop: Shop) -> None:
    shop.send()
    fence = shop.claim().fence
    shop.store.put_step(KEY, "reserve", b'{"place": 3}', fence=fence)
    shop.store.report(KEY, {"done": 3, "total": 12, "note": "pages"}, fence=fence)

    page = Html(shop.get(URL).text)

    assert ("progress", {"value": "3", "max": "12", "aria-label": "Progress"}) in page.elements
    assert "3 of 12 (25 %), pages" in page.text
    assert '{"place": 3}' in page.text


def test_hidden_data_are_shown_and_saved_on_request_which_is_noted(shop: Shop) -> None:
    noted: list[tuple[str, str, str]] = []
    shop.backends = replace(
        shop.backends,
        hides_payloads=True,
        read_only=True,
        log=lambda who, what, about: noted.append((who, what, about)),
    )
    shop.send(payload=b'{"address": "1 Trinity Lane"}')
    fence = shop.claim().fence
    shop.store.put_step(KEY, "reserve", b'"Trinity"', fence=fence)
    error = {"type": "KeyError", "message": "Trinity", "traceback": "of Trinity"}
    shop.store.change(KEY, replace(FAILED, error=error, result=b'"Trinity"'), fence=fence)

    hidden = shop.get(URL).text

    assert "Trinity" not in hidden
    assert "address: string of 14" in Html(hidden).text
    assert shop.get(f"{URL}/payload").status == 404
    assert noted == []
    revealed = Html(shop.post(f"{URL}/reveal").text)
    assert "1 Trinity Lane" in revealed.text
    assert "of Trinity" in revealed.text
    assert shop.post(f"{URL}/save/payload").body == b'{"address": "1 Trinity Lane"}'
    assert noted == [
        ("ann", "revealed", "charge/17"),
        ("ann", "downloaded the payload", "charge/17"),
    ]


def test_data_are_downloaded_as_they_are(shop: Shop) -> None:
    shop.send(payload=b"\x00\xff")
    shop.end()

    payload, result = shop.get(f"{URL}/payload"), shop.get(f"{URL}/result")

    assert payload.body == b"\x00\xff"
    assert payload.headers["content-disposition"].endswith("charge-17-payload.bin")
    assert result.body == b'{"paid": 100}'
    assert result.headers["content-disposition"].endswith("charge-17-result.json")
    assert shop.get(f"{URL}/secret").status == 404


def test_a_lost_payload_is_a_sentence_on_the_page(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = reference_to("there", b"large").to_bytes()
    shop.send(payload=reference, options={BY_REFERENCE: "by reference"})

    def lost(row: Row) -> bytes:
        raise PayloadMissingError("The payload isn't in the payload store.")

    monkeypatch.setattr(shop.store, "payload_of", lost)

    assert "The payload isn't in the payload store." in Html(shop.get(URL).text).text


@pytest.fixture
def followed(tmp_path: Path) -> Iterator[Shop]:
    """Return a shop whose job failed once; the history has the lines of its runs."""
    shop = Shop(tmp_path)
    shop.send()
    shop.end(change=replace(FAILED, state=State.PENDING, wait=0.0))
    shop.end()
    (row,) = shop.store.find("shop")
    first, second = (each.time for each in row.history if each.cause == "claimed")
    of_job = {"task": "charge", "job_id": "17"}
    events = [
        history.logged("looking for the price", time=first, execution_id="one", **of_job),
        history.ended("one", time=first, outcome="crashed", seconds=0.0, reason="dear", **of_job),
        history.logged("paid", time=second, execution_id="two", **of_job),
        history.ended("two", time=second, seconds=0.0, **of_job),
    ]
    shop.close()
    shop = Shop(tmp_path, events)
    yield shop
    shop.close()


def test_the_log_lines_of_each_run_are_with_its_claim(followed: Shop) -> None:
    text = Html(followed.get(URL).text).text

    places = [
        text.index(part) for part in ("sent", "run 1", "looking for the price", "run 2", "paid")
    ]
    assert places == sorted(places)
    assert "/runs/one" in followed.get(URL).text


def test_a_run_whose_claim_is_forgotten_is_shown_alone(followed: Shop) -> None:
    (row,) = followed.store.find("shop")
    assert followed.history is not None
    runs = followed.history.job_runs("charge", "17")
    log = [entry for entry in json.loads(row.log) if entry[2] != "claimed" or entry[3] == 2]

    shown = moments(replace(row, log=json.dumps(log)), runs)

    assert {moment.run.execution_id for moment in shown if moment.run} == {"one", "two"}
    assert len([moment for moment in shown if moment.entry is None]) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("payload", "shown"),
    [
        (b"[" * 100_000, "[[["),
        (b'{"a":' * 500 + b"1" + b"}" * 500, '"a":1'),
        (b"[" * 900 + b"1," * 500_000 + b"1" + b"]" * 900, "[ [ [ ["),
        (b'"\\ud800 \\u202e \\u0000"', "\\ud800 \\u202e \\u0000"),
        (b"\xff\xfe\x00<script>", "<script>"),
        ("\u202egnp.exe \x1b[2J\x07".encode(), "\\u202egnp.exe \\x1b[2J\\x07"),
        (b"</pre></figure><script>alert(1)</script>", "</pre></figure><script>alert(1)"),
        (b'{"blob": "' + b"x" * 5_000_000 + b'"}', "the beginning is shown"),
        (b'{"__proto__": {"a": 1}, "a": NaN, "b": 1e999}', '"b": Infinity'),
    ],
    ids=[
        "brackets",
        "deep",
        "deep and long",
        "escapes",
        "bytes",
        "terminal",
        "tags",
        "5 MB",
        "numbers",
    ],
)
def test_a_hostile_payload_is_text(shop: Shop, payload: bytes, shown: str) -> None:
    shop.send(payload=payload)

    answer = shop.get(URL)

    page = Html(answer.text)
    assert shown in page.text
    assert len(answer.body) < 1_500_000
    assert [name for name, _ in page.elements].count("script") == 1
    assert not {"\u202e", "\x1b", "\x00", "\x07"} & set(answer.text)
    assert shop.get(f"{URL}/payload").body == payload
