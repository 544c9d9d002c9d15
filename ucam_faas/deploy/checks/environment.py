"""Rules of environment variables: those that stop the container, and secrets among them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ucam_faas.config import Settings
from ucam_faas.deploy.checks.rule import rule
from ucam_faas.deploy.checks.subject import Subject, configured
from ucam_faas.deploy.checks.terraform.deployed import deployed
from ucam_faas.deploy.findings import Fault, Place
from ucam_faas.deploy.plan import PlannedTask
from ucam_faas.deploy.secret_names import looks_secret
from ucam_faas.exceptions import ConfigurationError

SECONDS_TO_END = 10
GRACE = "UCAM_FAAS_GRACE_SECONDS"
_LEVEL = "UCAM_FAAS_LOG_LEVEL"
_PUSH = ("UCAM_FAAS_PUSH_AUDIENCE", "UCAM_FAAS_PUSH_EMAIL")
_ONLY_HERE = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class _Environ:
    """The variables of a task: those of the configuration, or those that Terraform adds."""

    one: PlannedTask
    values: Mapping[str, str]
    terraform: Place | None = None

    def fault(self, name: str, what: str, fix: str) -> Fault:
        place = self.terraform or configured(self.one, "environment", name)
        return Fault(place, what, fix, self.one.task.name)


def _environs(subject: Subject) -> Iterator[_Environ]:
    for one in subject.planned:
        yield _Environ(one, one.merged["environment"])
    for found in deployed(subject):
        planned = found.one.merged["environment"]
        added = {
            name: value
            for name, value in found.environ.items()
            if isinstance(value, str) and planned.get(name) != value
        }
        yield _Environ(found.one, added, found.run.place)


@rule("variable-refused", why="The container ends when it starts.")
def refused(subject: Subject) -> Iterator[Fault]:
    """A variable of ours with a value that it cannot have."""
    for found in _environs(subject):
        environ = found.values
        for name, value in environ.items():
            try:
                Settings.from_environ({name: value})
            except ConfigurationError as error:
                yield found.fault(name, str(error), "Correct the value; see docs/configuration.md.")


@rule(
    "drain-too-long",
    why=f"Cloud Run kills the container {SECONDS_TO_END} s after SIGTERM: what still runs is cut "
    "off instead of being given back.",
)
def drain_too_long(subject: Subject) -> Iterator[Fault]:
    """A time for running work to end that is not under 10 s."""
    for found in _environs(subject):
        environ = found.values
        if GRACE in environ and _number(environ[GRACE]) >= SECONDS_TO_END:
            what = f"{GRACE} is {environ[GRACE]}."
            yield found.fault(GRACE, what, f"Leave it out (8 s), or stay under {SECONDS_TO_END}.")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0


@rule("unreachable", why="Cloud Run cannot reach the port: the deployment fails.")
def unreachable(subject: Subject) -> Iterator[Fault]:
    """A HOST that listens to the container alone."""
    for found in _environs(subject):
        environ = found.values
        if environ.get("HOST") in _ONLY_HERE:
            yield found.fault("HOST", f"HOST is {environ['HOST']}.", "Leave it out.")


@rule("emulator-deployed", why="What the task publishes goes to an emulator that is not there.")
def emulator_deployed(subject: Subject) -> Iterator[Fault]:
    """The address of a Pub/Sub emulator."""
    name = "PUBSUB_EMULATOR_HOST"
    for found in _environs(subject):
        environ = found.values
        if environ.get(name):
            yield found.fault(name, f"{name} is {environ[name]}.", "Leave it out.")


@rule("secret-in-sight", why="Who may look at the service, the plan or the repository may read it.")
def secret_in_sight(subject: Subject) -> Iterator[Fault]:
    """A variable that is named like a secret, as plain text."""
    for found in _environs(subject):
        environ = found.values
        for name in environ:
            if looks_secret(name) and re.search("[A-Za-z]", environ[name]):  # MAX_TOKENS is none
                what = f"The value of {name} is plain text."
                fix = f'Put it into Secret Manager, and say secrets = {{ {name} = "SECRET" }}.'
                yield found.fault(name, what, fix)


@rule("log-level-twice", why="One of them is believed to be in force, and is not.")
def level_twice(subject: Subject) -> Iterator[Fault]:
    """A log level that differs from UCAM_FAAS_LOG_LEVEL in the environment."""
    for found in _environs(subject):
        environ = found.values
        said = bool(found.one.merged.origin("log_level").file)
        if _LEVEL in environ and said and environ[_LEVEL] != found.one.merged["log_level"]:
            what = (
                f"log_level is {found.one.merged['log_level']}, and {_LEVEL} is {environ[_LEVEL]}."
            )
            yield found.fault(_LEVEL, what, "Keep log_level, and leave out the variable.")


@rule("push-half-verified", why="The service does not start: either alone verifies nothing.")
def half_verified(subject: Subject) -> Iterator[Fault]:
    """One of UCAM_FAAS_PUSH_AUDIENCE and UCAM_FAAS_PUSH_EMAIL without the other."""
    for found in _environs(subject):
        environ = found.values
        given = [name for name in _PUSH if environ.get(name) or name in found.one.merged["secrets"]]
        if len(given) == 1 and given[0] in environ:
            (missing,) = {*_PUSH} - {*given}
            what = f"{given[0]} is set, and {missing} is not."
            yield found.fault(given[0], what, "Give both or none.")


RULES = (
    refused,
    drain_too_long,
    unreachable,
    emulator_deployed,
    secret_in_sight,
    level_twice,
    half_verified,
)
