"""Every environment variable is read, checked, and overridden by arguments."""

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from ucam_faas.config import Settings, mistyped, worker_grace_seconds
from ucam_faas.exceptions import ConfigurationError

READ: dict[str, tuple[str, str, Any]] = {
    "FUNCTION_TARGET": ("target", "a,b", "a,b"),
    "FUNCTION_SOURCE": ("source", "tasks", "tasks"),
    "HOST": ("host", "127.0.0.1", "127.0.0.1"),
    "PORT": ("port", "9090", 9090),
    "DEBUG": ("debug", "true", True),
    "LONG_RUNNING": ("long_running", "1", True),
    "INPUT_BUCKET": ("input_bucket", "b", "b"),
    "INPUT_FILE": ("input_file", "f", "f"),
    "UCAM_FAAS_HEALTH_PORT": ("health_port", "8081", 8081),
    "WORKERS": ("workers", "3", 3),
    "THREADS": ("threads", "5", 5),
    "UCAM_FAAS_QUEUE": ("queue", "0", 0),
    "UCAM_FAAS_GRACE_SECONDS": ("grace_seconds", "2.5", 2.5),
    "UCAM_FAAS_MAX_ABANDONED_THREADS": ("max_abandoned_threads", "0", 0),
    "UCAM_FAAS_MAX_BODY_BYTES": ("max_body_bytes", "100", 100),
    "UCAM_FAAS_MAX_BODIES_BYTES": ("max_bodies_bytes", "1000", 1000),
    "UCAM_FAAS_DEAD_LETTER_TOPIC": ("dead_letter_topic", "t", "t"),
    "UCAM_FAAS_MAX_ATTEMPTS": ("max_attempts", "7", 7),
    "UCAM_FAAS_PUSH_AUDIENCE": ("push_audience", "https://x", "https://x"),
    "UCAM_FAAS_PUSH_EMAIL": ("push_email", "a@b", "a@b"),
    "UCAM_FAAS_PUSH_CERTS_URL": ("push_certs_url", "https://c", "https://c"),
    "UCAM_FAAS_JOBS_AUDIENCE": ("jobs_audience", "https://x", "https://x"),
    "UCAM_FAAS_JOBS_CALLERS": ("jobs_callers", "a@b,c@d", "a@b,c@d"),
    "UCAM_FAAS_JOBS_ISSUER": ("jobs_issuer", "https://i", "https://i"),
    "UCAM_FAAS_LOG_FORMAT": ("log_format", "console", "console"),
    "UCAM_FAAS_LOG_LEVEL": ("log_level", "WARNING", "WARNING"),
    "UCAM_FAAS_LOG_PAYLOADS": ("log_payloads", "yes", True),
    "UCAM_FAAS_LOG_EXCEPTION_TEXT": ("log_exception_text", "false", False),
    "UCAM_FAAS_APP": ("app", "shop", "shop"),
    "UCAM_FAAS_JOB_STORE": ("job_store", "sqlite:jobs.db", "sqlite:jobs.db"),
    "UCAM_FAAS_DELAY_QUEUE": ("delay_queue", "projects/p/q", "projects/p/q"),
    "UCAM_FAAS_DELAY_ACCOUNT": ("delay_account", "a@b", "a@b"),
    "UCAM_FAAS_PAYLOADS": ("payloads", "gs://b", "gs://b"),
    "UCAM_FAAS_PAYLOADS_OVER": ("payloads_over", "1000", 1000),
    "UCAM_FAAS_MAX_HOPS": ("max_hops", "10", 10),
    "UCAM_FAAS_DASHBOARD": ("dashboard", "http://localhost:1", "http://localhost:1"),
    "UCAM_FAAS_EVENTS_TOPIC": ("events_topic", "events", "events"),
    "UCAM_FAAS_NAME_PREFIX": ("name_prefix", "test-", "test-"),
    "UCAM_FAAS_EXISTING_TOPICS": ("existing_topics", "users,audit", "users,audit"),
    "GOOGLE_CLOUD_PROJECT": ("project", "p", "p"),
    "K_SERVICE": ("service", "s", "s"),
    "K_REVISION": ("revision", "s-1", "s-1"),
    "OTEL_EXPORTER_OTLP_ENDPOINT": ("otel_endpoint", "http://c", "http://c"),
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": ("otel_traces_endpoint", "http://t", "http://t"),
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": ("otel_metrics_endpoint", "http://m", "http://m"),
    "OTEL_EXPORTER_OTLP_PROTOCOL": ("otel_protocol", "grpc", "grpc"),
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": ("otel_traces_protocol", "grpc", "grpc"),
    "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": ("otel_metrics_protocol", "grpc", "grpc"),
    "OTEL_TRACES_EXPORTER": ("otel_traces_exporter", "none", "none"),
    "OTEL_METRICS_EXPORTER": ("otel_metrics_exporter", "none", "none"),
    "OTEL_SDK_DISABLED": ("otel_disabled", "true", True),
    "OTEL_BSP_SCHEDULE_DELAY": ("otel_delay", "100", 100),
    "OTEL_BSP_MAX_QUEUE_SIZE": ("otel_max_queue", "10", 10),
    "OTEL_METRIC_EXPORT_INTERVAL": ("otel_metric_interval", "1000", 1000),
    "UCAM_FAAS_TELEMETRY_WAIT_SECONDS": ("telemetry_wait_seconds", "0.5", 0.5),
    "PUBSUB_EMULATOR_HOST": ("pubsub_emulator", "localhost:1", "localhost:1"),
    "FIRESTORE_EMULATOR_HOST": ("firestore_emulator", "localhost:2", "localhost:2"),
}


