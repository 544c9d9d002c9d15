"""The pages of dead letters, on a book with 500 letters of seven causes."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

import ucam_faas
from tests.dashboard.asgi import Answer
from tests.dashboard.controls import submitted
from tests.dashboard.site import Pages
from tests.support.dead_letters import filled_book, workbench
from tests.support.history import attempt, published, write as write_history
from ucam_faas.backends.ports import Backends, KnownTask
from ucam_faas.config import Settings
from ucam_faas.dead_letters.filters import Filter
from ucam_faas.dead_letters.letters import Letter, LetterState
from ucam_faas.dead_letters.parser import FieldError
from ucam_faas.dead_letters.workbench import Workbench
from ucam_faas.history.events import DeadLettered
from ucam_faas.history.reader import History
from ucam_faas.tasks.needs import needs_of
from ucam_faas.tasks.payload_schemas import schema_of

__all__ = ["workbench"]

NEW, HANDLED = LetterState.NEW, LetterState.HANDLED
LETTER = "/dead-letters/charge-dead%2F0"


class Order(BaseModel):
    order: int
    customer: str


@ucam_faas.message_handler(topic="orders")
def charge(order: Order) -> None: ...


@dataclass
class Site(Pages):
    bench: Workbench

    def counts(self) -> dict[str, int]:
        states = {s: self.bench.count(Filter(states=frozenset({s}))) for s in LetterState}
        return {state.value: count for state, count in states.items() if count}


@pytest.fixture
def site(workbench: Workbench) -> Site:
    known = KnownTask(needs_of(charge.task, Settings()), schema_of(charge.task, values=True))
    return Site(Backends(workbench=workbench, tasks=lambda: [known]), workbench, who="ann")


def ids_of(page: Answer) -> list[str]:
    return re.findall(r'name="id" value="([^"]+)"', page.text)


def test_five_hundred_letters_are_seven_causes(site: Site) -> None:
    text = site.get("/dead-letters").text

    assert "7 causes of 500 dead letters" in text
    assert "KeyError at shop.orders.price" in text
    assert "forwarded by Pub/Sub, without a reason" in text


def test_filters_are_in_the_url_and_pages_go_by_key(site: Site) -> None:
    page = site.get("/dead-letters?task=ship&attribute=tenant%3Dcollege-3")
    first = site.get("/dead-letters?task=charge")
    older = re.search(r'href="([^"]+)" rel="next"', first.text)
    assert older is not None
    second = site.get(older[1].replace("&amp;", "&"))

    assert 0 < len(ids_of(page)) < 50
    assert "task=charge" in older[1]
    assert len(ids_of(first)) == len(ids_of(second)) == 50
    assert not set(ids_of(first)) & set(ids_of(second))


def test_all_that_match_are_more_than_a_page(site: Site) -> None:
    count = site.bench.count(Filter(task="charge"))

    form = {"do": "handled", "scope": "all", "note": "known"}
    done = site.post("/dead-letters/act?task=charge", form)

    assert count > 50
    assert site.counts() == {"new": 500 - count, "handled": count}
    assert done.headers["location"] == "/dead-letters?task=charge"
    assert f"{count}%20dead%20letters%20are%20handled" in done.headers["set-cookie"]
    entry = site.bench.journal(limit=1)[0]
    assert (entry.by, entry.what, entry.detail) == ("ann", "handled", "known")


def test_one_cause_alone_is_chosen(site: Site) -> None:
    group = site.bench.groups(Filter())[0]

    form = {"do": "handled", "scope": "all"}
    site.post(f"/dead-letters/act?fingerprint={group.fingerprint}&task={group.task}", form)

    assert site.counts() == {"new": 500 - group.count, "handled": group.count}


def test_selected_rows_are_those_that_were_selected(site: Site) -> None:
    first, *_ = ids_of(site.get("/dead-letters"))

    site.post("/dead-letters/act", {"do": "handled", "scope": "rows", "id": first})
    handled = site.get("/dead-letters?state=handled")
    reopened = site.post("/dead-letters/act?state=handled", {"do": "reopen", "id": first})

    assert ids_of(handled) == [first]
    assert reopened.headers["location"] == "/dead-letters?state=handled"
    assert site.counts() == {"new": 500}


def test_letters_are_saved_in_parts_and_not_held_in_memory(tmp_path: Path) -> None:
    site = site_with(tmp_path, data=b"x" * 3_000_000)

    answer = site.post("/dead-letters/archive", {"scope": "all"})

    (line,) = answer.body.splitlines()
    assert answer.headers["content-length"] == str(len(answer.body))
    assert base64.b64decode(json.loads(line)["message"]["data"]) == b"x" * 3_000_000
    assert max(map(len, answer.parts)) <= 1_000_000


def test_no_letters_are_no_file(site: Site) -> None:
    answer = site.post("/dead-letters/archive?task=unknown", {"scope": "all"})

    assert answer.status == 303


def test_nothing_is_done_without_a_selection(site: Site) -> None:
    for action in ("act", "archive"):
        url = f"/dead-letters/{action}?task=charge"
        answer = site.post(url, {"do": "handled", "scope": "rows"})

        assert answer.headers["location"] == "/dead-letters?task=charge"
        assert "select%20rows%20first" in answer.headers["set-cookie"]
    assert site.post("/dead-letters/act?state=odd", {"do": "handled", "scope": "all"}).status == 409
    assert site.counts() == {"new": 500}


def test_a_read_only_page_has_no_actions(site: Site) -> None:
    text = site.get("/dead-letters", read_only=True).text + site.get(LETTER, read_only=True).text

    assert '<button name="do"' not in text
    assert 'type="checkbox"' not in text
    assert site.get(f"{LETTER}/edit", read_only=True).status == 403
    form = {"do": "handled", "scope": "all"}
    assert site.post("/dead-letters/act", form, read_only=True).status == 403


def test_a_purge_asks_first_and_says_of_how_many(site: Site) -> None:
    asked = site.post("/dead-letters/act?task=ship", {"do": "purge", "scope": "all"})
    page = site.get(asked.headers["location"])
    count = site.bench.count(Filter(task="ship"))

    assert asked.headers["location"] == "/dead-letters/purge?task=ship&scope=all"
    assert f"Purge {count} dead letters" in page.text
    assert submitted(page.text)["count"] == str(count)


def test_a_purge_of_other_letters_than_were_shown_is_refused(site: Site) -> None:
    url = "/dead-letters/purge?task=ship&scope=all"
    form = submitted(site.get(url).text)
    site.bench.handled(Filter(task="ship", attributes=["tenant=college-3"]))

    answer = site.post(url, form)

    assert answer.status == 409
    assert "Nothing was purged" in answer.text


def test_a_letter_in_the_list_has_the_reason_of_its_own(tmp_path: Path) -> None:
    """Letters with one cause differ in what the history of a local cloud knows."""
    letter = {"message_id": "9", "original_id": "5", "error": "KeyError at shop.charge"}
    site = site_with(tmp_path, reason="crashed", **letter)
    events = [
        published("5"), *attempt("5", 1, time=2.0, failure="KeyError: 'umbrella'"),
        DeadLettered(3.0, "store", "5", "dead", "9"),
    ]  # fmt: skip
    write_history(tmp_path / "history.sqlite3", events)
    history = History(tmp_path / "history.sqlite3")

    there = site.get("/dead-letters", history=history).text
    hidden = site.get("/dead-letters", history=history, hides_payloads=True).text

    history.close()
    assert there.count("KeyError: &#39;umbrella&#39;</td>") == 1
    assert "umbrella" not in hidden
    assert ">crashed</td>" in hidden


def test_a_letter_says_why_it_died_and_what_was_done(site: Site) -> None:
    site.bench.handled(["charge-dead/0"], "known since May")

    text = site.get(LETTER).text

    for part in ("KeyError at shop.orders.price", "1:aaaa0001", "10000", "Müller 0", "college-0"):
        assert part in text
    assert "known since May" in text
    assert site.get("/dead-letters/nothing").status == 404


def test_a_letter_is_found_by_the_id_of_its_message(site: Site) -> None:
    assert site.get("/dead-letters/10000").status == 200


def test_a_payload_is_shown_elsewhere_when_a_person_asks_and_the_journal_says_so(
    site: Site,
) -> None:
    hidden = site.get(LETTER, hides_payloads=True).text
    shown = site.post(f"{LETTER}/reveal", hides_payloads=True, read_only=True).text

    assert "Müller" not in hidden
    assert "college-0" not in hidden
    assert "Müller 0" in shown
    assert [(e.by, e.what) for e in site.bench.journal(letter="charge-dead/0")] == [
        ("ann", "revealed")
    ]


@pytest.mark.parametrize("asked", ["text=Müller+7", "attribute=tenant%3Dcollege-3"])
def test_no_filter_finds_out_a_hidden_value(site: Site, asked: str) -> None:
    """That letters match would tell what is in them, and so would an action on all that match."""
    page = site.get(f"/dead-letters?{asked}", hides_payloads=True)
    refused = site.post(
        f"/dead-letters/act?{asked}", {"scope": "all", "do": "handled"}, hides_payloads=True
    )

    assert "of 500 dead letters" in page.text
    assert "are hidden here, so no filter looks for them" in page.text
    assert 'name="text"' not in page.text
    assert refused.status == 409
    assert site.counts() == {"new": 500}
    assert "of 500 dead letters" not in site.get(f"/dead-letters?{asked}").text


@pytest.mark.parametrize("action", ["check", "mode form", "mode text", "add nothing", "save"])
@pytest.mark.parametrize("attributes", [{}, {"a#": "0"}], ids=["asked for", "made up"])
def test_no_button_but_one_shows_a_hidden_payload(
    site: Site, action: str, attributes: dict[str, str]
) -> None:
    """The key Enter presses the first button, which checks."""
    page = site.get(f"{LETTER}/edit", hides_payloads=True)

    form = {**submitted(page.text), **attributes, "do": action}
    answer = site.post(f"{LETTER}/edit", form, hides_payloads=True)

    assert "Müller" not in answer.text
    assert "college-0" not in answer.text
    if not attributes:
        assert site.bench.journal(letter="charge-dead/0") == []


def test_a_hidden_payload_is_saved_by_a_form_alone_and_the_journal_says_so(site: Site) -> None:
    """A link of another site leads a browser to a page, and not to a form."""
    by_link = site.get(f"{LETTER}/data", hides_payloads=True)
    by_form = site.post(f"{LETTER}/save", hides_payloads=True, read_only=True)

    assert by_link.status == 404
    assert "Müller 0" in json.loads(by_form.body)["customer"]
    assert [entry.what for entry in site.bench.journal(letter="charge-dead/0")] == ["revealed"]


class Checks:
    """Answers as the task's code would; other tests start that."""

    def check(self, task: str, data: bytes, attributes: dict[str, str]) -> list[FieldError]:
        is_wrong = "Müller" in json.loads(data)["customer"]
        return [FieldError(("customer",), "no such customer")] if is_wrong else []


