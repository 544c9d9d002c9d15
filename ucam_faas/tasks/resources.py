"""Cloud Run's limits of a task's resources: memory, CPUs, instances, secrets, environment, callers.

Sources of the limits: Google's pages "Configure memory limits", "Configure CPU limits", "Set
minimum instances", "About maximum instances", "Configure environment variables" and "Configure
secrets" of Cloud Run, and "Principal identifiers" of IAM.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Literal, NamedTuple, get_args

from ucam_faas.exceptions import TaskDefinitionError

RunAs = Literal["service", "worker", "cloud-run-job"]
"""A service, to which messages are pushed; a worker, which pulls them; or a Cloud Run job, which
runs once to its end."""
RUN_AS: tuple[RunAs, ...] = get_args(RunAs)
_SECOND_GENERATION = {"cloud-run-job": "Cloud Run job", "worker": "worker pool"}
"""Resources in Cloud Run's second generation environment, by `run_as`."""
MEBIBYTE = 1024**2
MIN_MEMORY, MAX_MEMORY = 128 * MEBIBYTE, 32 * 1024 * MEBIBYTE
MIN_MEMORY_2ND_GENERATION = 512 * MEBIBYTE
WHOLE_CPUS = (1, 2, 4, 6, 8)
MIN_CPU = Fraction("0.08")

