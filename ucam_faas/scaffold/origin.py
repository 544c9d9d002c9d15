"""Where a new collection gets ucam_faas from: its dependency, and the Terraform module."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import distribution, version
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ucam_faas.exceptions import ConfigurationError

_MODULE = "terraform/modules/collection"
PLACEHOLDER = "https://git.example.org/TEAM/ucam_faas.git"
"""Of the address of ucam_faas's repository: only released packages know it."""
_VERSION = r"(?P<major>[0-9]+)(\.[0-9]+)*((a|b|rc)[0-9]+)?"
_IN_GIT = r"git\+(?P<address>[a-z]+://[^/]*/[^@]+)@(?P<ref>[^@#]+)"


@dataclass(frozen=True, slots=True)
class Origin:
    """A version of ucam_faas.

    Args:
        dependency: as `pyproject.toml` names it.
        module: the `source` of Terraform's module.
        checkout: the folder that it is installed from instead; None: none.
        note: what the reader still has to do; empty: nothing.
    """

    dependency: str
    module: str
    checkout: Path | None = None
    note: str = ""


def of_text(text: str) -> Origin:
    """Return the origin that an option names.

    >>> of_text("2.0.1").dependency
    'ucam-faas>=2.0.1,<3'
    >>> of_text("git+https://git.example.org/faas.git@v2").module
    'git::https://git.example.org/faas.git//terraform/modules/collection?ref=v2'

    Raises:
        ConfigurationError: it isn't a version, an address in git or a folder.
    """
    if number := re.fullmatch(_VERSION, text):
        _check_major(number["major"], text)
        return _of_version(text)
    if in_git := re.fullmatch(_IN_GIT, text):
        return _of_git(in_git["address"], in_git["ref"])
    if (Path(text) / _MODULE).is_dir():
        return _of_folder(Path(text).resolve(), version("ucam-faas"))
    raise ConfigurationError(
        f"--ucam-faas {text!r} can't be used: expected a version such as 2.0.0, an address "
        "such as git+https://HOST/TEAM/ucam_faas.git@COMMIT, or the folder of a checkout."
    )


def _check_major(major: str, text: str) -> None:
    own = version("ucam-faas")
    if major != own.partition(".")[0]:
        raise ConfigurationError(
            f"--ucam-faas {text!r} can't be used: this is ucam-faas {own}, which writes files for "
            f"versions {own.partition('.')[0]}.x. Each later version has a `ucam-faas new` of its "
            "own: install that one first."
        )


def of_installed() -> Origin:
    """Return the origin of the installed package."""
    installed = distribution("ucam-faas")
    record = json.loads(installed.read_text("direct_url.json") or "{}")
    return of_record(record, installed.version)


def repository_of(urls: Iterable[str]) -> str:
    """Return the repository among a package's addresses (Project-URL), or the placeholder."""
    names = dict(url.split(", ", 1) for url in urls)
    return names.get("Repository", PLACEHOLDER)


def with_repository(origin: Origin, text: str) -> Origin:
    """Return the origin with the repository that a `main.tf` names, if it isn't known otherwise."""
    in_git = re.search(rf'"git::([^"]+)//{_MODULE}\?', text)
    if in_git is None or PLACEHOLDER not in origin.module:
        return origin
    return replace(origin, module=origin.module.replace(PLACEHOLDER, in_git[1]))


def of_record(record: Mapping[str, Any], version: str) -> Origin:
    """Return the origin that an installer recorded (PEP 610).

    Args:
        record: the content of `direct_url.json`; empty: the package comes from an index.
        version: of the package.
    """
    address = record.get("url", "")
    if commit := record.get("vcs_info", {}).get("commit_id"):
        return _of_git(address, commit)
    folder = Path(unquote(urlsplit(address).path))
    if "dir_info" in record and (folder / _MODULE).is_dir():
        return _of_folder(folder, version)
    origin = _of_version(version)
    return replace(origin, dependency=f"ucam-faas @ {address}") if address else origin


def _of_git(address: str, ref: str) -> Origin:
    address = re.sub("^file:///", "file://localhost/", address)  # pip 23.2 refuses an empty host
    return Origin(f"ucam-faas @ git+{address}@{ref}", f"git::{address}//{_MODULE}?ref={ref}")


def _of_folder(folder: Path, version: str) -> Origin:
    return Origin(
        _of_version(version).dependency,
        # Terraform copies the folder before the //, which has all that the module uses.
        f"{folder / 'terraform'}//modules/collection",
        # Not as an address in the dependency: pip keeps a wheel of it, and ignores later changes.
        checkout=folder,
        note="Makefile and deploy/main.tf name the folder of ucam_faas on this machine. Colleagues "
        "and CI need a commit or a version: docs/own-project.md.",
    )


def _of_version(version: str) -> Origin:
    major = int(version.partition(".")[0])
    repository = repository_of(distribution("ucam-faas").metadata.get_all("Project-URL") or ())
    return Origin(
        f"ucam-faas>={version},<{major + 1}",
        f"git::{repository}//{_MODULE}?ref=v{version}",
        note="Write the address of the repository of ucam_faas into deploy/main.tf."
        if repository == PLACEHOLDER
        else "",
    )