def test_a_letter_is_edited_in_the_form_with_its_errors_at_the_field(site: Site) -> None:
    page = site.get(f"{LETTER}/edit", parser=Checks())
    form = submitted(page.text)
    refused = site.post(f"{LETTER}/edit", {**form, "do": "save"}, parser=Checks())
    edited = {**form, "f/customer": "Meyer", "do": "save"}
    saved = site.post(f"{LETTER}/edit", edited, parser=Checks())
    text = site.get(LETTER).text

    assert 'id="f/customer-problem">no such customer<' in page.text
    assert refused.status == 422
    assert "Save all the same" in refused.text
    assert saved.headers["location"] == LETTER
    assert json.loads(site.bench.content("charge-dead/0").data)["customer"] == "Meyer"
    assert "<del>-  &#34;customer&#34;: &#34;Müller 0&#34;,</del>" in text
    assert "<ins>+  &#34;customer&#34;: &#34;Meyer&#34;,</ins>" in text


def test_an_edit_is_saved_all_the_same_and_forgotten(site: Site) -> None:
    form = submitted(site.get(f"{LETTER}/edit", parser=Checks()).text)

    changed = {**form, "f/order": "99", "a/0": "north", "do": "save anyway"}
    site.post(f"{LETTER}/edit", changed, parser=Checks())
    content = site.bench.content("charge-dead/0")
    site.post(f"{LETTER}/unedit")

    assert json.loads(content.data)["order"] == 99
    assert content.attributes == {"tenant": "north"}
    assert not site.bench.letter("charge-dead/0").edited


