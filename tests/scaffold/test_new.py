"""`ucam-faas new`: files that a newcomer can run, and none over those that are there."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ucam_faas.cli import main
from ucam_faas.exceptions import ConfigurationError
from ucam_faas.scaffold import names, origin

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def new(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["new", *arguments])


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_collection_has_all_that_it_needs(here: Path) -> None:
    result = new("demo")

    assert result.exit_code == 0, result.output
    assert files_in(here / "demo") == {
        "README.md",
        "Makefile",
        "pyproject.toml",
        "Dockerfile",
        ".dockerignore",
        ".gitignore",
        "deploy/main.tf",
        "tasks/take_order/__init__.py",
        "tasks/take_order/main.py",
        "tasks/take_order/test_take_order.py",
    }


def test_no_placeholder_is_left(here: Path) -> None:
    new("demo")

    texts = [path.read_text() for path in (here / "demo").rglob("*") if path.is_file()]
    assert not any("@task@" in text or "@project@" in text for text in texts)


def test_a_folder_with_files_is_refused_and_unchanged(here: Path) -> None:
    (here / "demo").mkdir()
    (here / "demo/notes.txt").write_text("mine")

    result = new("demo")

    assert result.exit_code == 2
    assert "demo isn't empty: it has notes.txt" in result.stderr
    assert files_in(here) == {"demo/notes.txt"}


def test_a_clone_of_an_empty_repository_is_filled(here: Path) -> None:
    (here / "Our_Tasks/.git").mkdir(parents=True)

    result = new("Our_Tasks")

    assert result.exit_code == 0, result.output
    assert 'name = "our-tasks"' in (here / "Our_Tasks/pyproject.toml").read_text()


@pytest.mark.parametrize("name", ["9lives", "...", "ü"])
def test_a_name_that_no_cloud_would_take_is_refused(here: Path, name: str) -> None:
    result = new(name)

    assert result.exit_code == 2
    assert "can't be named" in result.stderr
    assert files_in(here) == set()


@pytest.mark.parametrize("name", ["class", "send-mail", "Send", "json", "ucam_faas", "up"])
def test_a_task_name_that_python_could_not_import_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="can't be named"):
        names.check_task_name(name)


@pytest.mark.parametrize(
    ("text", "dependency", "module"),
    [
        (
            "2.1.0",
            "ucam-faas>=2.1.0,<3",
            f"git::{origin.REPOSITORY}//terraform/modules/collection?ref=2.1.0",
        ),
        (
            "git+ssh://git@git.example.org/team/faas.git@0123abc",
            "ucam-faas @ git+ssh://git@git.example.org/team/faas.git@0123abc",
            "git::ssh://git@git.example.org/team/faas.git//terraform/modules/collection?ref=0123abc",
        ),
        (str(ROOT), f"ucam-faas @ {ROOT.as_uri()}", f"{ROOT}/terraform/modules/collection"),
    ],
)
def test_the_package_and_the_module_are_of_one_version(
    here: Path, text: str, dependency: str, module: str
) -> None:
    new("demo", "--ucam-faas", text)

    assert f'"{dependency}"' in (here / "demo/pyproject.toml").read_text()
    assert f'source = "{module}"' in (here / "demo/deploy/main.tf").read_text()


@pytest.mark.parametrize("text", ["latest", "git+https://git.example.org/faas.git", "/nowhere"])
def test_an_origin_that_cannot_be_used_is_refused(here: Path, text: str) -> None:
    result = new("demo", "--ucam-faas", text)

    assert result.exit_code == 2
    assert "--ucam-faas" in result.stderr
    assert not (here / "demo").exists()
