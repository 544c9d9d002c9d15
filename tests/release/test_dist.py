"""The wheel and the sdist: the same bytes each time, all of the package, and nothing else."""

from __future__ import annotations

import re
import subprocess
import tarfile
import tomllib
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

from .conftest import ROOT, run

VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
WHEEL = f"ucam_faas-{VERSION}-py3-none-any.whl"
SDIST = f"ucam_faas-{VERSION}.tar.gz"


@pytest.mark.slow
def test_a_second_build_elsewhere_has_the_same_bytes(built: Path, tmp_path: Path) -> None:
    run(tmp_path, umask=0o077, TZ="Asia/Tokyo", LC_ALL="C", PYTHONHASHSEED="7")

    assert [file.name for file in sorted(tmp_path.iterdir())] == [WHEEL, SDIST]
    for name in (WHEEL, SDIST):
        assert (tmp_path / name).read_bytes() == (built / name).read_bytes()


@pytest.mark.slow
def test_the_date_of_the_files_is_the_commits(built: Path) -> None:
    command = ["git", "-C", str(ROOT), "log", "-1", "--format=%ct"]
    date = int(subprocess.run(command, capture_output=True, check=True).stdout)

    with tarfile.open(built / SDIST) as archive:
        assert {member.mtime for member in archive} == {date}


@pytest.mark.slow
def test_the_wheel_has_the_files_that_are_no_code(built: Path) -> None:
    with zipfile.ZipFile(built / WHEEL) as archive:
        names = archive.namelist()

    suffixes = {Path(name).suffix for name in names}
    assert "ucam_faas/py.typed" in names
    assert {".sql", ".html", ".css", ".js"} <= suffixes
    assert {name.partition("/")[0] for name in names} == {
        "ucam_faas", f"ucam_faas-{VERSION}.dist-info"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("names", "fault"),
    [(["a.py"], "lacks ['b.sql']"), (["a.py", "b.sql", "tests/x.py"], "has ['tests/x.py'] too")],
)
def test_a_wheel_with_other_files_is_refused(
    dist: ModuleType, tmp_path: Path, names: list[str], fault: str
) -> None:
    metadata = [f"ucam_faas-1.dist-info/{name}" for name in dist.METADATA]
    with zipfile.ZipFile(tmp_path / "x.whl", "w") as archive:
        for name in [*names, *metadata]:
            archive.writestr(name, "")

    with pytest.raises(SystemExit) as refusal:
        dist.check_wheel(tmp_path / "x.whl", {"a.py", "b.sql"}, "1")

    assert fault in str(refusal.value)


def test_an_sdist_without_a_file_is_refused(dist: ModuleType, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("x-1/PKG-INFO"))

    with pytest.raises(SystemExit, match=re.escape("lacks ['LICENSE']")):
        dist.check_sdist(tmp_path / "x.tar.gz", {"LICENSE"})


@pytest.fixture
def release(dist: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose CHANGELOG has a date."""
    (tmp_path / "CHANGELOG.md").write_text("# Changes\n\n## 2.1.0 (2027-01-31)\n")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "--quiet", "--message=Add a changelog"], check=True)
    monkeypatch.setattr(dist, "ROOT", tmp_path)
    return tmp_path


def test_a_tag_of_this_version_is_released(dist: ModuleType, release: Path) -> None:
    dist.refuse_other_than("v2.1.0", "2.1.0")


@pytest.mark.parametrize(
    ("tag", "version", "text", "fault"),
    [
        ("v2.1.0", "2.2.0", None, "pyproject.toml has version 2.2.0"),
        ("2.1.0", "2.1.0", None, "The tag is 2.1.0"),
        ("v2.1.0", "2.1.0", "## 2.1.0 (unreleased)\n", "CHANGELOG.md has no heading `## 2.1.0"),
        ("v2.1.0", "2.1.0", "## 2.1.0 (2027-01-31)\nMore.\n", "aren't committed"),
    ],
)
def test_another_tag_is_refused(
    dist: ModuleType, release: Path, tag: str, version: str, text: str | None, fault: str
) -> None:
    if text:
        (release / "CHANGELOG.md").write_text(text)

    with pytest.raises(SystemExit) as refusal:
        dist.refuse_other_than(tag, version)

    assert fault in str(refusal.value)


def test_a_release_has_addresses_in_place_of_relative_links(
    dist: ModuleType, tmp_path: Path
) -> None:
    for name in ("README.md", "pyproject.toml"):
        (tmp_path / name).write_text((ROOT / name).read_text())

    dist.link_to("https://git.example.org/TEAM/ucam_faas", "v2.0.0", tmp_path)

    readme = (tmp_path / "README.md").read_text()
    links = re.findall(r"\]\(([^)]+)\)", readme)
    assert links
    address = "https://git.example.org/TEAM/ucam_faas/blob/v2.0.0/"
    assert [link for link in links if not link.startswith(address)] == []
    project = tomllib.loads((tmp_path / "pyproject.toml").read_text())["project"]
    assert project["urls"]["Changelog"] in links
    # `ucam-faas new` reads it in the installed package, for Terraform
    assert project["urls"]["Repository"] == "https://git.example.org/TEAM/ucam_faas"


def test_the_changelog_begins_with_this_version() -> None:
    heading = re.findall(r"^## .*", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[0]

    assert re.fullmatch(rf"## {re.escape(VERSION)} \((unreleased|\d{{4}}-\d\d-\d\d)\)", heading)
