"""Rules of environment variables: values that stop the container, and secrets in plain text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, product
from pathlib import Path

from ucam_faas.config import Settings
from ucam_faas.deploy.checks.inputs import Inputs, configured
from ucam_faas.deploy.checks.rule import rule
from ucam_faas.deploy.checks.stages import stages_of
from ucam_faas.deploy.checks.terraform.deployments import deployments
from ucam_faas.deploy.findings import Finding, Place
from ucam_faas.deploy.read_variables import variables_read_by
from ucam_faas.deploy.secret_names import is_in_sight
from ucam_faas.deploy.terraform_variables import PlannedTask
from ucam_faas.exceptions import ConfigurationError
from ucam_faas.tasks.resources import secret_version

SECONDS_TO_END = 10
GRACE = "UCAM_FAAS_GRACE_SECONDS"
CREDENTIALS = "GOOGLE_APPLICATION_CREDENTIALS"
_LEVEL = "UCAM_FAAS_LOG_LEVEL"
_PAIRS = (
    ("UCAM_FAAS_PUSH_AUDIENCE", "UCAM_FAAS_PUSH_EMAIL"),
    ("UCAM_FAAS_JOBS_AUDIENCE", "UCAM_FAAS_JOBS_CALLERS"),
)
"""A token's audience, and its accounts."""
_OF_PLATFORM = (
    *("PORT", "HOST", "HOME", "PATH", "LANG", "TZ", "USER", "TMP", "K_", "CLOUD_RUN_", "GOOGLE_"),
    *("FUNCTION_", "LONG_RUNNING", "UCAM_FAAS_", "PYTHON", "GCLOUD_", "GCP_", "THREADS"),
)
"""Variables that Cloud Run, the deployment or the image may set begin with these."""
_ONLY_HERE = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class _Environ:
    """The variables of a task in the configuration, or the variables that Terraform adds."""

    planned: PlannedTask
    values: Mapping[str, str]
    terraform: Place | None = None

    def finding(self, name: str, what: str, fix: str) -> Finding:
        place = self.terraform or configured(self.planned, "environment", name)
        return Finding(place, what, fix, self.planned.task.name)


def _environs(inputs: Inputs) -> Iterator[_Environ]:
    for planned in inputs.planned:
        yield _Environ(planned, planned.merged["environment"])
    for deployment in deployments(inputs):
        configured_values = deployment.planned.merged["environment"]
        added = {
            name: value
            for name, value in deployment.environ.items()
            if isinstance(value, str) and configured_values.get(name) != value
        }
        yield _Environ(deployment.planned, added, deployment.run.place)


@rule("variable-refused", why="The container ends when it starts.")
def refused(inputs: Inputs) -> Iterator[Finding]:
    """A variable of ucam-faas with a value that it refuses."""
    for environ in _environs(inputs):
        for name, value in environ.values.items():
            try:
                Settings.from_environ({name: value})
            except ConfigurationError as error:
                yield environ.finding(
                    name, str(error), "Correct the value; see docs/configuration.md."
                )


@rule(
    "drain-too-long",
    why=f"Cloud Run kills the container {SECONDS_TO_END} s after SIGTERM: running work is cut "
    "off instead of going back to Pub/Sub.",
)
def drain_too_long(inputs: Inputs) -> Iterator[Finding]:
    """10 s or more for running work to end."""
    for environ in _environs(inputs):
        if GRACE in environ.values and _number(environ.values[GRACE]) >= SECONDS_TO_END:
            what = f"{GRACE} is {environ.values[GRACE]}."
            yield environ.finding(
                GRACE, what, f"Leave it out (8 s), or stay under {SECONDS_TO_END}."
            )


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0


@rule("unreachable", why="Cloud Run cannot reach the port: the deployment fails.")
def unreachable(inputs: Inputs) -> Iterator[Finding]:
    """A HOST that only the container itself can reach."""
    for environ in _environs(inputs):
        if environ.values.get("HOST") in _ONLY_HERE:
            yield environ.finding("HOST", f"HOST is {environ.values['HOST']}.", "Leave it out.")


@rule("emulator-deployed", why="The task publishes to an emulator that isn't in the cloud.")
def emulator_deployed(inputs: Inputs) -> Iterator[Finding]:
    """The address of a Pub/Sub emulator."""
    name = "PUBSUB_EMULATOR_HOST"
    for environ in _environs(inputs):
        if environ.values.get(name):
            yield environ.finding(name, f"{name} is {environ.values[name]}.", "Leave it out.")


