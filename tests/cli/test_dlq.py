"""`ucam-faas dlq` with a book of 500 letters and no Pub/Sub: lists, filters, edits, states."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from ucam_faas.cli import _letter_edits, _workbench, main
from ucam_faas.dead_letters.letters import LetterState
from ucam_faas.dead_letters.workbench import Workbench

LETTER = "charge-dead/480"
EVE = '"customer": "Eve"'

Run = Callable[..., Result]


@pytest.fixture
def shows() -> bool:
    """Return True if the letters are those of a local cloud."""
    return True


@pytest.fixture
def run(workbench: Workbench, shows: bool, monkeypatch: pytest.MonkeyPatch) -> Run:
    bench = _workbench.Bench(
        workbench, "Pub/Sub", shows=shows, mirrors=False, dashboard="http://127.0.0.1:8088"
    )
    monkeypatch.setattr(_workbench.Open, "__call__", lambda self, **_: bench)
    return lambda *arguments, **options: CliRunner().invoke(main, ["dlq", *arguments], **options)


def document(result: Result) -> Any:
    """Return the JSON that a verb printed."""
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def error_of(result: Result) -> str:
    """Return the one line of an error."""
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    assert result.stdout == ""
    return result.stderr.splitlines()[-1]


# --- list, show, journal


def test_causes_are_listed_with_the_number_of_their_letters(run: Run) -> None:
    result = run()
    assert json.loads(run("--json").stdout)[0]["fingerprint"] == "1:aaaa0001"

    heading, first, *others = result.stdout.splitlines()
    assert heading.split() == ["CAUSE", "TASK", "LETTERS", "LAST", "WHY"]
    assert first.split()[:3] == ["1:aaaa0001", "charge", "243"]
    assert first.endswith("KeyError at shop.orders.price")
    assert len(others) == 6
    assert "500 letters with 7 causes." in result.stderr


def test_a_letter_that_pubsub_forwarded_has_no_reason_and_says_so(run: Run) -> None:
    assert "forwarded by Pub/Sub: it gives no reason" in run("list", "--task", "notify").stdout


def test_the_letters_of_a_cause_are_listed_the_latest_first(run: Run) -> None:
    result = run("list", "--fingerprint", "1:aaaa0004", "--limit", "2")

    assert [line.split()[0] for line in result.stdout.splitlines()[1:]] == [
        "ship-dead/493",
        "ship-dead/479",
    ]
    assert "These are the latest 2 of 43 letters" in result.stderr
    listed = run("list", "--fingerprint", "1:aaaa0004")
    assert "To show a letter with its reason: ucam-faas dlq show LETTER" in listed.stderr


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        (["--task", "ship"], 86),
        (["--fingerprint", "1:aaaa0004"], 43),
        (["--attribute", "tenant=college-3"], 17),
        (["--attribute", "tenant", "--attribute", "ucam_faas_task=ship"], 86),
        (["--text", "Müller 17"], 11),
        (["--newer", "1h"], 0),
        (["--older", "1h"], 500),
        (["--older", "3000000d"], 0),
        (["--state", "handled"], 0),
        (["--state", "any"], 500),
        (["--kind", "job"], 0),
        (["--key", "a"], 0),
    ],
    ids=str,
)
def test_filters_choose_letters(run: Run, arguments: list[str], count: int) -> None:
    rows = document(run("list", "--each", "--limit", "1000", "--json", *arguments))

    assert len(rows) == count


def test_lists_in_json_have_no_payloads(run: Run) -> None:
    (group, *_) = document(run("list", "--json"))
    (letter, *_) = document(run("list", "--each", "--json"))

    assert (group["fingerprint"], group["letters"]) == ("1:aaaa0001", 243)
    assert letter["id"] == "charge-dead/499"
    assert letter["bytes"] == 45
    assert not {"payload", "attributes", "outline"} & letter.keys()


@pytest.mark.parametrize("id", [LETTER, "480", "10480"])
def test_a_letter_is_shown_by_its_id_and_its_messages(run: Run, id: str) -> None:
    result = run("show", id)
    text = result.stdout

    assert "Its runs and log lines: http://127.0.0.1:8088/messages/10480\n" in result.stderr
    assert text.startswith(f"{LETTER}, dead letter of charge: new\n")
    assert "reason      crashed (attempt 5, the last)\n" in text
    assert "cause       1:aaaa0001\n" in text
    assert "attributes  tenant=college-15\n" in text
    assert '"customer": "Müller 480"' in text
    assert "ucam_faas_" not in text


def test_a_letter_without_attributes_is_shown(run: Run, workbench: Workbench) -> None:
    letter = workbench.letter(LETTER)
    workbench.book.put([replace(letter, id="x/1", attributes={}, data=b"", size=0)])

    text = run("show", "x/1").stdout

    assert "attributes" not in text
    assert "payload" not in text


@pytest.mark.parametrize("shows", [False])
def test_elsewhere_a_letter_is_shown_without_values(run: Run, workbench: Workbench) -> None:
    text = run("show", LETTER).stdout
    outline = document(run("show", LETTER, "--json"))

    assert "Müller" not in text
    assert "customer: string of 10" in text
    assert outline["outline"] == ["order: number", "customer: string of 10"]
    assert "payload" not in outline
    assert outline["attributes"] == {"tenant": "string of 10"}
    assert workbench.journal() == []


@pytest.mark.parametrize("shows", [False])
def test_values_are_revealed_on_request_and_the_journal_has_it(
    run: Run, workbench: Workbench
) -> None:
    assert "Müller 480" in run("show", LETTER, "--reveal").stdout
    (entry,) = workbench.journal(letter=LETTER)
    assert (entry.what, entry.by) == ("revealed", "ada@laptop")


def test_an_unknown_id_is_an_error_with_the_verb_that_lists(run: Run) -> None:
    assert "No dead letter has the id 'x'. `ucam-faas dlq list --each`" in error_of(
        run("show", "x")
    )


def test_the_journal_has_what_was_done_and_by_whom(run: Run) -> None:
    run("handled", LETTER, "--note", "told Ada")
    run("edit", LETTER, "--set", "customer=Eve")

    text = run("journal").stdout

    first, second = text.splitlines()
    assert first.endswith(f"handled {LETTER} by ada@laptop: told Ada")
    assert second.endswith(f"edited {LETTER} by ada@laptop")
    assert [entry["what"] for entry in document(run("journal", "--json"))] == ["handled", "edited"]
    assert "Nothing was done yet" in run("journal", "charge-dead/498").stdout


# --- edit


def test_a_value_in_a_payload_is_set_and_the_difference_is_shown(
    run: Run, workbench: Workbench
) -> None:
    result = run("edit", LETTER, "--set", "customer=Eve", "--set-attribute", "source=web")

    assert result.stdout.startswith(f"{LETTER} is edited.\n")
    assert '-  "customer": "Müller 480"' in result.stdout
    assert f"+  {EVE}" in result.stdout
    content = workbench.content(LETTER)
    assert json.loads(content.data) == {"order": 480, "customer": "Eve"}
    assert content.attributes == {"tenant": "college-15", "source": "web"}
    assert f"+  {EVE}" in run("show", LETTER).stdout
    assert "480" in workbench.letter(LETTER).data.decode(), "the letter stays as it died"


CODE = """
import pydantic
import ucam_faas

