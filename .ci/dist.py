"""Build the wheel and the sdist, the same bytes each time, and check them.

python .ci/dist.py --out dist
python .ci/dist.py --out dist --tag v2.0.0 --repository https://git.example.org/TEAM/ucam_faas
python .ci/dist.py --notes      # print this version's part of CHANGELOG.md

It builds git's files in a folder of their own, with the versions in .ci/locks/build.txt and the
date of the commit. `--tag` is for releases: it refuses anything that the tag doesn't stand for.
`--repository` makes README's links absolute, since the Package Index has none of the other files.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
BESIDE = {".gitignore", "CHANGELOG.md", "LICENSE", "README.md", "pyproject.toml"}
"""Files of the repository that the sdist has, beside the package."""
METADATA = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}
_LINK = re.compile(r"\]\((?![a-z]+:|#)")
_RELEASED = r"^## {} \(\d{{4}}-\d\d-\d\d\)$"


def main() -> None:
    """Build both, check them, and print their hashes."""
    parser = argparse.ArgumentParser(description="Build the wheel and the sdist, and check them.")
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    parser.add_argument("--tag")
    parser.add_argument("--repository")
    parser.add_argument("--notes", action="store_true")
    arguments = parser.parse_args()
    if arguments.notes:
        print(notes_of((ROOT / "CHANGELOG.md").read_text()))
        return
    files = build(arguments.out, repository=arguments.repository, tag=arguments.tag)
    command = [sys.executable, "-m", "twine", "check", "--strict", *map(str, files)]
    subprocess.run(command, check=True)
    for file in files:
        print(hashlib.sha256(file.read_bytes()).hexdigest(), file.name)


def build(out: Path, *, repository: str | None = None, tag: str | None = None) -> list[Path]:
    """Build both into a folder; return their paths."""
    version = version_of(ROOT / "pyproject.toml")
    if tag:
        refuse_other_than(tag, version)
    tracked = git("ls-files", "-z").rstrip("\0").split("\0")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source"
        for name in tracked:
            if name in BESIDE or name.startswith("ucam_faas/"):
                (source / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, source / name)
        if repository:
            link_to(repository.rstrip("/"), tag or f"v{version}", source)
        run_uv(source, out)
    sdist = out / f"ucam_faas-{version}.tar.gz"
    wheel = out / f"ucam_faas-{version}-py3-none-any.whl"
    package = {name for name in tracked if name.startswith("ucam_faas/")}
    check_sdist(sdist, package | BESIDE)
    check_wheel(wheel, package, version)
    return [sdist, wheel]


def version_of(project: Path) -> str:
    """Return the version in a pyproject.toml."""
    return str(tomllib.loads(project.read_text())["project"]["version"])


def git(*arguments: str) -> str:
    """Return the output of git in the repository."""
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def notes_of(changes: str) -> str:
    """Return the text below the first heading of a version."""
    return re.split(r"^## .*\n", changes, maxsplit=2, flags=re.MULTILINE)[1].strip()


def refuse_other_than(tag: str, version: str) -> None:
    """Refuse another version, an open CHANGELOG, and changes that aren't committed."""
    if tag != f"v{version}":
        raise SystemExit(f"The tag is {tag}, but pyproject.toml has version {version}.")
    changes = (ROOT / "CHANGELOG.md").read_text()
    if not re.search(_RELEASED.format(re.escape(version)), changes, re.MULTILINE):
        raise SystemExit(f"CHANGELOG.md has no heading `## {version} (YYYY-MM-DD)`: date it.")
    if changed := git("status", "--porcelain").rstrip():
        raise SystemExit(f"These changes aren't committed:\n{changed}")


def link_to(repository: str, tag: str, source: Path) -> None:
    """Make README's links absolute, and add the project's addresses."""
    readme = source / "README.md"
    readme.write_text(_LINK.sub(f"]({repository}/blob/{tag}/", readme.read_text()))
    project = source / "pyproject.toml"
    urls = f"""[project.urls]
Repository = "{repository}"
Documentation = "{repository}/blob/{tag}/README.md#read-on"
Changelog = "{repository}/blob/{tag}/CHANGELOG.md"

"""
    before, section, after = project.read_text().partition("[project.optional-dependencies]")
    project.write_text(before + urls + section + after)


def run_uv(source: Path, out: Path) -> None:
    """Build the sdist, and the wheel from the sdist."""
    date = os.environ.get("SOURCE_DATE_EPOCH") or git("log", "-1", "--format=%ct").strip()
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if uv is None:
        raise SystemExit("uv is missing: pip install uv")
    lock = ROOT / ".ci/locks/build.txt"
    subprocess.run(
        [uv, "build", "--quiet", f"--python={sys.executable}", f"--build-constraints={lock}",
         "--require-hashes", "--no-create-gitignore", f"--out-dir={out.resolve()}", str(source)],
        env=os.environ | {"SOURCE_DATE_EPOCH": date},
        check=True,
    )  # fmt: skip


def check_sdist(sdist: Path, expected: set[str]) -> None:
    """Refuse an sdist that lacks a file, or has one too many."""
    with tarfile.open(sdist) as archive:
        names = {member.name.partition("/")[2] for member in archive if member.isfile()}
    refuse_difference(sdist, names, expected | {"PKG-INFO"})


def check_wheel(wheel: Path, package: set[str], version: str) -> None:
    """Refuse a wheel that lacks a file of the package, or has one of anything else."""
    metadata = {f"ucam_faas-{version}.dist-info/{name}" for name in METADATA}
    with zipfile.ZipFile(wheel) as archive:
        refuse_difference(wheel, set(archive.namelist()), package | metadata)


def refuse_difference(file: Path, names: set[str], expected: set[str]) -> None:
    """Refuse other names than the expected ones."""
    if names != expected:
        missing, more = sorted(expected - names), sorted(names - expected)
        raise SystemExit(f"{file.name} lacks {missing} and has {more} too many.")


if __name__ == "__main__":
    main()
