"""The syntax of a `.env` file, and the variables that it sets."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ucam_faas import ConfigurationError
from ucam_faas.dev.env_file import EnvFile
from ucam_faas.exceptions import MissingExtraError

if os.environ.get("CI") != "true":
    pytest.importorskip("dotenv", reason="python-dotenv is not installed; run make")


def loaded(folder: Path, content: str | bytes, **environ: str) -> dict[str, str]:
    """Return an environment after a file was loaded."""
    path = folder / ".env"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    EnvFile(path, environ).load()
    return environ


@pytest.mark.parametrize(
    ("content", "variables"),
    [
        ("KEY=secret", {"KEY": "secret"}),
        ("\ufeffKEY=secret\r\nOTHER=x\r\n", {"KEY": "secret", "OTHER": "x"}),
        ("# a comment\n\nexport KEY = 'a b'  # why\n", {"KEY": "a b"}),
        ('KEY="two\nlines"\nOTHER=', {"KEY": "two\nlines", "OTHER": ""}),
        ("A=1\nB=${A}${UNKNOWN:-2}", {"A": "1", "B": "12"}),
        ("NAMED_ONLY", {}),
        ("", {}),
        ("KEY=grüß dich", {"KEY": "grüß dich"}),
    ],
)
def test_the_syntax_is_that_of_python_dotenv(
    tmp_path: Path, content: str, variables: dict[str, str]
) -> None:
    assert loaded(tmp_path, content) == variables


@pytest.mark.parametrize("value", ["of the shell", ""])
def test_what_is_set_wins(tmp_path: Path, value: str) -> None:
    environ = loaded(tmp_path, "KEY=file\nOTHER=file", KEY=value)

    assert environ == {"KEY": value, "OTHER": "file"}


def test_no_file_sets_nothing(tmp_path: Path) -> None:
    environ: dict[str, str] = {}

    EnvFile(tmp_path / "nowhere" / ".env", environ).load()
    (tmp_path / ".env").mkdir()  # so some name their virtual environment
    EnvFile(tmp_path / ".env", environ).load()

    assert environ == {}


def test_a_line_that_is_no_variable_is_named_and_not_shown(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as raised:
        loaded(tmp_path, "A=1\nKEY='secret\n")

    assert str(raised.value).startswith(f"{tmp_path}/.env, line 2: expected NAME=VALUE, ")
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("content", [b"KEY=\xff", b"KEY=a\0b"], ids=["bytes", "null"])
def test_what_is_no_text_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ConfigurationError, match=r"\.env"):
        loaded(tmp_path, content)


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.symlink_to(path)

    with pytest.raises(ConfigurationError, match=f"Cannot read {path}: "):
        EnvFile(path, {}).load()


def test_a_file_that_is_loaded_again_takes_back_what_it_said_before(tmp_path: Path) -> None:
    path, environ = tmp_path / ".env", {"SHELL_HAS": "1"}
    file = EnvFile(path, environ)
    path.write_text("GONE=1\nCHANGED=1\nCOPY=${CHANGED}\nSHELL_HAS=2\nTAKEN=1")
    file.load()
    environ["TAKEN"] = "by the process"

    path.write_text("CHANGED=2\nCOPY=${CHANGED}\nSHELL_HAS=3")
    file.load()

    assert environ == {
        "SHELL_HAS": "1",
        "CHANGED": "2",
        "COPY": "2",
        "TAKEN": "by the process",
    }
    file.unload()
    assert environ == {"SHELL_HAS": "1", "TAKEN": "by the process"}


def test_the_extra_that_reads_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "dotenv", None)

    with pytest.raises(MissingExtraError, match=r'pip install "ucam-faas\[local\]"'):
        loaded(tmp_path, "KEY=secret")