class Order(pydantic.BaseModel):
    order: int

@ucam_faas.message_handler(topic="orders", name={name!r})
def handle(order: Order): ...
"""


@pytest.mark.slow
@pytest.mark.parametrize("shows", [True, False])
def test_an_edit_that_the_task_rejects_is_kept_with_a_warning(
    run: Run,
    workbench: Workbench,
    shows: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "main.py").write_text(CODE.format(name=workbench.letter(LETTER).task))
    monkeypatch.chdir(tmp_path)

    warned = run("edit", LETTER, "--set", "order=many")
    as_json = run("edit", LETTER, "--set", "order=some", "--json")
    taken = run("edit", LETTER, "--set", "order=5")

    why = "Input should be a valid integer, unable to parse" if shows else "int_parsing"
    assert f"rejects {LETTER} as it is now: order: {why}" in warned.stderr
    (error,) = document(as_json)[0]["errors"]
    assert (error["path"], error["kind"], "message" in error) == (["order"], "int_parsing", shows)
    assert (warned.exit_code, taken.stderr) == (0, "")
    assert json.loads(workbench.content(LETTER).data)["order"] == 5


def test_edits_are_forgotten(run: Run, workbench: Workbench) -> None:
    run("edit", LETTER, "--data", "x")

    assert run("edit", LETTER, "--undo").stdout == f"{LETTER} is as it died.\n"
    assert workbench.content(LETTER) == workbench.letter(LETTER).content


@pytest.mark.parametrize(
    ("options", "data"),
    [
        (["--set", "order=481"], {"order": 481, "customer": "Müller 480"}),
        (["--set", "lines=[1, 2]", "--set", "lines.1=7"], None),
        (["--unset", "customer"], {"order": 480}),
        (["--set", 'customer={"name": "Eve"}'], {"order": 480, "customer": {"name": "Eve"}}),
        (["--data", '{"order": 1}', "--set", "order=2"], {"order": 2}),
    ],
)
def test_values_are_json_or_text(
    run: Run, workbench: Workbench, options: list[str], data: Any
) -> None:
    assert run("edit", LETTER, *options).exit_code == 0

    expected = {"order": 480, "customer": "Müller 480", "lines": [1, 7]} if data is None else data
    assert json.loads(workbench.content(LETTER).data) == expected


def test_a_file_is_the_payload(run: Run, workbench: Workbench, tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"\x00\xff")

    run("edit", LETTER, "--file", str(tmp_path / "data"), "--unset-attribute", "tenant")

    assert workbench.content(LETTER).data == b"\x00\xff"
    assert workbench.content(LETTER).attributes == {}
    assert document(run("show", LETTER, "--json"))["payload_base64"] == "AP8="


def test_a_payload_with_half_a_character_is_edited(run: Run, workbench: Workbench) -> None:
    """JSON may escape it; no file and no terminal can hold it."""
    run("edit", LETTER, "--data", r'{"note": "\ud800"}')

    result = run("edit", LETTER, "--set", "order=1")

    assert result.exit_code == 0, result.output
    assert workbench.content(LETTER).data == rb'{"note": "\ud800", "order": 1}'
    assert r'"note": "\ud800"' in run("show", LETTER).stdout


def test_a_payload_that_is_nested_too_deeply_is_edited_as_a_text(
    run: Run, workbench: Workbench, tmp_path: Path
) -> None:
    (tmp_path / "data").write_bytes(b"[" * 100_000)

    result = run("edit", LETTER, "--file", str(tmp_path / "data"))

    assert result.exit_code == 0, result.output
    assert workbench.content(LETTER).data == b"[" * 100_000
    assert "isn't JSON" in error_of(run("edit", LETTER, "--set", "order=1"))


def test_all_letters_of_a_filter_are_edited_or_none(run: Run, workbench: Workbench) -> None:
    workbench.edit("ship-dead/493", b"not JSON")
    error = error_of(run("edit", "--all", "--task", "ship", "--set", "order=1"))
    workbench.unedit("ship-dead/493")

    assert "The payload isn't JSON" in error
    assert not any(letter.edited for letter in workbench.letters(limit=500))
    results = document(run("edit", "--all", "--task", "ship", "--set", "order=1", "--json"))
    assert len(results) == 86
    assert all(result["edited"] for result in results)


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["edit", LETTER, "--set", "nope.x=1"], "The payload has no 'nope' of 'nope.x'"),
        (["edit", LETTER, "--set", "lines.0=1"], "nothing was changed"),
        (["edit", LETTER, "--set", "order"], "expected KEY=VALUE"),
        (["edit", LETTER, "--undo", "--data", "x"], "--undo forgets edits"),
        (["edit", LETTER, "--data", "x", "--file", "-"], "Give only one of"),
        (["edit", "--all"], "The editor takes one letter"),
        (["edit", LETTER], "There is no terminal for an editor"),
        (["handled"], "Name letters by their ids, or choose them with --all and filters."),
        (["handled", LETTER, "--all"], "Name letters by their ids"),
        (["handled", "--task", "ship"], "Name letters by their ids"),
        (["handled", LETTER, "--task", "ship"], "Name letters by their ids"),
        (["replay", "--plan", "x", LETTER], "--plan has its letters"),
        (["purge", LETTER], "This removes 1 letter for good: give --yes."),
        (["list", "--state", "lost"], "Invalid value for '--state'"),
    ],
    ids=str,
)
def test_a_command_that_cannot_work_is_refused(
    run: Run, workbench: Workbench, arguments: list[str], hint: str
) -> None:
    assert hint in error_of(run(*arguments))
    assert workbench.journal() == []


@pytest.fixture
def edited_as(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[str], str | None]], None]:
    """Let a function be the editor."""

    def use(function: Callable[[str], str | None]) -> None:
        monkeypatch.setattr(click, "edit", lambda text, extension: function(text))
        monkeypatch.setattr(_letter_edits, "_is_terminal", lambda: True)

    return use


def test_an_editor_shows_payload_and_attributes_as_json(
    run: Run, workbench: Workbench, edited_as: Any
) -> None:
    edited_as(lambda text: text.replace("Müller 480", "Eve").replace("college-15", "kings"))

    run("edit", LETTER)

    content = workbench.content(LETTER)
    assert json.loads(content.data) == {"order": 480, "customer": "Eve"}
    assert content.attributes == {"tenant": "kings"}


def test_the_editor_is_that_of_the_environment(
    run: Run, workbench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_letter_edits, "_is_terminal", lambda: True)
    monkeypatch.delenv("VISUAL", raising=False)

    monkeypatch.setenv("EDITOR", "sed -i 's/Müller 480/Eve/'")
    edited = run("edit", LETTER)
    monkeypatch.setenv("EDITOR", "false")
    failed = error_of(run("edit", LETTER))

    assert f"+  {EVE}" in edited.stdout
    assert json.loads(workbench.content(LETTER).data)["customer"] == "Eve"
    assert failed.endswith("Nothing was changed.")


def test_a_payload_that_was_not_changed_in_the_editor_keeps_its_bytes(
    run: Run, workbench: Workbench, edited_as: Any
) -> None:
    workbench.edit(LETTER, b'{"order":1.0}')
    edited_as(lambda text: text.replace("college-15", "kings"))

    run("edit", LETTER)

    assert workbench.content(LETTER).data == b'{"order":1.0}'
    assert workbench.content(LETTER).attributes == {"tenant": "kings"}


def test_a_text_that_is_no_json_may_be_edited_again(
    run: Run, workbench: Workbench, edited_as: Any
) -> None:
    texts = iter(['{"attributes": {}', '{"attributes": {}, "data": 7}'])
    edited_as(lambda text: next(texts))

    result = run("edit", LETTER, input="y\n")

    assert "This can't be used" in result.stderr
    assert workbench.content(LETTER).data == b"7"


@pytest.mark.parametrize("shows", [False])
def test_elsewhere_an_editor_needs_reveal(run: Run, edited_as: Any) -> None:
    edited_as(lambda text: None)

    assert "--reveal allows it" in error_of(run("edit", LETTER))
    assert run("edit", LETTER, "--reveal").exit_code == 0
    assert "Eve" not in run("edit", LETTER, "--set", "customer=Eve").stdout


# --- handled, reopen


def test_all_that_match_are_handled_and_reopened(run: Run, workbench: Workbench) -> None:
    result = run("handled", "--all", "--fingerprint", "1:aaaa0001", "--note", "known")

    assert result.stdout == "243 letters are handled.\n"
    assert workbench.count() == 257
    assert workbench.letter(LETTER).note == "known"
    assert "handled by ada@laptop" in run("show", LETTER).stdout
    assert run("reopen", LETTER).stdout == "1 letter is open again.\n"
    assert document(run("reopen", "--all", "--state", "any", "--json")) == {"letters": 242}
    assert workbench.letter(LETTER).state is LetterState.NEW


def test_nothing_that_matches_is_said(run: Run) -> None:
    assert (
        run("handled", "--all", "--text", "zzz").stdout == "There are no dead letters like that.\n"
    )
    listed = run("list", "--text", "zzz")
    assert "no dead letters like that in Pub/Sub" in listed.stdout
    assert "--state any lists also those that were dealt with." in listed.stderr
    assert "--state any" not in run("list", "--text", "zzz", "--state", "any").stderr


# --- try

CODE = """
import pydantic
import ucam_faas

