"""The public API as mypy sees it from a user's side: in strict mode, with the user's settings."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)
EXPECTED = re.compile(r"#\s*E:\s*(?P<codes>[a-z, -]+)$")
REPORTED = re.compile(r"^[^:]+:(?P<line>\d+): error: .*\[(?P<code>[a-z-]+)\]$")


def mypy(name: str, cache: Path, *more: str, folder: Path = HERE) -> str:
    """Return mypy's output on a file, without the settings of this repository."""
    options = ["--strict", "--no-error-summary", "--no-pretty", f"--cache-dir={cache}"]
    result = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file=", *options, *more, name],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert result.returncode in (0, 1), result.stdout + result.stderr
    return result.stdout


@pytest.fixture
def cache(pytestconfig: pytest.Config) -> Path:
    """Kept from run to run: mypy reads the libraries once."""
    assert pytestconfig.cache is not None
    return pytestconfig.cache.mkdir("mypy")


def test_what_users_write_has_the_types_that_they_expect(cache: Path) -> None:
    assert mypy("user_examples.py", cache) == ""


def test_wrong_uses_are_errors_and_nothing_else_is(cache: Path) -> None:
    lines = (HERE / "wrong_uses.py").read_text().splitlines()
    expected = {
        (number, code.strip())
        for number, line in enumerate(lines, 1)
        if (match := EXPECTED.search(line))
        for code in match["codes"].split(",")
    }

    # An error in a decorator's arguments makes an untyped decorator, too: once is enough.
    output = mypy("wrong_uses.py", cache, "--allow-untyped-decorators")

    reported = {
        (int(match["line"]), match["code"])
        for line in output.splitlines()
        if (match := REPORTED.match(line))
    }
    assert reported == expected, output


def test_the_examples_of_the_testing_guide_pass_in_strict_mode(cache: Path, tmp_path: Path) -> None:
    """Each is a file of its own, beside the tutorial's `main.py`: it imports all that it uses."""
    root = HERE.parents[1]
    _, code, _ = PYTHON.findall((root / "docs/tutorial.md").read_text())
    (tmp_path / "main.py").write_text(code)
    examples = PYTHON.findall((root / "docs/testing.md").read_text())
    names = [f"test_{number}.py" for number in range(1, len(examples) + 1)]
    for name, example in zip(names, examples, strict=True):
        (tmp_path / name).write_text(example)

    assert mypy(names[0], cache, *names[1:], folder=tmp_path) == ""
