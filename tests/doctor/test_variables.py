"""Variables: values that can't be used, names that aren't read, and the `.env` file."""

from __future__ import annotations

from pathlib import Path

from ucam_faas.doctor import variables


def test_names_are_shown_and_values_are_not(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("UCAM_FAAS_JOB_STORE=postgresql://ada:secret@db/jobs\n")
    environ = {"PORT": "8081"}

    settings, (finding,) = variables.read(tmp_path, environ, None)

    assert finding.what == "set: PORT, UCAM_FAAS_JOB_STORE (.env)"
    assert settings.port == 8081
    assert environ["UCAM_FAAS_JOB_STORE"].startswith("postgresql:")


def test_a_value_that_cannot_be_used_is_a_problem_and_the_rest_is_looked_at(tmp_path: Path) -> None:
    environ = {"PORT": "eighty", "UCAM_FAAS_JOBSTORE": "x"}

    _, findings = variables.read(tmp_path, environ, "shop")

    assert [finding.code for finding in findings] == ["variable-wrong", "variable-unknown"]
    assert findings[0].what == "PORT is 'eighty'; expected a number"
    assert findings[1].do == "Did you mean UCAM_FAAS_JOB_STORE?"


def test_a_broken_env_file_is_a_problem_whose_line_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=1\nno variable here\n")

    _, (finding,) = variables.read(tmp_path, {}, None)

    assert finding.code == "env-file"
    assert "line 2" in finding.what
