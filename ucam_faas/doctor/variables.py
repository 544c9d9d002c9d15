"""Environment variables and the `.env` file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import fields
from pathlib import Path

from ucam_faas.config import Settings, mistyped
from ucam_faas.dev.env_file import NAME, EnvFile
from ucam_faas.doctor.findings import Finding, Part
from ucam_faas.exceptions import ConfigurationError, MissingExtraError

_PART = Part("variables")


def read(
    folder: Path, environ: MutableMapping[str, str], project: str | None
) -> tuple[Settings, list[Finding]]:
    """Return the settings, and the findings.

    Args:
        folder: of the tasks.
        environ: of this process; it gets the variables of `.env`.
        project: that the command line names.
    """
    findings: list[Finding] = []
    env_file = EnvFile(folder / NAME, environ)
    try:
        env_file.load()
    except MissingExtraError:
        pass  # the extras are looked at
    except ConfigurationError as error:
        findings.append(_PART.wrong("env-file", _clause(error), "Correct it, or delete the file."))
    settings = Settings(project=project)
    try:
        settings = Settings.from_environ(environ, project=project)
    except ConfigurationError as error:
        findings.append(_PART.wrong("variable-wrong", _clause(error), "Correct it, or unset it."))
    findings += _unknown(environ)
    if not findings:
        findings.append(_PART.ok(_summary(environ, env_file.loaded)))
    return settings, findings


def _clause(error: Exception) -> str:
    return str(error).rstrip(".")


def _unknown(environ: Mapping[str, str]) -> Iterator[Finding]:
    for name, hint in mistyped(environ).items():
        yield _PART.wrong(
            "variable-unknown", f"{name} is set, and not used", f"{hint[0].upper()}{hint[1:]}"
        )


def _summary(environ: Mapping[str, str], loaded: Mapping[str, str]) -> str:
    """Return the names, and no values: they may be secrets."""
    known = {spec.metadata["variable"] for spec in fields(Settings)}
    names = [
        f"{name} ({NAME})" if name in loaded else name
        for name in sorted(known)
        if environ.get(name)
    ]
    if not names:
        return "no variable of ucam-faas is set" + (f"; {NAME} has others" if loaded else "")
    return f"set: {', '.join(names)}"