def test_the_list_of_variables_here_is_complete() -> None:
    assert set(READ) == {spec.metadata["variable"] for spec in fields(Settings)}


@pytest.mark.parametrize("variable", READ)
def test_a_variable_is_read(variable: str) -> None:
    name, text, value = READ[variable]

    setting = getattr(Settings.from_environ({variable: text}), name)

    assert setting == value
    assert type(setting) is type(value)


@pytest.mark.parametrize("variable", READ)
def test_an_empty_variable_is_as_good_as_none(variable: str) -> None:
    assert Settings.from_environ({variable: ""}) == Settings()


@pytest.mark.parametrize("variable", READ)
def test_what_is_given_wins_over_the_variable(variable: str) -> None:
    name, text, _ = READ[variable]
    argument = getattr(Settings(), name)
    if argument is None:
        spec = next(spec for spec in fields(Settings) if spec.name == name)
        argument = "given" if "str" in str(spec.type) else 1

    settings = Settings.from_environ({variable: text}, **{name: argument})

    assert getattr(settings, name) == argument


@pytest.mark.parametrize("variable", READ)
def test_none_given_leaves_the_variable(variable: str) -> None:
    name, text, value = READ[variable]

    settings = Settings.from_environ({variable: text}, **{name: None})

    assert getattr(settings, name) == value


def test_a_bad_variable_does_no_harm_where_something_is_given() -> None:
    assert Settings.from_environ({"PORT": "junk"}, port=1).port == 1


def test_this_processs_environment_is_read_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUNCTION_TARGET", "from_environment")

    assert Settings.from_environ().target == "from_environment"