def test_saving_without_a_change_keeps_each_byte(site: Site) -> None:
    form = submitted(site.get(f"{LETTER}/edit").text)

    site.post(f"{LETTER}/edit", {**form, "do": "save"})

    assert not site.bench.letter("charge-dead/0").edited


def test_attributes_are_added_and_removed_by_buttons(site: Site) -> None:
    form = submitted(site.get(f"{LETTER}/edit").text)

    added = site.post(f"{LETTER}/edit", {**form, "do": "add a"})
    removed = site.post(f"{LETTER}/edit", {**submitted(added.text), "do": "remove a/0"})

    assert submitted(added.text)["a#"] == "2"
    assert submitted(added.text)["a/0"] == "college-0"
    assert submitted(removed.text)["a#"] == "1"


@pytest.mark.parametrize("data", [b"\x00\xff", b"x" * 300_000], ids=["binary", "large"])
def test_data_that_cannot_be_edited_keeps_its_bytes(tmp_path: Path, data: bytes) -> None:
    site = site_with(tmp_path, data=data)

    form = submitted(site.get("/dead-letters/k%2F1/edit").text)
    done = site.post("/dead-letters/k%2F1/edit", {**form, "do": "save"})

    assert done.status == 303
    assert site.bench.content("k/1").data == data
    site.bench.close()


SCRIPT = "</textarea></script><script>alert(1)</script>"


def test_markup_in_a_letter_is_text(tmp_path: Path) -> None:
    site = site_with(
        tmp_path, data=json.dumps({"order": SCRIPT}).encode(), reason=SCRIPT, error=SCRIPT,
        task=SCRIPT, key=SCRIPT, attributes={SCRIPT: SCRIPT},
    )  # fmt: skip

    for url in ("/dead-letters", "/dead-letters/k%2F1", "/dead-letters/k%2F1/edit"):
        page = site.get(url)
        assert page.status == 200
        assert "<script>alert" not in page.text
    site.bench.close()


def site_with(folder: Path, **fields: Any) -> Site:
    """Return the pages of a book with one letter, k/1."""
    book = filled_book(folder / "other.sqlite3", 0)
    usual = {"kind": "message", "task": "charge", "fingerprint": "1:x", "time": 1.0, "sent": 1.0}
    book.put([Letter(**{**usual, "id": "k/1", "keeper": "k", "message_id": "1", **fields})])
    bench = Workbench(book, by="ada")
    return Site(Backends(workbench=bench), bench)