class Order(pydantic.BaseModel):
    order: int
    pence: int = 100

@ucam_faas.message_handler
def charge(order: Order) -> None:
    if order.order % 2:
        raise KeyError(order.order)
"""
REJECTED = "invalid_payload: order: int_parsing"


@pytest.fixture
def code(tmp_path: Path) -> str:
    path = tmp_path / "fixed.py"
    path.write_text(CODE)
    return str(path)


@pytest.fixture
def rejected(workbench: Workbench) -> list[str]:
    """Put letters into the book whose payloads were rejected: one is right by now."""
    letter = workbench.letter(LETTER)
    data = [b'{"order": 7}', b'{"order": "seven"}']
    letters = [
        replace(
            letter, id=f"k/{number}", error=REJECTED, fingerprint="1:bb", data=text, sent=number
        )
        for number, text in enumerate(data)
    ]
    workbench.book.put(letters)
    return [letter.id for letter in letters]


@pytest.mark.slow
def test_a_try_tells_which_payloads_are_accepted_now(
    run: Run, code: str, rejected: list[str], workbench: Workbench
) -> None:
    result = run("try", *rejected, LETTER, "--against", code)

    assert result.exit_code == 1
    heading, *rows = result.stdout.partition("\n\n")[0].splitlines()
    assert heading.split() == [*("CAUSE", "TASK", "LETTERS", "FIXED", "FAILING", "UNTESTED", "NOW")]
    assert rows[0].split()[:5] == ["1:bb", "charge", "2", "1", "1"]
    assert rows[1].split() == ["1:aaaa0001", "charge", "1", "1"]
    assert "k/1  order: Input should be a valid integer" in result.stdout
    assert "+ pence: 100" in result.stdout
    assert "--run shows if the function succeeds" in result.stderr
    assert workbench.journal() == []


@pytest.mark.slow
def test_a_try_runs_the_functions_on_request(run: Run, code: str, rejected: list[str]) -> None:
    result = run("try", *rejected, LETTER, "charge-dead/498", "--against", code, "--run", "--json")

    ends = {each["id"]: each["end"] for each in json.loads(result.stdout)["letters"]}
    assert ends == {
        "k/0": "still failing",
        "k/1": "still failing",
        LETTER: "fixed",
        "charge-dead/498": "fixed",
    }
    assert result.exit_code == 1


@pytest.mark.slow
@pytest.mark.parametrize("shows", [False])
def test_elsewhere_a_try_quotes_no_payload(run: Run, code: str, rejected: list[str]) -> None:
    texts = [
        run("try", *rejected, "--against", code).output,
        run("try", rejected[0], "--against", code, "--run").output,
        run("try", *rejected, "--against", code, "--run", "--json").output,
    ]

    assert "order: int_parsing" in texts[0]
    assert "crashed" in texts[1]
    assert not any("seven" in text or "pence" in text or "KeyError: 7" in text for text in texts)


@pytest.mark.slow
def test_code_that_cannot_be_loaded_is_an_error(run: Run, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import nowhere_at_all")

    error = error_of(run("try", LETTER, "--against", str(tmp_path / "broken.py")))

    assert "nowhere_at_all" in error


def test_no_letter_steers_the_terminal(run: Run, workbench: Workbench) -> None:
    letter = workbench.letter(LETTER)
    evil = "\x1b[2J\r\n"
    workbench.book.put(
        [
            replace(
                letter,
                id=f"k/{evil}",
                task=evil,
                reason=evil,
                error=evil,
                attributes={evil: evil},
                data=evil.encode(),
                fingerprint="9:evil",
            )
        ]
    )
    workbench.handled([f"k/{evil}"], evil)

    texts = [
        run("list", "--state", "any").stdout,
        run("list", "--state", "any", "--each", "--fingerprint", "9:evil").stdout,
        run("show", f"k/{evil}").stdout,
        run("journal").stdout,
    ]

    assert all("\\x1b[2J" in text for text in texts)
    assert not any("\x1b" in text or "\r" in text for text in texts)
