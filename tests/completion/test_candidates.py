"""The candidates for a word: commands, options, their values, and names of tasks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ucam_faas.completion import candidates, commands
from ucam_faas.completion.scripts import words_of
from ucam_faas.local_state import FOLDER, TASKS

ROOT = commands.read()


def words(folder: Path, *line: str) -> list[str]:
    return [word for word, _ in candidates.complete(ROOT, line, folder).words]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (["pub"], ["publish"]),
        (["jobs", "re"], ["resume", "retry"]),
        (["--port", "1", "serve", "--he"], ["--help"]),
        (["jobs", "--json", "sh"], ["show"]),
        (["publish", "we"], ["weigh", "welcome"]),
        (["publish", "--project", "shop", "w"], ["weigh", "welcome"]),
        (["publish", "--project=shop", "w"], ["weigh", "welcome"]),
        (["publish", "--wait", "w"], ["weigh", "welcome"]),
        (["publish", "welcome", ""], []),
        (["publish", "--proj"], ["--project"]),
        (["publish", "--project", "x", "--proj"], []),
        (["publish", "--attribute", "a=b", "--attr"], ["--attribute"]),
        (["publish", "--", "w"], ["weigh", "welcome"]),
        (["publish", "--project", ""], []),
        (["send", "weigh", "--lane", ""], ["default", "slow"]),
        (["lanes", "pause", "welcome", ""], ["default"]),
        (["jobs", "list", "--state", "S"], ["STARTED", "SUCCESS"]),
        (["jobs", "list", "--state=F"], ["--state=FAILURE"]),
        (["jobs", "list", "--state", "s"], ["started", "success"]),
        (["jobs", "list", "--task=t"], ["--task=tidy"]),
        (["serve", "--target", "welcome,"], ["welcome,tidy", "welcome,weigh", "welcome,www"]),
        (["send", "w"], ["weigh", "welcome"]),
        (["run", "w"], ["weigh", "welcome"]),
        (["config", "w"], ["weigh", "welcome", "www"]),
        (["new", "ta"], ["task"]),
        (["new", "task", "ta"], []),
        (["new", "--kind", "http", ""], ["task"]),
        (["schedules", "run", ""], ["tidy-2"]),
        (["nothing", ""], []),
        (["jobs", "nothing", ""], []),
    ],
    ids=" ".join,
)
def test_the_candidates_for_the_last_word(
    folder: Path, line: list[str], expected: list[str]
) -> None:
    assert words(folder, *line) == expected


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (["check", "--plan", ""], "files"),
        (["emulator", "--state", ""], "folders"),
        (["serve", ""], "files"),
        (["dev", "a.py", ""], "files"),
        (["dev", "--source=a"], "files"),
        (["publish", "welcome", "{}", ""], "files"),
    ],
    ids=" ".join,
)
def test_files_are_found_by_the_shell(folder: Path, line: list[str], kind: str) -> None:
    assert candidates.complete(ROOT, line, folder) == candidates.Candidates(kind=kind)


def test_candidates_have_descriptions(folder: Path) -> None:
    (task,) = candidates.complete(ROOT, ["publish", "wel"], folder).words
    (option,) = candidates.complete(ROOT, ["publish", "--proj"], folder).words

    assert task == ("welcome", "Do welcome.")
    assert option[1].startswith("Project")


def test_tasks_are_those_of_the_nearest_folder_above(folder: Path) -> None:
    (folder / "a/b").mkdir(parents=True)

    assert words(folder / "a/b", "publish", "wel") == ["welcome"]


def test_the_search_ends_at_the_root_of_a_repository(folder: Path) -> None:
    (folder / "other/.git").mkdir(parents=True)

    assert words(folder / "other", "publish", "") == []


@pytest.mark.parametrize(
    "name", ["$(touch x)", "a b", "-x", "`x`", "a;b", "a\n", "", None, 7, "a'b", "~x"]
)
def test_a_name_that_a_shell_would_understand_is_left_out(tmp_path: Path, name: object) -> None:
    """A file may come with a clone, and Enter is quickly pressed."""
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / TASKS).write_text(json.dumps([{"needs": {"name": name}}]))

    assert words(tmp_path, "publish", "") == []


@pytest.mark.parametrize("text", ["", "{", "7", "[7]", '[{"needs": 7}]', '{"needs": {}}', "\xff"])
def test_a_broken_list_of_tasks_has_no_names(tmp_path: Path, text: str) -> None:
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / TASKS).write_bytes(text.encode("latin-1"))

    assert words(tmp_path, "publish", "") == []
    assert words(tmp_path, "send", "--lane", "") == []


def test_a_description_steers_no_terminal(tmp_path: Path) -> None:
    (tmp_path / FOLDER).mkdir()
    needs = {"name": "welcome", "summary": "a\n\tb \033[31mred" + "x" * 100}
    (tmp_path / FOLDER / TASKS).write_text(json.dumps([{"needs": needs}]))

    ((_, help),) = candidates.complete(ROOT, ["publish", ""], tmp_path).words

    assert help.startswith("a b [31mredxxx")
    assert len(help) == 80


def test_bash_splits_words_at_the_equals_sign() -> None:
    line = ["jobs", "list", "--task", "=", "wel"]

    assert words_of("bash", line) == ["jobs", "list", "--task=wel"]
    assert words_of("bash", ["send", "x", "a", "=", "b"]) == ["send", "x", "a", "=", "b"]
    assert words_of("bash", ["jobs", "--task", "="]) == ["jobs", "--task="]
    assert words_of("fish", line) == line


@pytest.mark.slow
def test_no_command_and_no_task_is_imported(folder: Path) -> None:
    """Each press of the key would wait for it."""
    (folder / "main.py").write_text("raise SystemExit('imported')")
    code = (
        "import sys; from ucam_faas.cli import main\n"
        "main(['completion', 'fish', '--', 'publish', ''], standalone_mode=False)\n"
        "print(*sys.modules, file=sys.stderr)"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True
    )

    assert done.stdout.splitlines()[1:] == [
        "tidy\tDo tidy.",
        "weigh\tDo weigh.",
        "welcome\tDo welcome.",
    ]
    imported = set(done.stderr.split())
    heavy = {"pydantic", "asyncio", "http.client", "sqlite3", "ssl", "main", "ucam_faas.tasks"}
    assert not imported & (heavy | {"ucam_faas.cli.publish"})
