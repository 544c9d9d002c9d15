"""`ucam-faas dlq plan`, `replay`, `purge` and the like, with a Pub/Sub and targets in memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.support.dead_letters import dead_message
from tests.support.replays import KEEPER, Scene, letter, refusing
from ucam_faas.cli import _workbench, dlq, main
from ucam_faas.dead_letters.targets import Unknown
from ucam_faas.dead_letters.workbench import Workbench

Run = Callable[..., Result]
EDITED = f"{KEEPER}/1"


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    yield scene
    scene.close()


@pytest.fixture
def bench(scene: Scene) -> Workbench:
    """A workbench with 40 letters, of which one died after a replay."""
    scene.publish(*(letter(number) for number in range(39)), letter(39, ucam_faas_replays="1"))
    return scene.bench()


@pytest.fixture
def run(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> Run:
    def open_bench(opening: _workbench.Open, *, all_letters: bool = True) -> _workbench.Bench:
        opened = _workbench.Bench(
            bench, "Pub/Sub", shows=not opening.google, mirrors=opening.mirrors
        )
        if all_letters:
            opened.mirror()
        return opened

    monkeypatch.setattr(_workbench.Open, "__call__", open_bench)
    return lambda *arguments, **options: CliRunner().invoke(main, ["dlq", *arguments], **options)


def plan_id(result: Result) -> str:
    """Return the id of the plan that a verb made."""
    return result.stdout.split()[1]


def test_a_plan_says_what_it_sends_and_leaves_out_and_sends_nothing(
    run: Run, scene: Scene, bench: Workbench
) -> None:
    bench.mirror()
    bench.edit(EDITED, b'{"order": 1, "customer": "Eve"}')

    result = run("plan", "--all")

    lines = result.stdout.splitlines()
    assert lines[0] == f"Plan {plan_id(result)} sends 39 letters:"
    assert lines[1:3] == [
        "  charge: 26 messages go to charge",
        "  notify: 6 messages go to notify",
    ]
    assert "1 letter is edited." in lines
    assert "It leaves out 1 letter:" in lines
    assert any("it was replayed once before, and died again" in line for line in lines)
    assert '  +  "customer": "Eve",' in lines
    assert f"To send: ucam-faas dlq replay --plan {plan_id(result)}" in result.stderr
    assert scene.targets.arrived == []


def test_a_plan_as_json_has_all_rows_and_exclusions(run: Run) -> None:
    document = json.loads(run("plan", "--all", "--json").stdout)

    assert (document["letters"], document["left_out"]) == (39, 1)
    assert [row["letter"] for row in document["rows"]] == [f"{KEEPER}/{n}" for n in range(39)]
    assert [row["letter"] for row in document["excluded"]] == [f"{KEEPER}/39"]


def test_on_googles_pubsub_a_plan_shows_no_values(run: Run, bench: Workbench) -> None:
    bench.mirror()
    bench.edit(EDITED, b'{"customer": "Eve"}')

    assert "Eve" not in run("plan", "--all", "--google").stdout
    assert "Eve" in run("plan", "--all", "--google", "--reveal").stdout
    assert bench.journal(letter=EDITED)[0].what == "revealed"


def test_a_plan_is_sent_as_it_is(run: Run, scene: Scene) -> None:
    planned = run("plan", f"{KEEPER}/3", f"{KEEPER}/2")
    scene.publish(letter(50))

    result = run("replay", "--plan", plan_id(planned))

    assert result.stdout == "Sent 2 letters again; all are acknowledged.\n"
    assert scene.targets.letters == [f"{KEEPER}/2", f"{KEEPER}/3"], "the oldest first"
    again = run("replay", "--plan", plan_id(planned))
    assert (again.exit_code, again.stdout) == (
        0,
        "All 2 letters of this plan were sent before; nothing was sent now.\n",
    )
    assert len(scene.targets.letters) == 2


def test_a_plan_whose_letters_another_one_has_sent_leaves_them_out_for_good(run: Run) -> None:
    planned = plan_id(run("plan", f"{KEEPER}/2"))
    run("replay", f"{KEEPER}/2")

    first, second = (run("replay", "--plan", planned) for _ in range(2))

    assert (first.exit_code, second.exit_code) == (1, 1)
    assert first.stdout.startswith("Nothing was sent.\nLeft out:\n")
    assert second.stdout.startswith("Nothing is sent.\nLeft out:\n")
    for result in (first, second):
        assert "1: it was replayed after the plan was made" in result.stdout
        assert "To go on" not in result.output


@pytest.mark.parametrize("verb", ["plan", "replay"])
def test_nothing_to_send_keeps_no_plan_and_says_how_to_send_once_more(run: Run, verb: str) -> None:
    run("replay", f"{KEEPER}/2")
    kept = json.loads(run("plans", "--json").stdout)

    result = run(verb, f"{KEEPER}/2")

    assert "Nothing is sent.\nLeft out:\n  1: it was replayed already" in result.stdout
    assert "`ucam-faas publish`" in result.stdout
    assert "To send" not in result.stderr
    assert json.loads(run("plans", "--json").stdout) == kept
    assert len(kept) == 1


def test_all_that_match_are_sent_and_those_left_out_end_with_1(run: Run, scene: Scene) -> None:
    result = run("replay", "--all", "--rate", "1000")

    assert result.exit_code == 1
    assert "Sent 39 letters again; all are acknowledged.\n" in result.stdout
    assert "it was replayed once before, and died again" in result.stdout
    again = run("replay", "--all", "--again", "--json")
    assert json.loads(again.stdout) == {
        **{"plan": scene.bench().plans()[0].id, "letters": 1, "sent": 1, "acknowledged": 1},
        **{
            "failed": 0,
            "uncertain": 0,
            "left": 0,
            "cancelled": False,
            "problem": "",
            "left_out": 0,
        },
    }
    assert len(scene.targets.letters) == 40


def test_letters_that_are_refused_are_named_with_the_way_to_go_on(run: Run, scene: Scene) -> None:
    scene.targets.refuses = refusing(f"{KEEPER}/2", f"{KEEPER}/3")

    result = run("replay", *(f"{KEEPER}/{number}" for number in range(5)))

    assert result.exit_code == 1
    assert f"{KEEPER}/2: HTTP status 500" in result.stderr
    assert "3 of 5 letters sent and acknowledged, 2 failed; 2 left." in result.stdout
    command = f"ucam-faas dlq replay --plan {plan_id(result)}"
    assert f"To go on: {command}" in result.stdout
    scene.targets.refuses = lambda replay: None
    assert run(*command.split()[2:]).exit_code == 0


def test_a_letter_that_may_have_been_sent_and_is_gone_is_named(run: Run, scene: Scene) -> None:
    scene.targets.refuses = lambda replay: Unknown("Pub/Sub does not answer")
    plan = plan_id(run("replay", f"{KEEPER}/1"))
    scene.targets.refuses = lambda replay: None
    scene.pubsub.kept[KEEPER] = [
        kept for kept in scene.pubsub.kept[KEEPER] if kept.message.message_id != "1"
    ]

    result = run("replay", "--plan", plan)

    assert result.exit_code == 1
    assert f"{KEEPER}/1: it may have been sent; it isn't on {KEEPER} now" in result.stderr
    assert "0 of 1 letter sent and acknowledged, 1 may have been sent: its dead" in result.stdout
    assert "To go on" not in result.stdout
    assert "1 may have been sent" in run("plans").stdout


def test_plans_are_listed_with_how_far_they_are(run: Run) -> None:
    assert "There are no plans" in run("plans").stdout
    run("replay", f"{KEEPER}/1")
    run("plan", f"{KEEPER}/2", f"{KEEPER}/39")

    _, second, first = run("plans").stdout.splitlines()

    assert second.split()[4:] == ["1", "0", "1"]
    assert first.split()[4:] == ["1", "1"]
    rows: list[Any] = json.loads(run("plans", "--json").stdout)
    assert [row["counts"] for row in rows] == [{"PLANNED": 1}, {"ACKED": 1}]


@pytest.mark.parametrize("filters", [["--task", "unused"], ["--older", "3000000d"]], ids=str)
def test_nothing_to_send_is_said(run: Run, filters: list[str]) -> None:
    result = run("replay", "--all", *filters)

    assert (result.exit_code, result.stdout) == (
        0,
        "There are no dead letters like that: nothing to send.\n",
    )


def test_the_receiver_may_be_chosen(run: Run, scene: Scene) -> None:
    run("replay", f"{KEEPER}/1", "--to", "push")

    assert [str(arrived.target.to) for arrived in scene.targets.arrived] == ["push"]
    assert dead_message(1).data == scene.targets.arrived[0].data


# --- purge, archive


def test_a_purge_asks_first(run: Run, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dlq, "_is_terminal", lambda: True)

    refused = run("purge", f"{KEEPER}/1", f"{KEEPER}/2", input="n\n")

    assert "Remove 2 letters from Pub/Sub for good?" in refused.stderr
    assert refused.exit_code == 1
    assert len(scene.pubsub.ids(KEEPER)) == 40
    purged = run("purge", f"{KEEPER}/1", f"{KEEPER}/2", input="y\n")
    assert purged.stdout.endswith("2 letters are removed from Pub/Sub.\n")
    assert len(scene.pubsub.ids(KEEPER)) == 38


def test_all_that_match_are_purged_without_a_question(run: Run, scene: Scene) -> None:
    run("handled", "--all", "--task", "charge")

    assert json.loads(run("purge", "--all", "--state", "handled", "--yes", "--json").stdout) == {
        "letters": 26
    }
    assert len(scene.pubsub.ids(KEEPER)) == 14
    assert "no dead letters like that" in run("purge", "--all", "--task", "charge", "--yes").stdout
    assert "purged" in run("show", f"{KEEPER}/0").stdout


def test_an_archive_has_a_line_for_each_letter(run: Run, scene: Scene, tmp_path: Path) -> None:
    path = tmp_path / "letters.jsonl"

    result = run("archive", str(path), "--all", "--task", "charge")

    assert result.stdout == f"26 letters are in {path}.\n"
    assert len(path.read_text().splitlines()) == 26
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(scene.pubsub.ids(KEEPER)) == 40
    again = run("archive", str(path), "--all")
    assert (again.exit_code, again.stdout) == (2, "")
    assert "exists: name a new file" in again.stderr


def test_an_archive_of_nothing_leaves_no_file(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "letters.jsonl"

    assert "no dead letters like that" in run("archive", str(path), "--task", "x", "--all").stdout
    assert not path.exists()
