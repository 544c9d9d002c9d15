"""`ucam-faas new`: files that a newcomer can run, and none over those that are there."""

from __future__ import annotations

import json
import re
import subprocess
from email.message import Message
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result

from tests.integration.processes import UCAM_FAAS
from ucam_faas.cli import main
from ucam_faas.exceptions import ConfigurationError
from ucam_faas.scaffold import files, names, origin, writing
from ucam_faas.scaffold.kinds import KINDS

ROOT = Path(__file__).parent.parent.parent
VERSION = version("ucam-faas")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".git").mkdir()  # configurations above it aren't looked for
    return tmp_path


@pytest.fixture
def demo(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new collection, as the working directory."""
    assert new("demo").exit_code == 0
    monkeypatch.chdir(here / "demo")
    return here / "demo"


def new(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["new", *arguments])


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_collection_has_all_that_it_needs(here: Path) -> None:
    result = new("demo")

    assert result.exit_code == 0, result.output
    assert "Run it: cd demo && make run" in result.stdout
    assert files_in(here / "demo") == {
        "README.md",
        "Makefile",
        "pyproject.toml",
        "Dockerfile",
        ".dockerignore",
        ".gitignore",
        ".github/workflows/ci.yml",
        "deploy/main.tf",
        "tasks/take_order/__init__.py",
        "tasks/take_order/main.py",
        "tasks/take_order/test_take_order.py",
    }


@pytest.mark.parametrize(
    ("ci", "file"), [("github", ".github/workflows/ci.yml"), ("gitlab", ".gitlab-ci.yml")]
)
def test_the_tests_run_in_the_ci_system_that_is_chosen(here: Path, ci: str, file: str) -> None:
    new("demo", "--ci", ci)
    new("without", "--ci", "none")

    assert files_in(here / "demo") - files_in(here / "without") == {file}


@pytest.mark.parametrize("kind", KINDS)
def test_no_placeholder_is_left(here: Path, kind: str) -> None:
    new("demo", "--kind", kind)

    texts = [path.read_text() for path in (here / "demo").rglob("*") if path.is_file()]
    assert [text for text in texts if re.search(r"(?m)@[a-z]+@", text)] == []


def test_a_folder_with_files_is_refused_and_unchanged(here: Path) -> None:
    (here / "demo").mkdir()
    (here / "demo/notes.txt").write_text("mine")

    result = new("demo")

    assert result.exit_code == 2
    assert "demo isn't empty: it has notes.txt" in result.stderr
    assert files_in(here) == {"demo/notes.txt"}


@pytest.mark.parametrize("name", ["notes", "notes/demo"])
def test_a_file_is_refused_and_unchanged(here: Path, name: str) -> None:
    (here / "notes").write_text("mine")

    result = new(name)

    assert result.exit_code == 2
    assert f"{name} isn't a folder" in result.stderr
    assert files_in(here) == {"notes"}


def test_a_clone_of_an_empty_repository_is_filled(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "Our_Tasks/.git").mkdir(parents=True)
    monkeypatch.chdir("Our_Tasks")

    result = new(".")

    assert result.exit_code == 0, result.output
    assert result.stdout.endswith("Run it: make run\n")
    assert 'name = "our-tasks"' in Path("pyproject.toml").read_text()


@pytest.mark.parametrize("name", ["9lives", "...", "ü", "a", "a" * 41])
def test_a_name_that_no_cloud_would_take_is_refused(here: Path, name: str) -> None:
    result = new(name)

    assert result.exit_code == 2
    assert "can't be named" in result.stderr
    assert files_in(here) == set()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ab", "department-of-applied-mathematics-mailing"[:40]])
def test_a_collection_of_any_name_can_be_planned(here: Path, name: str) -> None:
    new(name, "--kind", "job")
    command = [UCAM_FAAS, "plan", "--stage", "production", "--json"]

    done = subprocess.run(command, cwd=name, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    variables = json.loads(done.stdout)
    assert f"{name}-sweep" in variables["tasks"]


@pytest.mark.parametrize("workflow", files.WORKFLOWS.values())
def test_the_workflow_and_the_readme_name_targets_of_the_makefile(
    here: Path, workflow: str
) -> None:
    for ci in files.WORKFLOWS:
        new(ci, "--ci", ci)
    (folder,) = (path for path in map(Path, files.WORKFLOWS) if (path / workflow).exists())

    steps, readme, makefile = (
        (folder / name).read_text() for name in (workflow, "README.md", "Makefile")
    )
    targets = set(re.findall(r"make ([a-z]+)", steps + readme)) - {"image"}

    assert {"test", "check"} <= targets
    assert [each for each in targets if not re.search(rf"(?m)^{each}: ", makefile)] == []


@pytest.mark.parametrize("words", [(), ("task",), ("demo", "more")])
def test_one_name_is_expected(here: Path, words: tuple[str, ...]) -> None:
    result = new(*words)

    assert result.exit_code == 2
    assert "Expected one NAME" in result.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_a_task_is_added_and_nothing_else_is_changed(demo: Path, kind: str) -> None:
    before = {path: (demo / path).read_text() for path in files_in(demo)}

    result = new("task", "send_invoice", "--kind", kind)

    assert result.exit_code == 0, result.output
    assert {path: (demo / path).read_text() for path in before} == before
    assert files_in(demo) - before.keys() == {
        "tasks/send_invoice/__init__.py",
        "tasks/send_invoice/main.py",
        "tasks/send_invoice/test_send_invoice.py",
    }
    assert "\ndef send_invoice(" in (demo / "tasks/send_invoice/main.py").read_text()


def test_a_task_is_added_from_a_folder_below(demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("deploy")

    new("task", "send_invoice")

    assert (demo / "tasks/send_invoice/main.py").exists()


def test_a_task_that_exists_stays_as_it_is(demo: Path) -> None:
    result = new("task", "take_order", "--kind", "http")

    assert result.exit_code == 2
    assert "take_order isn't empty" in result.stderr
    assert result.stderr.endswith("Choose another name for the task.\n")
    assert "message_handler" in (demo / "tasks/take_order/main.py").read_text()


@pytest.mark.parametrize(
    "configuration",
    ["", "[tool.ucam-faas]\n", '[tool.ucam-faas]\nsource = "main.py"\n'],
    ids=["none", "no source", "one file"],
)
def test_a_project_of_another_shape_gets_no_task(here: Path, configuration: str) -> None:
    Path("main.py").touch()
    Path("pyproject.toml").write_text(configuration)

    result = new("task", "send_invoice")

    assert result.exit_code == 2
    assert "isn't a collection that takes further tasks" in result.stderr
    assert files_in(here) == {"main.py", "pyproject.toml"}


@pytest.mark.parametrize(
    "name", ["class", "send-mail", "Send", "json", "ucam_faas", "up", "google_it"]
)
def test_a_task_name_that_python_or_pubsub_would_refuse_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="can't be named"):
        names.check_task_name(name)


def test_a_job_names_the_store_that_it_still_needs(demo: Path, here: Path) -> None:
    missing = new("task", "send_invoice", "--kind", "job")
    new(str(here / "with-store"), "--kind", "job")

    assert "jobs need a store" in missing.stderr
    configuration = (here / "with-store/pyproject.toml").read_text()
    assert 'UCAM_FAAS_JOB_STORE = "firestore:with-store-test/jobs"' in configuration


@pytest.mark.slow
def test_a_job_has_its_result_also_as_a_message(here: Path) -> None:
    new("demo", "--kind", "job")
    (here / "order.json").write_text('{"number": 17, "pence": 250}')
    command = [UCAM_FAAS, "run", "charge", "--input-file", "../order.json", "--json"]

    done = subprocess.run(command, cwd="demo", capture_output=True, text=True, check=True)

    assert json.loads(done.stdout)["result"] == {"number": 17, "paid": 250}
    assert "ERROR" not in done.stderr


def test_the_files_are_printed_as_json(here: Path) -> None:
    document = json.loads(new("demo", "--json").stdout)

    assert set(document["files"]) == files_in(here)


@pytest.mark.parametrize(
    ("text", "dependency", "module"),
    [
        (
            "2.1.0",
            "ucam-faas>=2.1.0,<3",
            f"git::{origin.PLACEHOLDER}//terraform/modules/collection?ref=v2.1.0",
        ),
        (
            "git+ssh://git@git.example.org/team/faas.git@0123abc",
            "ucam-faas @ git+ssh://git@git.example.org/team/faas.git@0123abc",
            "git::ssh://git@git.example.org/team/faas.git//terraform/modules/collection?ref=0123abc",
        ),
        (
            str(ROOT),
            f"ucam-faas>={VERSION},<3",
            f"{ROOT}/terraform//modules/collection",
        ),
    ],
)
def test_the_package_and_the_module_are_of_one_version(
    here: Path, text: str, dependency: str, module: str
) -> None:
    new("demo", "--ucam-faas", text)

    assert f'"{dependency}"' in (here / "demo/pyproject.toml").read_text()
    assert f'source = "{module}"' in (here / "demo/deploy/main.tf").read_text()


@pytest.mark.parametrize(
    ("record", "dependency"),
    [
        ({}, "ucam-faas>=2.0.1,<3"),
        (
            {
                "url": "https://git.example.org/faas.git",
                "vcs_info": {"vcs": "git", "commit_id": "0123abc", "requested_revision": "main"},
            },
            "ucam-faas @ git+https://git.example.org/faas.git@0123abc",
        ),
        ({"url": ROOT.as_uri(), "dir_info": {"editable": True}}, "ucam-faas>=2.0.1,<3"),
        ({"url": "file:///faas.whl", "archive_info": {}}, "ucam-faas @ file:///faas.whl"),
    ],
    ids=["index", "git", "folder", "wheel"],
)
def test_the_dependency_is_the_package_as_it_was_installed(
    record: dict[str, object], dependency: str
) -> None:
    assert origin.of_record(record, "2.0.1").dependency == dependency


def test_a_released_package_knows_the_repository_of_its_module(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = Message()
    released["Project-URL"] = "Changelog, https://git.example.org/us/faas/blob/v2.1.0/CHANGELOG.md"
    released["Project-URL"] = "Repository, https://git.example.org/us/faas"
    installed = SimpleNamespace(metadata=released)
    monkeypatch.setattr(origin, "distribution", lambda name: installed)

    result = new("demo", "--ucam-faas", "2.1.0")

    module = "git::https://git.example.org/us/faas//terraform/modules/collection?ref=v2.1.0"
    assert f'source = "{module}"' in (here / "demo/deploy/main.tf").read_text()
    assert "address of the repository" not in result.output


def test_a_checkout_is_installed_so_that_its_changes_count_at_once(here: Path) -> None:
    new("demo", "--ucam-faas", str(ROOT))
    new("other", "--ucam-faas", "2.1.0")

    assert f"--editable '{ROOT}[local]'" in (here / "demo/Makefile").read_text()
    assert "[local]" not in (here / "other/Makefile").read_text()


@pytest.mark.parametrize(
    "text",
    [
        *("latest", "1.0.3", "/nowhere", "git+https://git.example.org/faas.git"),
        "git+ssh://git@git.example.org/faas.git",
    ],
)
def test_an_origin_that_cannot_be_used_is_refused(here: Path, text: str) -> None:
    result = new("demo", "--ucam-faas", text)

    assert result.exit_code == 2
    assert "--ucam-faas" in result.stderr
    assert not (here / "demo").exists()


@pytest.mark.parametrize("text", ["10.1", "1.0.3", "3.0.0"])
def test_a_version_with_other_templates_is_refused_with_the_reason(here: Path, text: str) -> None:
    result = new("demo", "--ucam-faas", text)

    assert result.exit_code == 2
    assert f"this is ucam-faas {VERSION}, which writes files for versions 2.x" in result.stderr


@pytest.mark.parametrize("folder", ["new", "there"])
def test_if_a_file_cannot_be_written_nothing_is_left(tmp_path: Path, folder: str) -> None:
    (tmp_path / "there/.git").mkdir(parents=True)
    texts = {"a/b.txt": "b", "c.txt": "c", "c.txt/d.txt": "d"}

    with pytest.raises(ConfigurationError, match="can't be written"):
        writing.write(tmp_path / folder, texts)

    assert {*tmp_path.rglob("*")} == {tmp_path / "there", tmp_path / "there/.git"}


def test_a_new_collection_has_no_drift(demo: Path) -> None:
    (demo / "README.md").write_text("mine")
    (demo / "tasks/take_order/main.py").write_text("mine")

    result = new("--diff")

    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "Nothing differs from a new collection.\n"


def test_the_address_that_replaced_the_placeholder_does_not_differ(here: Path) -> None:
    new("demo", "--ucam-faas", "2.1.0")
    main_tf = here / "demo/deploy/main.tf"
    main_tf.write_text(main_tf.read_text().replace("git.example.org/TEAM", "git.example.com/us"))

    same = new("demo", "--diff", "--ucam-faas", "2.1.0", "--json")
    newer = new("demo", "--diff", "--ucam-faas", "2.2.0")

    assert (same.stdout, same.stderr, same.exit_code) == ("[]\n", "", 0)
    assert '+  source = "git::https://git.example.com/us/ucam_faas.git//' in newer.stdout
    assert "ref=v2.2.0" in newer.stdout


@pytest.mark.slow
def test_the_drift_is_a_patch_that_git_applies(demo: Path) -> None:
    for file, text in {
        "Makefile": "run:\n\techo no end",
        ".gitignore": "",
        "Dockerfile": None,
    }.items():
        (demo / file).write_text(text) if text is not None else (demo / file).unlink()

    result = new(".", "--diff")
    applied = subprocess.run(
        ["git", "apply", "--unsafe-paths", "-"], input=result.stdout, text=True, check=False
    )

    assert (result.exit_code, applied.returncode) == (1, 0), result.output
    assert new("--diff").exit_code == 0


def test_drift_is_found_in_the_version_of_the_module(here: Path) -> None:
    new("demo", "--ucam-faas", "2.1.0")

    document = json.loads(new("demo", "--diff", "--ucam-faas", "2.2.0", "--json").stdout)

    assert [each["file"] for each in document] == ["deploy/main.tf"]
    assert "ref=v2.2.0" in document[0]["diff"]


def test_drift_is_found_from_the_ci_system_that_is_named(demo: Path) -> None:
    document = json.loads(new("--diff", "--ci", "gitlab", "--json").stdout)

    assert [(each["file"], each["is_missing"]) for each in document] == [(".gitlab-ci.yml", True)]


def test_only_a_collection_can_drift(here: Path) -> None:
    result = new("--diff")

    assert result.exit_code == 2
    assert "no pyproject.toml" in result.stderr


def test_the_workflow_uses_the_actions_and_the_python_of_this_repository(demo: Path) -> None:
    workflow = (demo / ".github/workflows/ci.yml").read_text()
    ours = "".join(path.read_text() for path in (ROOT / ".github/workflows").glob("*.yml"))

    pins = re.findall(r"uses: (.*)", workflow)
    python = re.findall(r'python-version: "(.*)"', workflow)

    assert len(pins) == 2
    assert [pin for pin in pins if pin not in ours] == []
    assert f"PYTHON_IMAGE=python:{python[0]}-slim" in (ROOT / "Dockerfile").read_text()