@rule(
    "credentials-deployed",
    why="The task doesn't run as its account: the plan's grants don't count, and a file that isn't "
    "in the container makes each call of Google's libraries fail.",
)
def credentials_deployed(inputs: Inputs) -> Iterator[Finding]:
    """The path of a file with Google's credentials."""
    fix = (
        "Leave it out: Cloud Run gives the credentials of the task's account. Grant that account "
        "what the task needs, with roles = […]."
    )
    for environ in _environs(inputs):
        if environ.values.get(CREDENTIALS):
            what = f"{CREDENTIALS} is {environ.values[CREDENTIALS]}."
            yield environ.finding(CREDENTIALS, what, fix)
    for planned in inputs.planned:
        if CREDENTIALS in planned.merged["secrets"]:
            what = f"{CREDENTIALS} is a secret's content, and should be the path of a file."
            yield Finding(configured(planned, "secrets", CREDENTIALS), what, fix, planned.name)


@rule("secret-in-sight", why="All readers of the service, the plan or the repository can read it.")
def secret_in_sight(inputs: Inputs) -> Iterator[Finding]:
    """A plain-text variable that is named like a secret, or has a password or a known token.

    In any stage: the repository has them all.
    """
    of_stages = (
        _Environ(planned, planned.merged["environment"])
        for stage in stages_of(inputs)
        for planned in stage.tasks_under("secret-in-sight")
    )
    for environ in chain(_environs(inputs), of_stages):
        for name, value in environ.values.items():
            if is_in_sight(name, value):
                what = f"The value of {name} is plain text."
                fix = f'Put it into Secret Manager, and set secrets = {{ {name} = "SECRET" }}.'
                yield environ.finding(name, what, fix)


@rule("log-level-twice", why="One of the two has no effect.")
def level_twice(inputs: Inputs) -> Iterator[Finding]:
    """A log level that differs from UCAM_FAAS_LOG_LEVEL in the environment."""
    for environ in _environs(inputs):
        merged, variable = environ.planned.merged, environ.values.get(_LEVEL)
        level = merged["log_level"] if merged.origin("log_level").file else variable
        if variable not in (None, level):
            what = f"log_level is {level}, and {_LEVEL} is {variable}."
            yield environ.finding(_LEVEL, what, "Keep log_level, and leave out the variable.")


@rule("half-verified", why="The service does not start: either alone verifies nothing.")
def half_verified(inputs: Inputs) -> Iterator[Finding]:
    """An audience of tokens without their accounts, or accounts without an audience."""
    for environ, pair in product(_environs(inputs), _PAIRS):
        names = [
            name
            for name in pair
            if environ.values.get(name) or name in environ.planned.merged["secrets"]
        ]
        if len(names) == 1 and names[0] in environ.values:
            (missing,) = {*pair} - {*names}
            what = f"{names[0]} is set, and {missing} is not."
            yield environ.finding(names[0], what, "Set both or neither.")


@rule("variable-missing", why="The task fails each time.")
def variable_missing(inputs: Inputs) -> Iterator[Finding]:
    """A variable that a task's function reads as os.environ["…"], and that is set nowhere."""
    in_image = Path("Dockerfile")
    image = in_image.read_text(errors="replace") if in_image.is_file() else ""
    in_terraform = {deployment.planned.name: deployment for deployment in deployments(inputs)}
    for planned in inputs.planned:
        known = {*planned.environment, *planned.merged["secrets"]}
        if deployment := in_terraform.get(planned.name):
            known |= {*deployment.environ}
        for name, place in variables_read_by(planned.task):
            if name not in known and not name.startswith(_OF_PLATFORM) and name not in image:
                yield Finding(
                    place,
                    f"The task {planned.name!r} reads {name}, and it isn't set.",
                    f"Set it with environment= or secrets=, or read os.environ.get({name!r}).",
                    planned.name,
                )


@rule("secret-versions-differ", why="After a rotation, one of the tasks has the old value.")
def versions_differ(inputs: Inputs) -> Iterator[Finding]:
    """A secret that tasks have under one name, pinned to different versions."""
    project = (inputs.plan and inputs.plan.project) or "-"
    pinned: dict[tuple[str, str], dict[int, list[PlannedTask]]] = {}
    for planned in inputs.planned:
        for variable, text in planned.merged["secrets"].items():
            secret, version = secret_version(text, variable)
            full = secret if "/" in secret else f"projects/{project}/secrets/{secret}"
            if version.isdecimal():
                versions = pinned.setdefault((variable, full), {})
                versions.setdefault(int(version), []).append(planned)
    for (variable, secret), versions in pinned.items():
        newest = max(versions)
        for older in sorted(versions.keys() - {newest}):
            for planned in versions[older]:
                yield Finding(
                    configured(planned, "secrets", variable),
                    f"{variable} of the task {planned.name!r} is version {older} of the secret "
                    f"{secret.rpartition('/')[2]!r}, and of the task "
                    f"{versions[newest][0].name!r} version {newest}.",
                    "Pin both to one version. If the older is meant, ignore = "
                    '["secret-versions-differ"].',
                    planned.name,
                )


RULES = (
    variable_missing,
    versions_differ,
    refused,
    drain_too_long,
    unreachable,
    emulator_deployed,
    credentials_deployed,
    secret_in_sight,
    level_twice,
    half_verified,
)
