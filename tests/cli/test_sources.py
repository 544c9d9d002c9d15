"""One rule decides the source of tasks, whichever verb needs them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from click.testing import CliRunner, Result

from tests.support.sources import Sources
from ucam_faas.cli import main

VERBS: dict[str, Callable[[str], Sequence[str]]] = {
    "serve": lambda source: ["serve", source],
    "run": lambda source: ["run", "one", source],
    "run without a task": lambda source: ["run", source],
    "tasks": lambda source: ["tasks", source],
    "plan": lambda source: ["plan", source],
    "check": lambda source: ["check", source],
    "asyncapi": lambda source: ["asyncapi", source],
    "config": lambda source: ["config", "one", source],
    "config without a task": lambda source: ["config", source],
    "publish": lambda source: ["publish", "one", "data", source],
}
"""Command lines with a source as their last argument; `dev` is tried with a process."""


@pytest.fixture
def call(
    own_logging: None, sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Result]:
    for name in ("FUNCTION_TARGET", "FUNCTION_SOURCE", "PUBSUB_EMULATOR_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(sources.root)
    (sources.root / ".git").mkdir()  # configurations above it aren't looked for
    return lambda arguments, **environ: CliRunner().invoke(main, arguments, env=environ)


def missing(result: Result) -> str:
    """Return the file that a verb looked for."""
    assert result.exit_code == 2, result.output
    return result.stderr.partition("There is no ")[2].partition(" ")[0]


@pytest.mark.parametrize("verb", VERBS)
def test_a_source_is_named_by_argument_option_variable_or_configuration(
    verb: str, call: Callable[..., Result], sources: Sources
) -> None:
    lines = VERBS[verb]
    plain = lines("x.py")[:-1]
    (sources.root / "pyproject.toml").write_text("[tool.ucam-faas]\nsource = 'configured.py'")

    assert missing(call(lines("argument.py"))) == "argument.py"
    assert missing(call([*plain, "--source", "option.py"])) == "option.py"
    assert missing(call(["--source", "before.py", *plain])) == "before.py"
    assert missing(call(plain, FUNCTION_SOURCE="variable.py")) == "variable.py"
    assert missing(call(plain)) == "configured.py"
    (sources.root / "pyproject.toml").unlink()
    assert missing(call(plain)) == "./main.py"


@pytest.mark.parametrize("verb", [verb for verb in VERBS if "without" not in verb])
def test_two_sources_are_refused(verb: str, call: Callable[..., Result]) -> None:
    result = call([*VERBS[verb]("one.py"), "--source", "two.py"])

    assert result.exit_code == 2
    assert "one.py" in result.stderr
    assert "two.py" in result.stderr


@pytest.mark.parametrize("arguments", [[], ["serve"], ["run"], ["tasks"]], ids=str)
def test_a_source_of_the_configuration_is_relative_to_its_file(
    arguments: list[str],
    call: Callable[..., Result],
    sources: Sources,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (sources.root / "ucam-faas.toml").write_text("source = 'app/jobs.py'")
    (sources.root / "inner").mkdir()
    monkeypatch.chdir(sources.root / "inner")

    assert missing(call(arguments)) == "../app/jobs.py"


def test_a_source_that_is_no_text_is_one_line(
    call: Callable[..., Result], sources: Sources
) -> None:
    (sources.root / "pyproject.toml").write_text("[tool.ucam-faas]\nsource = 3")

    result = call(["serve"])

    assert result.exit_code == 2
    assert result.stderr.startswith(
        "ucam-faas: pyproject.toml:2 [tool.ucam-faas]: source: expected text"
    )


@pytest.mark.parametrize("verb", VERBS)
def test_a_source_of_the_configuration_that_is_missing_is_named_with_its_line(
    verb: str, call: Callable[..., Result], sources: Sources
) -> None:
    (sources.root / "pyproject.toml").write_text("[tool.ucam-faas]\nsource = 'app.py'")

    result = call(VERBS[verb]("x.py")[:-1])

    assert result.exit_code == 2, result.output
    assert "pyproject.toml:2 [tool.ucam-faas]: source: There is no app.py in " in result.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_a_misspelt_key_of_the_configuration_is_refused_by_every_verb(
    verb: str, call: Callable[..., Result], sources: Sources
) -> None:
    (sources.root / "pyproject.toml").write_text("[tool.ucam-faas]\nsorce = 'app.py'")

    result = call(VERBS[verb]("x.py")[:-1])

    assert result.exit_code == (1 if verb == "check" else 2), result.output
    words = " ".join(result.output.split())
    assert "pyproject.toml:2" in words
    assert "there is no key 'sorce'. Did you mean 'source'?" in words
