"""Every environment variable, in one table.

`Settings.from_environ` reads them; a command line option wins over its variable. The table in
`docs/configuration.md` is generated from the fields below.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from ucam_faas.exceptions import ConfigurationError
from ucam_faas.gcp.limits import MAX_MESSAGE_BYTES

THREADS_FOR_EACH_CPU = 4
PREFIX = "UCAM_FAAS_"
WORKER_GRACE_SECONDS = 25.0
LOCAL_PROJECT = "local"
"""The project of a Pub/Sub on this machine, if nothing names another."""
DEFAULT_APP = "default"
"""The application's name without UCAM_FAAS_APP and a project, or without a job store."""


def _variable(name: str, default: Any, doc: str, choices: tuple[str, ...] = ()) -> Any:
    metadata = {"variable": name, "doc": doc, "choices": choices}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings that are read from the environment."""

    target: str | None = _variable(
        "FUNCTION_TARGET", None, "names of the tasks to serve, comma-separated; none: all"
    )
    source: str = _variable(
        "FUNCTION_SOURCE", "./main.py", "file, package directory, folder of packages or module"
    )
    host: str = _variable("HOST", "0.0.0.0", "address to listen on")
    port: int = _variable("PORT", 8080, "port to listen on; 0: any free one")
    health_port: int | None = _variable(
        "UCAM_FAAS_HEALTH_PORT",
        None,
        "port of a worker's health endpoint; default: PORT, if that is set; otherwise none",
    )
    debug: bool = _variable(
        "DEBUG", False, "log at level DEBUG, for people, with the text of exceptions"
    )
    long_running: bool = _variable(
        "LONG_RUNNING", False, "run the target once, to its end, and exit (a Cloud Run job)"
    )
    input_bucket: str | None = _variable(
        "INPUT_BUCKET", None, "Cloud Storage bucket of the input file of a long-running task"
    )
    input_file: str | None = _variable(
        "INPUT_FILE", None, "input of a long-running task: object in the bucket, or local path"
    )
    workers: int = _variable("WORKERS", 1, "processes")
    threads: int = _variable(
        "THREADS",
        THREADS_FOR_EACH_CPU * (os.cpu_count() or 1),
        "threads for sync tasks, in each process",
    )
    queue: int | None = _variable(
        "UCAM_FAAS_QUEUE",
        None,
        "deliveries that may wait, in each process and for each limit, before the answer is 429; "
        "default: as many as can run",
    )
    grace_seconds: float = _variable(
        "UCAM_FAAS_GRACE_SECONDS", 8.0, "time for running work after SIGTERM"
    )
    max_abandoned_threads: int = _variable(
        "UCAM_FAAS_MAX_ABANDONED_THREADS",
        4,
        "threads stuck past their deadline that a process may have; one more, and it is replaced",
    )
    max_body_bytes: int = _variable(
        "UCAM_FAAS_MAX_BODY_BYTES",
        MAX_MESSAGE_BYTES * 4 // 3 + 1024 * 1024,
        "request bodies over this are answered 413; default: a message of 10 MB in base64, "
        "and 1 MB for its envelope",
    )
    max_bodies_bytes: int = _variable(
        "UCAM_FAAS_MAX_BODIES_BYTES",
        128 * 1024 * 1024,
        "request bodies that a process holds at once, from their first byte to their answer; "
        "beyond it the answer is 429, though one body is always taken",
    )
    dead_letter_topic: str | None = _variable(
        "UCAM_FAAS_DEAD_LETTER_TOPIC",
        None,
        "where messages that end as DeadLetter or can never be handled go: projects/P/topics/T, "
        "or T in the project of GOOGLE_CLOUD_PROJECT",
    )
    max_attempts: int | None = _variable(
        "UCAM_FAAS_MAX_ATTEMPTS",
        None,
        "the max_delivery_attempts of the subscriptions: a message that fails so often goes to the "
        "dead-letter topic; default: the max_attempts of the task's RetryPolicy",
    )
    push_audience: str | None = _variable(
        "UCAM_FAAS_PUSH_AUDIENCE",
        None,
        "verify the token of every delivery: that it is for this audience, and of the account "
        "that UCAM_FAAS_PUSH_EMAIL names",
    )
    push_email: str | None = _variable(
        "UCAM_FAAS_PUSH_EMAIL", None, "the service account that a verified token must belong to"
    )
    push_certs_url: str = _variable(
        "UCAM_FAAS_PUSH_CERTS_URL",
        "https://www.googleapis.com/oauth2/v1/certs",
        "where the certificates that sign push tokens are",
    )
    jobs_audience: str | None = _variable(
        "UCAM_FAAS_JOBS_AUDIENCE",
        None,
        "verify the token of every request for jobs over HTTP: that it is for this audience, and "
        "of a caller that UCAM_FAAS_JOBS_CALLERS names. Not on Cloud Run, whose IAM does it",
    )
    jobs_callers: str | None = _variable(
        "UCAM_FAAS_JOBS_CALLERS",
        None,
        "the callers, comma-separated: the email or the subject of each one's tokens",
    )
    jobs_issuer: str = _variable(
        "UCAM_FAAS_JOBS_ISSUER",
        "https://accounts.google.com",
        "the issuer of their tokens: Google, or one that has an OpenID Connect discovery document",
    )
    log_format: str = _variable(
        "UCAM_FAAS_LOG_FORMAT",
        "auto",
        "json (Cloud Logging), console (for people), or auto: console on a terminal",
        ("auto", "json", "console"),
    )
    log_level: str = _variable(
        "UCAM_FAAS_LOG_LEVEL",
        "INFO",
        "lowest severity that is logged",
        ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"),
    )
    log_payloads: bool = _variable(
        "UCAM_FAAS_LOG_PAYLOADS", False, "log message data, attributes and results"
    )
    log_exception_text: bool | None = _variable(
        "UCAM_FAAS_LOG_EXCEPTION_TEXT",
        None,
        "log the texts of exceptions, not only their types and tracebacks; default: on a terminal",
    )
    dashboard: str | None = _variable(
        "UCAM_FAAS_DASHBOARD",
        None,
        "URL of the dashboard that lines for people link to, in a terminal; set by `ucam-faas dev`",
    )
    otel_endpoint: str | None = _variable(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        None,
        "URL of a receiver of OTLP over HTTP, such as http://localhost:4318: telemetry is on; see "
        "[telemetry.md](telemetry.md), also for OpenTelemetry's other variables",
    )
    otel_traces_endpoint: str | None = _variable(
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", None, "URL of another receiver, for spans"
    )
    otel_metrics_endpoint: str | None = _variable(
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", None, "URL of another receiver, for metrics"
    )
    otel_protocol: str = _variable(
        "OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf", "the only one that is supported"
    )
    otel_traces_protocol: str | None = _variable(
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", None, "the same"
    )
    otel_metrics_protocol: str | None = _variable(
        "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", None, "the same"
    )
    otel_traces_exporter: str = _variable(
        "OTEL_TRACES_EXPORTER", "otlp", "none: spans aren't exported"
    )
    otel_metrics_exporter: str = _variable(
        "OTEL_METRICS_EXPORTER", "otlp", "none: metrics aren't exported"
    )
    otel_disabled: bool = _variable("OTEL_SDK_DISABLED", False, "telemetry is off")
    otel_delay: int = _variable(
        "OTEL_BSP_SCHEDULE_DELAY", 5000, "milliseconds until an ended span is exported"
    )
    otel_max_queue: int = _variable(
        "OTEL_BSP_MAX_QUEUE_SIZE", 2048, "spans that wait for their export; further ones are lost"
    )
    otel_metric_interval: int = _variable(
        "OTEL_METRIC_EXPORT_INTERVAL", 60000, "milliseconds between two exports of metrics"
    )
    telemetry_wait_seconds: float | None = _variable(
        "UCAM_FAAS_TELEMETRY_WAIT_SECONDS",
        None,
        "the longest that the answer to the last request under way waits for the export of spans; "
        "default: 1 on Cloud Run, which gives no CPU after the answer, and 0 elsewhere",
    )
    app: str = _variable(
        "UCAM_FAAS_APP",
        DEFAULT_APP,
        "name of the application whose jobs these are, in the store; default: the name in "
        "[project] of the nearest pyproject.toml, from the working directory upwards",
    )
    job_store: str | None = _variable(
        "UCAM_FAAS_JOB_STORE",
        None,
        "where jobs are kept: sqlite:PATH, postgresql://…, firestore:PROJECT or "
        "firestore:PROJECT/DATABASE, or memory; none: jobs are sent, and can't be followed",
    )
    delay_queue: str | None = _variable(
        "UCAM_FAAS_DELAY_QUEUE",
        None,
        "queue of Cloud Tasks that wakes jobs at their time, up to 30 days ahead: "
        "projects/P/locations/L/queues/Q; none: the sweep does. With PUBSUB_EMULATOR_HOST, that "
        "emulator has it",
    )
    delay_account: str | None = _variable(
        "UCAM_FAAS_DELAY_ACCOUNT",
        None,
        "service account as which that queue publishes wakes; default: the account of the process",
    )
    payloads: str | None = _variable(
        "UCAM_FAAS_PAYLOADS",
        None,
        "store of the job payloads and results that are larger than UCAM_FAAS_PAYLOADS_OVER: "
        "gs://BUCKET or file:DIRECTORY; none: the job store keeps them, if it can",
    )
    payloads_over: int = _variable(
        "UCAM_FAAS_PAYLOADS_OVER",
        100_000,
        "bytes that a payload or a result may have in the job store, at most 200000",
    )
    events_topic: str | None = _variable(
        "UCAM_FAAS_EVENTS_TOPIC",
        None,
        "topic of the events of ended jobs: projects/P/topics/T, or T in the project of "
        "GOOGLE_CLOUD_PROJECT; none: there are no events",
    )
    max_hops: int = _variable(
        "UCAM_FAAS_MAX_HOPS",
        32,
        "the longest chain of tasks that send or publish to one another; a message that comes "
        "through a longer one is dead-lettered, and a job fails",
    )
    project: str | None = _variable(
        "GOOGLE_CLOUD_PROJECT",
        None,
        "project of traces in the log and of short topic names; default: local, with "
        "PUBSUB_EMULATOR_HOST",
    )
    service: str = _variable("K_SERVICE", "ucam-faas", "name in Error Reporting; set by Cloud Run")
    revision: str = _variable("K_REVISION", "", "version in Error Reporting; set by Cloud Run")
    name_prefix: str = _variable(
        "UCAM_FAAS_NAME_PREFIX",
        "",
        "beginning of the names of the deployment's topics and subscriptions in the cloud; set "
        "from `name_prefix` of the configuration",
    )
    existing_topics: str | None = _variable(
        "UCAM_FAAS_EXISTING_TOPICS",
        None,
        "short names of topics without that prefix, comma-separated; set from `existing_topics`",
    )
    pubsub_emulator: str | None = _variable(
        "PUBSUB_EMULATOR_HOST", None, "host:port of an emulator to publish to instead of Google"
    )
    firestore_emulator: str | None = _variable(
        "FIRESTORE_EMULATOR_HOST",
        None,
        "host:port of an emulator that keeps the jobs of firestore:PROJECT instead of Google",
    )

    @property
    def telemetry_wait(self) -> float:
        """The seconds that an answer waits at most; see `telemetry_wait_seconds`."""
        default = 1.0 if self.revision else 0.0
        return default if self.telemetry_wait_seconds is None else self.telemetry_wait_seconds

    def __post_init__(self) -> None:
        for name, lowest in _LOWEST.items():
            value = getattr(self, name)
            if value is not None and not value >= lowest:
                raise ConfigurationError(
                    f"{_names()[name]} is {value}; expected at least {lowest}."
                )
        if self.port > 65535:
            raise ConfigurationError(f"PORT is {self.port}; expected at most 65535.")

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
        """Read the environment.

        Args:
            environ: the variables; default: this process's.
            overrides: settings that win over their variables, unless they are None.

        Raises:
            ConfigurationError: a variable has a value that cannot be used.
        """
        environ = os.environ if environ is None else environ
        values = {name: value for name, value in overrides.items() if value is not None}
        for spec in fields(cls):
            text = environ.get(spec.metadata["variable"], "")
            if spec.name not in values and text != "":
                values[spec.name] = _parse(spec.metadata, str(spec.type), text)
        if "health_port" not in values and environ.get("PORT"):
            values["health_port"] = values["port"]
        if values.get("pubsub_emulator"):
            values.setdefault("project", LOCAL_PROJECT)
        if "app" not in values and values.get("job_store"):
            from ucam_faas import project  # tasks without jobs don't need it

            values["app"] = project.read(Path.cwd()).get("name", DEFAULT_APP)
        return cls(**values)


def worker_grace_seconds(settings: Settings, environ: Mapping[str, str] | None = None) -> float:
    """Return the time that a worker has for running work after SIGTERM, unless it names another.

    It is the platform's: Cloud Run ends a container 10 s after SIGTERM.
    """
    environ = os.environ if environ is None else environ
    if on_cloud_run(environ) or environ.get(f"{PREFIX}GRACE_SECONDS"):
        return settings.grace_seconds
    return WORKER_GRACE_SECONDS


def on_cloud_run(environ: Mapping[str, str] | None = None) -> bool:
    """Return True in a service, job or worker pool of Cloud Run, which set a variable each."""
    environ = os.environ if environ is None else environ
    return any(each in environ for each in ("K_SERVICE", "CLOUD_RUN_JOB", "CLOUD_RUN_WORKER_POOL"))


def mistyped(environ: Mapping[str, str]) -> dict[str, str]:
    """Return variables that are set and that this package doesn't read, with a hint each.

    Those are names that begin with UCAM_FAAS_, and others that are nearly one of the package's.
    Only names are read: values may be secrets.
    """
    odd = [name for name in environ if name[:4].upper() == "UCAM" and name not in _VARIABLES]
    if not odd:
        return {}
    from difflib import get_close_matches

    hints = {}
    for name in odd:
        close = get_close_matches(name.upper(), _OURS, n=1, cutoff=0.8)
        if close:
            hints[name] = f"did you mean {close[0]}?"
        elif name.startswith(PREFIX):
            hints[name] = "ucam_faas has no such variable; docs/configuration.md lists them"
    return hints


_LOWEST = {
    "port": 0,
    "workers": 1,
    "threads": 1,
    "queue": 0,
    "grace_seconds": 0,
    "max_abandoned_threads": 0,
    "max_body_bytes": 1,
    "max_bodies_bytes": 1,
    "max_attempts": 1,
    "payloads_over": 0,
    "otel_delay": 0,
    "otel_max_queue": 1,
    "otel_metric_interval": 1,
    "telemetry_wait_seconds": 0,
    "max_hops": 1,
}
_VARIABLES = frozenset(spec.metadata["variable"] for spec in fields(Settings))
_OURS = sorted(name for name in _VARIABLES if name.startswith(PREFIX))
_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}


def _names() -> dict[str, str]:
    return {spec.name: spec.metadata["variable"] for spec in fields(Settings)}


def _parse(metadata: Mapping[str, Any], kind: str, text: str) -> Any:
    name, choices = metadata["variable"], metadata["choices"]
    if kind.startswith("bool"):
        if text.lower() in _TRUE | _FALSE:
            return text.lower() in _TRUE
        raise ConfigurationError(f"{name} is {text!r}; expected true or false.")
    if kind.startswith(("int", "float")):
        try:
            number = int(text) if kind.startswith("int") else float(text)
            if not math.isfinite(number):
                raise ValueError(text)
            return number
        except ValueError as error:
            raise ConfigurationError(f"{name} is {text!r}; expected a number.") from error
    if choices and text not in choices:
        raise ConfigurationError(f"{name} is {text!r}; expected one of {', '.join(choices)}.")
    return text
