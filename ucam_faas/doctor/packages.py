"""Versions, packages and extras: what is installed, against what ucam-faas declares to need."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from ucam_faas.doctor.findings import Finding, Part
from ucam_faas.doctor.surroundings import Surroundings

if TYPE_CHECKING:
    from packaging.requirements import Requirement

NAME = "ucam-faas"
_VERSIONS, _EXTRAS = Part("versions"), Part("extras")
_NOT_FOR_USERS = {"dev", "docs"}


def versions(around: Surroundings) -> Iterator[Finding]:
    """Look at Python, ucam-faas, the command, and the packages that are always needed."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    yield _VERSIONS.ok(
        f"ucam-faas {metadata.version(NAME)}, {python}, {platform.platform(terse=True)}"
    )
    yield from _command(around.environ)
    problems = list(_problems(""))
    yield from problems
    if not problems:
        yield _VERSIONS.ok("all required packages have versions that fit")


def _command(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Look at the command that a shell would run."""
    path = shutil.which(NAME, path=environ.get("PATH", ""))
    own = Path(sys.prefix) / "bin"
    if path is None or Path(path).parent.resolve() == own.resolve():
        yield _VERSIONS.ok(f"installed in {sys.prefix}")
    elif (own / NAME).exists():
        yield _VERSIONS.wrong(
            "command-elsewhere",
            f"this is {own / NAME}, and your shell's `{NAME}` is {path}",
            "Activate the environment of your tasks, or call its command by its path.",
            f"source {own / 'activate'}",
        )


def _problems(extra: str) -> Iterator[Finding]:
    for requirement, version in _of(extra):
        command = f'pip install "{NAME}{f"[{extra}]" if extra else ""}"'
        if version is None:
            what = f"{requirement.name} isn't installed"
            yield _VERSIONS.wrong("package-missing", what, "Install ucam-faas again.", command)
        elif not requirement.specifier.contains(version, prereleases=True):
            yield _VERSIONS.wrong(
                "package-version",
                f"{requirement.name} is {version}; ucam-faas needs {requirement.specifier}",
                "Another package of yours may hold it back: `python -m pip check` says so. "
                "Otherwise install ucam-faas again.",
                command,
            )


@cache
def _of(extra: str) -> list[tuple[Requirement, str | None]]:
    """Return the requirements of an extra, or of the package itself, and the installed versions."""
    from packaging.requirements import Requirement

    pairs: list[tuple[Requirement, str | None]] = []
    for text in metadata.requires(NAME) or []:
        requirement = Requirement(text)
        marker = requirement.marker
        applies = marker is None or marker.evaluate({"extra": extra})
        if not applies or (extra and (marker is None or marker.evaluate({"extra": ""}))):
            continue
        if requirement.name == NAME:
            pairs += [pair for name in sorted(requirement.extras) for pair in _of(name)]
        else:
            pairs.append((requirement, _version(requirement.name)))
    return pairs


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def known() -> list[str]:
    """Return the extras that are for users."""
    extras = metadata.metadata(NAME).get_all("Provides-Extra") or []
    return sorted({*extras} - _NOT_FOR_USERS)


def missing(extra: str) -> list[str]:
    """Return the packages of an extra that aren't installed, or in another version."""
    return [
        requirement.name if version is None else f"{requirement.name}{requirement.specifier}"
        for requirement, version in _of(extra)
        if version is None or not requirement.specifier.contains(version, prereleases=True)
    ]


def extras(around: Surroundings) -> Iterator[Finding]:
    """Look at the extras: those that are installed, and those that the configuration needs."""
    lacking = {extra: names for extra in known() if (names := missing(extra))}
    installed = [extra for extra in known() if extra not in lacking]
    if installed:
        yield _EXTRAS.ok(f"installed: {', '.join(installed)}")
    wanted = needed(around)
    for extra, reason in wanted.items():
        if extra in lacking:
            yield _EXTRAS.wrong(
                "extra-missing",
                f"{reason} needs the extra `{extra}`, which lacks {', '.join(lacking.pop(extra))}",
                "Install it, and add it to the dependencies of your tasks.",
                f'pip install "{NAME}[{extra}]"',
            )
    if "local" in lacking and not around.is_deployed:
        yield _EXTRAS.wrong(
            "local-missing",
            f"`dev` and `emulator` need the extra `local`, which lacks "
            f"{', '.join(lacking.pop('local'))}",
            "Install it, unless this is a server.",
            f'pip install "{NAME}[local]"',
        )
    if lacking:
        yield _EXTRAS.unused(f"not installed, and not needed: {', '.join(lacking)}")


def needed(around: Surroundings) -> dict[str, str]:
    """Return the extras that the configuration needs, each with the reason."""
    settings, wanted = around.settings, {}
    store, _, _ = (settings.job_store or "").partition(":")
    if store in ("postgresql", "postgres"):
        wanted["postgresql"] = "UCAM_FAAS_JOB_STORE"
    if store == "firestore" and not settings.firestore_emulator:
        wanted["firestore"] = "UCAM_FAAS_JOB_STORE"
    if (settings.payloads or "").startswith("gs://"):
        wanted["storage"] = "UCAM_FAAS_PAYLOADS"
    if settings.input_bucket:
        wanted["storage"] = "INPUT_BUCKET"
    if settings.push_audience or settings.jobs_audience:
        wanted["auth"] = "the verification of tokens"
    if around.uses_google:
        wanted["pubsub"] = "Google's Pub/Sub"
    endpoints = (
        settings.otel_endpoint,
        settings.otel_traces_endpoint,
        settings.otel_metrics_endpoint,
    )
    if any(endpoints) and not settings.otel_disabled:
        wanted["otel"] = "the export of traces and metrics"
    if (around.folder / ".env").is_file():
        wanted["local"] = "the file .env"
    return wanted