_UNITS = {"Mi": MEBIBYTE, "Gi": 1024 * MEBIBYTE, "M": 1000**2, "G": 1000**3}
_MEMORY = r"([0-9]{1,6}(?:\.[0-9]{1,3})?)(Mi|Gi|M|G)"  # compiled when it is first needed
_CPU = r"([0-9]{1,2}(?:\.[0-9]{1,3})?)|([0-9]{1,4})m"
_ROOM = ((1, 4), (2, 8), (4, 16), (6, 24), (8, 32))
"""The most memory in GiB for so many CPUs."""
_LEAST = {4: 2, 6: 4, 8: 4}
"""The least memory in GiB for so many CPUs."""
_VARIABLE = r"[A-Za-z_][A-Za-z0-9_]*"
_SECRET = (
    r"(?:projects/(?P<project>[^/:]+)/secrets/)?(?P<name>[A-Za-z0-9_-]{1,255})"
    r"(?:(?::|/versions/)(?P<version>latest|[1-9][0-9]*|[A-Za-z][A-Za-z0-9_-]{0,62}))?"
)
_MEMBER = (
    r"allUsers|allAuthenticatedUsers|(?:user|group|serviceAccount):[^@\s]+@[^@\s]+"
    r"|domain:[^@:\s]+|(?:principal|principalSet)://\S+"
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
"""How well-known providers' tokens begin: a name like that may be the secret itself."""
_RESERVED = {
    "PORT": "Cloud Run sets it",
    "FUNCTION_TARGET": "the deployment sets it",
    "GOOGLE_CLOUD_PROJECT": "the deployment sets it",
    "LONG_RUNNING": 'the deployment sets it; write run_as="cloud-run-job"',
    "UCAM_FAAS_DEAD_LETTER_TOPIC": "the deployment sets it; write dead_letter_topic=…",
    "UCAM_FAAS_HEALTH_PORT": "the deployment sets it",
    "UCAM_FAAS_EXISTING_TOPICS": "the deployment sets it; write existing_topics in the file",
    "UCAM_FAAS_NAME_PREFIX": "the deployment sets it; write name_prefix in the file",
    "UCAM_FAAS_MAX_ATTEMPTS": "the deployment sets it; write retry=RetryPolicy(max_attempts=…)",
}
_RESERVED_PREFIXES = ("K_", "CLOUD_RUN_", "X_GOOGLE_")


class SecretVersion(NamedTuple):
    """A secret in Secret Manager: its short id or `projects/P/secrets/S`, and a version."""

    secret: str
    version: str


def memory_bytes(text: str) -> int:
    """Return an amount of memory in bytes.

    Raises:
        TaskDefinitionError: it is not an amount, or outside Cloud Run's limits.

    >>> memory_bytes("512Mi") == 512 * MEBIBYTE
    True
    """
    match = re.fullmatch(_MEMORY, text) if isinstance(text, str) else None
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
        TaskDefinitionError: it is not a number, or not one that Cloud Run offers.

    >>> cpu_count(2), cpu_count("500m")
    (Fraction(2, 1), Fraction(1, 2))
    """
    match = None if isinstance(value, bool) else re.fullmatch(_CPU, str(value))
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
        TaskDefinitionError: it does not name a secret.

    >>> secret_version("api-key:3", "API_KEY")
    SecretVersion(secret='api-key', version='3')
    """
    match = re.fullmatch(_SECRET, text) if isinstance(text, str) else None
    # Neither message repeats the text: it may be the secret itself.
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


def check_together(options: Mapping[str, Any]) -> None:
    """Refuse options that are right one by one, and that Cloud Run refuses together.

    Args:
        options: by name; those that are missing are not compared.

    Raises:
        TaskDefinitionError: with the rule.
    """
    memory, cpu = options.get("memory"), options.get("cpu")
    if memory is not None and cpu is not None:
        _check_pair(memory, cpu)
    run_as = options.get("run_as", "service")
    if run_as in _SECOND_GENERATION:
        _check_second_generation(run_as, memory, cpu)
    least, most = options.get("min_instances"), options.get("max_instances")
    if least is not None and most is not None and least > most:
        raise TaskDefinitionError(
            f"min_instances={least} is more than max_instances={most}: expected at most as many."
        )
    secrets, environment = options.get("secrets") or {}, options.get("environment") or {}
    for variable in sorted(secrets.keys() & environment.keys()):
        raise TaskDefinitionError(
            f"{variable!r} is in secrets= and in environment=: keep one of them."
        )


def _check_pair(memory: str, cpu: float | str) -> None:
    gibibytes, cpus = Fraction(memory_bytes(memory), 1024 * MEBIBYTE), cpu_count(cpu)
    least = _LEAST.get(int(cpus), 0)
    if gibibytes < least:
        raise TaskDefinitionError(
            f"cpu={cpu!r} needs memory of at least {least}Gi (Cloud Run's rule); found "
            f"memory={memory!r}."
        )
    room = next((most for number, most in _ROOM if cpus == number), 1)
    if cpus < Fraction(1, 2):
        room_text, fits = "512Mi", gibibytes <= Fraction(1, 2)
    else:
        room_text, fits = f"{room}Gi", gibibytes <= room
    if not fits:
        raise TaskDefinitionError(
            f"memory={memory!r} needs more CPUs (Cloud Run's rule): cpu={cpu!r} has "
            f"room for {room_text}."
        )


def _check_second_generation(run_as: str, memory: str | None, cpu: float | str | None) -> None:
    kind = _SECOND_GENERATION[run_as]
    if memory is not None and memory_bytes(memory) < MIN_MEMORY_2ND_GENERATION:
        raise TaskDefinitionError(
            f'memory={memory!r} with run_as="{run_as}": expected at least 512Mi, because '
            f"{kind}s run in the second generation environment."
        )
    if cpu is not None and cpu_count(cpu) < 1:
        raise TaskDefinitionError(
            f'cpu={cpu!r} with run_as="{run_as}": expected at least 1, as every {kind}.'
        )


def check_run_as(value: Any) -> None:
    """Refuse all but "service", "worker" and "cloud-run-job".

    Raises:
        TaskDefinitionError: with the three.
    """
    if value == "job":
        raise TaskDefinitionError(
            "run_as='job': expected 'service', 'worker' or 'cloud-run-job'. Write 'cloud-run-job': "
            "a job is what task.send(…) makes. The deployed Cloud Run job stays as it is."
        )
    if value not in RUN_AS:
        raise TaskDefinitionError(
            f"run_as={value!r}: expected 'service', 'worker' or 'cloud-run-job'."
        )


def check_instances(option: str, value: Any, *, least: int) -> None:
    """Refuse a number of instances that Cloud Run cannot have.

    Raises:
        TaskDefinitionError: with the least.
    """
    if not (type(value) is int and value >= least):
        raise TaskDefinitionError(
            f"{option}={value!r}: expected a whole number of at least {least}."
        )


def check_variables(option: str, variables: Any) -> None:
    """Refuse environment variables that cannot be set.

    Raises:
        TaskDefinitionError: with the expected form.
    """
    if not isinstance(variables, Mapping) or not all(isinstance(name, str) for name in variables):
        raise TaskDefinitionError(f"{option}: expected a dict from variable to text.")
    for name, value in variables.items():
        if not re.fullmatch(_VARIABLE, name):
            raise TaskDefinitionError(
                f"{option}: {name!r} is not a name of an environment variable: expected letters, "
                "digits and _, a letter or _ first."
            )
        reserved = _RESERVED.get(name)
        if name.startswith(_RESERVED_PREFIXES):
            reserved = "Cloud Run reserves such names"
        if reserved:
            raise TaskDefinitionError(f"{option}: {name!r} cannot be given: {reserved}.")
        if not isinstance(value, str):
            raise TaskDefinitionError(
                f"{option}: the value of {name!r} is of type {type(value).__name__}: expected text."
            )


def check_member(member: Any) -> None:
    """Refuse all but a member of an IAM policy.

    Raises:
        TaskDefinitionError: with the forms of members.
    """
    if not (isinstance(member, str) and re.fullmatch(_MEMBER, member)):
        raise TaskDefinitionError(
            f"invokers: {member!r} is not a member of an IAM policy: expected allUsers, "
            "allAuthenticatedUsers, or a kind and a name, such as group:team@example.org, "
            "user:ada@example.org or serviceAccount:shop@my-project.iam.gserviceaccount.com."
        )
