"""What a task asks of Cloud Run: memory, CPUs, instances, secrets, environment; service or job.

Sources of the limits: Google's pages "Configure memory limits", "Configure CPU limits", "Set
minimum instances", "Configure environment variables" and "Configure secrets" of Cloud Run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from fractions import Fraction
from typing import Any, Literal, NamedTuple, get_args

from ucam_faas.exceptions import TaskDefinitionError

RunAs = Literal["service", "job"]
"""How Cloud Run runs a task: see `Resources`."""
RUN_AS: tuple[RunAs, ...] = get_args(RunAs)
MEBIBYTE = 1024**2
MIN_MEMORY, MAX_MEMORY = 128 * MEBIBYTE, 32 * 1024 * MEBIBYTE
MIN_JOB_MEMORY = 512 * MEBIBYTE
WHOLE_CPUS = (1, 2, 4, 6, 8)
MIN_CPU = Fraction("0.08")

_UNITS = {"Mi": MEBIBYTE, "Gi": 1024 * MEBIBYTE, "M": 1000**2, "G": 1000**3}
_MEMORY = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)(Mi|Gi|M|G)")
_CPU = re.compile(r"([0-9]{1,2}(?:\.[0-9]{1,3})?)|([0-9]{1,4})m")
_ROOM = ((1, 4), (2, 8), (4, 16), (6, 24), (8, 32))
"""The most memory in GiB for so many CPUs."""
_LEAST = {4: 2, 6: 4, 8: 4}
"""The least memory in GiB for so many CPUs."""
RIVALS = {"environment": "secrets", "secrets": "environment"}
"""A variable is one or the other: what is said last."""
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET = re.compile(
    r"(?:projects/(?P<project>[^/:]+)/secrets/)?(?P<name>[A-Za-z0-9_-]{1,255})"
    r"(?:(?::|/versions/)(?P<version>latest|[1-9][0-9]*|[A-Za-z][A-Za-z0-9_-]{0,62}))?"
)
_TOKENS = (
    "AIza",
    "AKIA",
    "ghp_",
    "gho_",
    "github_pat_",
    "glpat-",
    "sk-",
    "sk_live_",
    "sk_test_",
    "xox",
)
"""How well-known providers' tokens begin: such a name may be the secret itself."""
_RESERVED = {
    "PORT": "Cloud Run sets it",
    "FUNCTION_TARGET": "the deployment sets it",
    "GOOGLE_CLOUD_PROJECT": "the deployment sets it",
    "LONG_RUNNING": 'the deployment sets it; write run_as="job"',
    "UCAM_FAAS_DEAD_LETTER_TOPIC": "the deployment sets it; write dead_letter_topic=…",
    "UCAM_FAAS_MAX_ATTEMPTS": "the deployment sets it; write retry=RetryPolicy(max_attempts=…)",
}
_RESERVED_PREFIXES = ("K_", "CLOUD_RUN_", "X_GOOGLE_")


