"""Versions and extras: what ucam-faas declares to need, against what is installed."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from tests.doctor.conftest import Make
from ucam_faas.doctor import packages
from ucam_faas.doctor.findings import Level


@pytest.fixture(autouse=True)
def read_again() -> Iterator[None]:
    packages._of.cache_clear()
    yield
    packages._of.cache_clear()


def versions_are(monkeypatch: pytest.MonkeyPatch, **changed: str | None) -> None:
    """Let packages seem to have other versions; None: they aren't installed."""
    installed = metadata.version

    def version(name: str) -> str:
        if name.replace("-", "_") not in changed:
            return installed(name)
        other = changed[name.replace("-", "_")]
        if other is None:
            raise metadata.PackageNotFoundError(name)
        return other

    monkeypatch.setattr(metadata, "version", version)


def test_this_environment_has_all_that_is_needed(around: Make) -> None:
    findings = list(packages.versions(around()))

    assert {finding.level for finding in findings} <= {Level.OK, Level.WARNING}
    assert findings[0].what.startswith(f"ucam-faas {metadata.version('ucam-faas')}, CPython 3.")


def test_a_package_that_is_too_old_is_a_problem(
    around: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions_are(monkeypatch, protobuf="4.25.1")

    (problem,) = [finding for finding in packages.versions(around()) if finding.code]

    assert problem.code == "package-version"
    assert problem.what.startswith("protobuf is 4.25.1; ucam-faas needs >=5.")
    assert problem.commands == ('pip install "ucam-faas"',)


def test_a_package_that_is_missing_is_a_problem(
    around: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions_are(monkeypatch, click=None)

    (problem,) = [finding for finding in packages.versions(around()) if finding.code]

    assert (problem.code, problem.what) == ("package-missing", "click isn't installed")


def test_another_environments_command_comes_first_in_the_path(around: Make, tmp_path: Path) -> None:
    other = tmp_path / "ucam-faas"
    other.touch(mode=0o755)

    (warning,) = [each for each in packages.versions(around(PATH=str(tmp_path))) if each.code]

    assert warning.code == "command-elsewhere"
    assert warning.what.endswith(f"your shell's `ucam-faas` is {other}")


def test_every_extra_for_users_is_installed_here(around: Make) -> None:
    (finding,) = packages.extras(around())

    assert finding.what == f"installed: {', '.join(packages.known())}"
    assert {"local", "pubsub", "worker"} <= set(packages.known())
    assert not {"dev", "docs"} & set(packages.known())


@pytest.mark.parametrize(
    ("environ", "package", "extra"),
    [
        ({"UCAM_FAAS_JOB_STORE": "postgresql://db/jobs"}, "psycopg", "postgresql"),
        ({"UCAM_FAAS_PAYLOADS": "gs://bucket"}, "google_cloud_storage", "storage"),
        ({"INPUT_BUCKET": "bucket"}, "google_cloud_storage", "storage"),
        ({"K_SERVICE": "tasks"}, "google_auth", "pubsub"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, "opentelemetry_sdk", "otel"),
        ({"UCAM_FAAS_JOB_STORE": "firestore:shop"}, "google_auth", "firestore"),
        ({"UCAM_FAAS_PUSH_AUDIENCE": "https://x"}, "google_auth", "auth"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_extra_that_the_configuration_needs_is_a_problem_if_it_is_missing(
    around: Make,
    monkeypatch: pytest.MonkeyPatch,
    environ: dict[str, str],
    package: str,
    extra: str,
) -> None:
    versions_are(monkeypatch, **{package: None})

    problem = next(each for each in packages.extras(around(**environ)) if each.code)

    assert (problem.code, problem.level) == ("extra-missing", Level.PROBLEM)
    assert package.replace("_", "-") in problem.what
    assert problem.commands == (f'pip install "ucam-faas[{extra}]"',)


def test_without_the_extra_local_dev_cannot_run_on_a_laptop(
    around: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions_are(monkeypatch, fastavro=None, watchfiles="0.1")

    (warning,) = [each for each in packages.extras(around()) if each.code]
    on_a_server = [each for each in packages.extras(around(K_SERVICE="tasks")) if each.code]

    assert warning.code == "local-missing"
    assert "which lacks fastavro, watchfiles>=1.0" in warning.what
    assert on_a_server == []
