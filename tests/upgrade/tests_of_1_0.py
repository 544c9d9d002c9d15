"""Run the tests that ucam-faas 1.0.3 ships in its sdist over this package.

    python tests/upgrade/tests_of_1_0.py

It downloads the sdist with pip, rewrites the imports of its tests, runs them in a process of their
own, and exits 1 if a test fails that `differences.toml` doesn't list, or a listed one passes.
Nothing of the sdist is kept.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree

REQUIREMENT = "ucam-faas==1.0.3"
HERE = Path(__file__).parent
_SECONDS = 120


class DownloadError(Exception):
    """The sdist can't be downloaded; the text is the last thing that pip said."""


def differences() -> dict[str, str]:
    """Return the tests that are known to fail, each with its row in docs/upgrading.md."""
    groups = tomllib.loads((HERE / "differences.toml").read_text())["differences"]
    return {test: group["row"] for group in groups for test in group["tests"]}


def results(folder: Path) -> dict[str, str | None]:
    """Run the tests in an empty folder; from each test's name to its failure, or None.

    Raises:
        DownloadError: the package index can't be reached.
    """
    _extract(_download(folder), folder)
    for path in (folder / "ucam_faas/tests").glob("*.py"):
        path.write_text(adapted(path.read_text()))
    return _run(folder)


def _download(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-deps"]
    command += ["--no-binary=ucam-faas", f"--dest={folder}", REQUIREMENT]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS)
    if done.returncode:
        raise DownloadError((done.stderr.strip().splitlines() or ["pip failed"])[-1])
    [sdist] = folder.glob("*.tar.gz")
    return sdist


def _extract(sdist: Path, folder: Path) -> None:
    """Extract the tests without the package around them."""
    with tarfile.open(sdist) as archive:
        for member in archive.getmembers():
            member.name = member.name.partition("/")[2]
            if member.name.startswith("ucam_faas/tests/"):
                archive.extract(member, folder, filter="data")


def adapted(source: str) -> str:
    """Return a module whose imports from ucam_faas can't fail.

    >>> print(adapted("import os\\nfrom ucam_faas.messages import message_handler, other as one"))
    import os
    import surroundings
    message_handler = surroundings.imported('ucam_faas.messages', 'message_handler')
    one = surroundings.imported('ucam_faas.messages', 'other')
    """
    lines = source.splitlines()
    for node in reversed(list(_imports(ast.parse(source)))):
        assert node.end_lineno is not None, "the parser sets it"
        new = ["import surroundings"]
        new += [
            f"{alias.asname or alias.name} = surroundings.imported({node.module!r}, {alias.name!r})"
            for alias in node.names
        ]
        indent = " " * node.col_offset
        lines[node.lineno - 1 : node.end_lineno] = [indent + line for line in new]
    return "\n".join(lines)


def _imports(tree: ast.AST) -> Iterator[ast.ImportFrom]:
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    yield from sorted(
        (node for node in imports if (node.module or "").split(".")[0] == "ucam_faas"),
        key=lambda node: node.lineno,
    )


def _run(folder: Path) -> dict[str, str | None]:
    environ = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    options = ["-p", "surroundings", "-p", "no:randomly", "-p", "no:cacheprovider", "--quiet"]
    options += ["--doctest-modules", "--junitxml=results.xml", "--rootdir=.", "ucam_faas/tests"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options],
        cwd=folder,
        env={**environ, "PYTHONPATH": str(HERE)},
        capture_output=True,
        text=True,
        check=False,
        timeout=_SECONDS,
    )
    if done.returncode not in (0, 1):
        raise RuntimeError(f"1.0's tests didn't run:\n{done.stdout}\n{done.stderr}")
    return dict(_cases(folder / "results.xml"))


def _cases(report: Path) -> Iterator[tuple[str, str | None]]:
    for case in ElementTree.parse(report).iter("testcase"):
        module = case.attrib["classname"].removeprefix("ucam_faas.").removeprefix("tests.")
        failures = [item for item in case if item.tag in ("failure", "error")]
        if not any(item.tag == "skipped" for item in case):
            yield (
                f"{module}.{case.attrib['name']}",
                failures[0].attrib.get("message", "") if failures else None,
            )


def main() -> int:
    """Print each failure and the count; return the exit code."""
    with TemporaryDirectory() as folder:
        failures = results(Path(folder))
    known = differences()
    failed = {test for test, failure in failures.items() if failure is not None}
    for test in sorted(failed):
        print(f"{'known' if test in known else 'NEW':5}  {test}: {failures[test]}")
    for test in sorted(known.keys() - failed):
        print(f"listed in differences.toml, and doesn't fail: {test}")
    print(f"{len(failures) - len(failed)} passed, {len(failed)} failed")
    return int(failed != known.keys())


if __name__ == "__main__":
    sys.exit(main())