class SecretVersion(NamedTuple):
    """A secret in Secret Manager: its short id or `projects/P/secrets/S`, and a version."""

    secret: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What is said about a task's resources in one place; None and empty: nothing is.

    Args:
        memory: of an instance, 128 MiB to 32 GiB (a job: from 512 MiB), such as "512Mi" or "2Gi".
        cpu: of an instance: 1, 2, 4, 6, 8, or from 0.08 to 1.
        min_instances: kept warm.
        max_instances: the most at a time.
        run_as: "service", which messages are pushed to; or "job", which runs once to its end.
        secrets: environment variable to secret: "api-key", "api-key:3", or
            "projects/P/secrets/S/versions/3". The version is "latest" unless one is named.
        environment: environment variable to value.

    Raises:
        TaskDefinitionError: Cloud Run would refuse it.
    """

    memory: str | None = None
    cpu: float | str | None = None
    min_instances: int | None = None
    max_instances: int | None = None
    run_as: RunAs | None = None
    secrets: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        memory = None if self.memory is None else memory_bytes(self.memory)
        cpu = None if self.cpu is None else cpu_count(self.cpu)
        if memory is not None and cpu is not None:
            _check_pair(self, memory, cpu)
        if self.run_as not in (None, *RUN_AS):
            raise TaskDefinitionError(
                f"run_as={self.run_as!r}: expected {' or '.join(map(repr, RUN_AS))}."
            )
        if self.run_as == "job":
            _check_job(self, memory, cpu)
        _check_instances(self.min_instances, self.max_instances)
        for name in ("secrets", "environment"):
            _check_variables(name, getattr(self, name))
            object.__setattr__(self, name, dict(getattr(self, name)))
        for variable, secret in self.secrets.items():
            secret_version(secret, variable)
        both = sorted(self.secrets.keys() & self.environment.keys())
        if both:
            raise TaskDefinitionError(
                f"{both[0]!r} is in secrets= and in environment=: keep one of them."
            )

    def given(self) -> dict[str, Any]:
        """Return what is said."""
        values = {spec.name: getattr(self, spec.name) for spec in fields(self)}
        return {name: value for name, value in values.items() if value is not None and value != {}}


def memory_bytes(text: str) -> int:
    """Return an amount of memory in bytes.

    Raises:
        TaskDefinitionError: it is none, or outside Cloud Run's limits.

    >>> memory_bytes("512Mi") == 512 * MEBIBYTE
    True
    """
    match = _MEMORY.fullmatch(text) if isinstance(text, str) else None
    amount = int(Fraction(match[1]) * _UNITS[match[2]]) if match else 0
    if not MIN_MEMORY <= amount <= MAX_MEMORY:
        raise TaskDefinitionError(
            f"memory={text!r}: expected 128Mi to 32Gi (Cloud Run's limits), such as "
            'memory="512Mi" or memory="2Gi".'
        )
    return amount


def cpu_count(value: float | str) -> Fraction:
    """Return a number of CPUs.

    Raises:
        TaskDefinitionError: it is none, or not one that Cloud Run has.

    >>> cpu_count(2), cpu_count("500m")
    (Fraction(2, 1), Fraction(1, 2))
    """
    match = None if isinstance(value, bool) else _CPU.fullmatch(str(value))
    cpus = Fraction(0)
    if match is not None:
        cpus = Fraction(match[1]) if match[1] else Fraction(int(match[2]), 1000)
    if not (MIN_CPU <= cpus < 1 or cpus in WHOLE_CPUS):
        raise TaskDefinitionError(
            f"cpu={value!r}: expected 1, 2, 4, 6 or 8, or a number from 0.08 to 1 (Cloud Run's "
            "choices)."
        )
    return cpus


def secret_version(text: str, variable: str) -> SecretVersion:
    """Return the secret that a text names.

    Raises:
        TaskDefinitionError: it names none.

    >>> secret_version("api-key:3", "API_KEY")
    SecretVersion(secret='api-key', version='3')
    """
    match = _SECRET.fullmatch(text) if isinstance(text, str) else None
    # Neither message repeats what was found: it may be the secret itself.
    if match is None:
        raise TaskDefinitionError(
            f"secrets: the value of {variable!r} is not the name of a secret in Secret Manager: "
            'expected "SECRET", "SECRET:VERSION" or "projects/P/secrets/S/versions/V".'
        )
    project = match["project"]
    if project is None and match["name"].startswith(_TOKENS):
        raise TaskDefinitionError(
            f"secrets: the value of {variable!r} begins as a provider's token does: expected the "
            "name of a secret in Secret Manager. If it is one, name it in full: "
            '"projects/P/secrets/S".'
        )
    full = f"projects/{project}/secrets/{match['name']}" if project else match["name"]
    return SecretVersion(full, match["version"] or "latest")


def _check_pair(found: Resources, memory: int, cpu: Fraction) -> None:
    gibibytes = Fraction(memory, 1024 * MEBIBYTE)
    least = _LEAST.get(int(cpu), 0)
    if gibibytes < least:
        raise TaskDefinitionError(
            f"cpu={found.cpu!r} needs memory of at least {least}Gi (Cloud Run's rule); found "
            f"memory={found.memory!r}."
        )
    room = next((most for cpus, most in _ROOM if cpu == cpus), 1)
    if cpu < Fraction(1, 2):
        room_text, fits = "512Mi", gibibytes <= Fraction(1, 2)
    else:
        room_text, fits = f"{room}Gi", gibibytes <= room
    if not fits:
        raise TaskDefinitionError(
            f"memory={found.memory!r} needs more CPUs (Cloud Run's rule): cpu={found.cpu!r} has "
            f"room for {room_text}."
        )


def _check_job(found: Resources, memory: int | None, cpu: Fraction | None) -> None:
    if memory is not None and memory < MIN_JOB_MEMORY:
        raise TaskDefinitionError(
            f'memory={found.memory!r} with run_as="job": expected at least 512Mi, because jobs run '
            "in Cloud Run's second generation environment."
        )
    if cpu is not None and cpu < 1:
        raise TaskDefinitionError(
            f'cpu={found.cpu!r} with run_as="job": expected at least 1, as every Cloud Run job.'
        )


def _check_instances(least: int | None, most: int | None) -> None:
    for name, value, lowest in (("min_instances", least, 0), ("max_instances", most, 1)):
        if value is not None and not (type(value) is int and value >= lowest):
            raise TaskDefinitionError(
                f"{name}={value!r}: expected a whole number of at least {lowest}."
            )
    if least is not None and most is not None and least > most:
        raise TaskDefinitionError(
            f"min_instances={least} is more than max_instances={most}: expected at most as many."
        )


def _check_variables(option: str, found: Any) -> None:
    if not isinstance(found, Mapping) or not all(isinstance(name, str) for name in found):
        raise TaskDefinitionError(f"{option}: expected a dict from variable to text.")
    for name, value in found.items():
        if not _VARIABLE.fullmatch(name):
            raise TaskDefinitionError(
                f"{option}: {name!r} is no name of an environment variable: expected letters, "
                "digits and _, the first no digit."
            )
        reserved = _RESERVED.get(name)
        if name.startswith(_RESERVED_PREFIXES):
            reserved = "Cloud Run keeps such names for itself"
        if reserved:
            raise TaskDefinitionError(f"{option}: {name!r} cannot be given: {reserved}.")
        if not isinstance(value, str):
            raise TaskDefinitionError(
                f"{option}: the value of {name!r} is of type {type(value).__name__}: expected text."
            )
