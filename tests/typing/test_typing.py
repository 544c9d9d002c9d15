"""The public API as mypy sees it from a user's side: in strict mode, with the user's settings."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
EXPECTED = re.compile(r"#\s*E:\s*(?P<codes>[a-z, -]+)$")
REPORTED = re.compile(r"^[^:]+:(?P<line>\d+): error: .*\[(?P<code>[a-z-]+)\]$")


def mypy(name: str, cache: Path, *more: str) -> str:
    """Return mypy's output on a file, without the settings of this repository."""
    options = ["--strict", "--no-error-summary", "--no-pretty", f"--cache-dir={cache}"]
    result = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file=", *options, *more, name],
        cwd=HERE,
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
        if (found := EXPECTED.search(line))
        for code in found["codes"].split(",")
    }

    # An error in a decorator's arguments makes an untyped decorator, too: once is enough.
    output = mypy("wrong_uses.py", cache, "--allow-untyped-decorators")

    reported = {
        (int(found["line"]), found["code"])
        for line in output.splitlines()
        if (found := REPORTED.match(line))
    }
    assert reported == expected, output