def test_without_variables_there_are_defaults() -> None:
    settings = Settings.from_environ({})

    assert settings == Settings()
    assert (settings.source, settings.host, settings.port) == ("./main.py", "0.0.0.0", 8080)
    assert (settings.workers, settings.threads) == (1, 4 * (os.cpu_count() or 1))
    assert settings.max_body_bytes > 10 * 2**20 * 4 / 3, "a message of 10 MB in base64"
    assert not settings.log_payloads


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in a project with a name."""
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "shop"\n')
    (tmp_path / "tasks").mkdir()
    monkeypatch.chdir(tmp_path / "tasks")
    return tmp_path


@pytest.mark.parametrize(
    ("environ", "app"),
    [
        ({"UCAM_FAAS_JOB_STORE": "memory"}, "shop"),
        ({"UCAM_FAAS_JOB_STORE": "memory", "UCAM_FAAS_APP": "kiosk"}, "kiosk"),
        ({}, "default"),
    ],
)
def test_the_application_of_jobs_is_the_project_unless_it_is_named(
    shop: Path, environ: dict[str, str], app: str
) -> None:
    assert Settings.from_environ(environ).app == app


def test_without_a_project_the_application_of_jobs_is_the_default(shop: Path) -> None:
    (shop / "tasks/.git").mkdir()

    assert Settings.from_environ({"UCAM_FAAS_JOB_STORE": "memory"}).app == "default"


def test_the_project_of_an_emulator_is_local_unless_it_is_named() -> None:
    emulator = {"PUBSUB_EMULATOR_HOST": "localhost:8085"}

    assert Settings.from_environ(emulator).project == "local"
    assert Settings.from_environ({**emulator, "GOOGLE_CLOUD_PROJECT": "p"}).project == "p"
    assert Settings.from_environ(emulator, project="q").project == "q"


@pytest.mark.parametrize("text", ["1", "true", "TRUE", "True", "yes", "on"])
def test_words_for_true(text: str) -> None:
    assert Settings.from_environ({"DEBUG": text}).debug is True


@pytest.mark.parametrize("text", ["0", "false", "FALSE", "False", "no", "off"])
def test_words_for_false(text: str) -> None:
    assert Settings.from_environ({"DEBUG": text}).debug is False


@pytest.mark.parametrize(
    ("variable", "text", "expected"),
    [
        ("PORT", "http", "a number"),
        ("PORT", "80.5", "a number"),
        ("PORT", "-1", "at least 0"),
        ("PORT", "65536", "65535"),
        ("DEBUG", "maybe", "true or false"),
        ("LONG_RUNNING", "2", "true or false"),
        ("WORKERS", "0", "at least 1"),
        ("WORKERS", "two", "a number"),
        ("THREADS", "0", "at least 1"),
        ("UCAM_FAAS_QUEUE", "-1", "at least 0"),
        ("UCAM_FAAS_GRACE_SECONDS", "soon", "a number"),
        ("UCAM_FAAS_GRACE_SECONDS", "-1", "at least 0"),
        ("UCAM_FAAS_GRACE_SECONDS", "nan", "a number"),
        ("UCAM_FAAS_MAX_ABANDONED_THREADS", "-1", "at least 0"),
        ("UCAM_FAAS_MAX_BODY_BYTES", "0", "at least 1"),
        ("UCAM_FAAS_MAX_BODY_BYTES", "1e6", "a number"),
        ("UCAM_FAAS_LOG_FORMAT", "xml", "auto, json, console"),
        ("UCAM_FAAS_LOG_LEVEL", "LOUD", "DEBUG, INFO, WARNING, ERROR, CRITICAL"),
        ("UCAM_FAAS_LOG_PAYLOADS", "some", "true or false"),
        ("UCAM_FAAS_LOG_EXCEPTION_TEXT", "some", "true or false"),
    ],
)
def test_a_bad_value_is_an_error_that_names_variable_found_and_expected(
    variable: str, text: str, expected: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_environ({variable: text})

    assert variable in str(caught.value)
    assert text in str(caught.value)
    assert expected in str(caught.value)


def test_bad_values_that_are_given_are_refused_too() -> None:
    with pytest.raises(ConfigurationError, match="WORKERS is 0"):
        Settings(workers=0)


def test_every_variable_is_described() -> None:
    assert all(spec.metadata["doc"] for spec in fields(Settings))


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("UCAM_FAAS_GRACE_SECOND", "did you mean UCAM_FAAS_GRACE_SECONDS?"),
        ("UCAM_FAAS_LOGFORMAT", "did you mean UCAM_FAAS_LOG_FORMAT?"),
        ("UCAM_FASS_QUEUE", "did you mean UCAM_FAAS_QUEUE?"),
        ("UCAMFAAS_QUEUE", "did you mean UCAM_FAAS_QUEUE?"),
        ("ucam_faas_queue", "did you mean UCAM_FAAS_QUEUE?"),
        ("UCAM_FAAS_COLOUR", "ucam_faas has no such variable; docs/configuration.md lists them"),
    ],
)
def test_a_mistyped_variable_gets_a_suggestion(name: str, hint: str) -> None:
    assert mistyped({name: "secret", "PATH": "/bin"}) == {name: hint}


def test_other_variables_are_nobodys_mistake() -> None:
    ours = {spec.metadata["variable"]: "1" for spec in fields(Settings)}

    assert mistyped({**ours, "UCAM_OBSERVE_LEVEL": "x", "UCAMPUS": "x", "PORTS": "x"}) == {}


def test_the_health_port_of_a_worker_is_port_if_that_is_set() -> None:
    assert Settings.from_environ({}).health_port is None
    assert Settings.from_environ({"PORT": "81"}).health_port == 81
    assert Settings.from_environ({"PORT": "81", "UCAM_FAAS_HEALTH_PORT": "0"}).health_port == 0


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, 25.0),
        ({"UCAM_FAAS_GRACE_SECONDS": "3"}, 3.0),
        ({"K_SERVICE": "charge"}, 8.0),
        ({"CLOUD_RUN_JOB": "charge"}, 8.0),
        ({"CLOUD_RUN_WORKER_POOL": "charge"}, 8.0),
    ],
    ids=str,
)
def test_the_grace_of_a_worker_is_the_platforms(environ: dict[str, str], seconds: float) -> None:
    assert worker_grace_seconds(Settings.from_environ(environ), environ) == seconds
