"""Terraform's plan: the resources that it will have made, and what is known of them before.

Source: HashiCorp's page "JSON Output Format" of Terraform.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Final

from ucam_faas.deploy.findings import Place
from ucam_faas.exceptions import ConfigurationError


class Unknown(Enum):
    """What only `terraform apply` will tell. No rule is broken by what is not known."""

    UNKNOWN = "(known after apply)"


UNKNOWN: Final = Unknown.UNKNOWN
_BLOCK = re.compile(r'^\s*(module|resource)\s+"([^"]+)"(?:\s+"([^"]+)")?', re.MULTILINE)
_ACCOUNT = re.compile(r"google_service_account\.([\w-]+)")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Resource:
    """A resource as it will be.

    Args:
        module: address of the module that it is in; empty: the root module.
        unknown: shaped as the values, True where one is not known yet.
        expressions: what the code says, shaped as the values.
    """

    address: str
    module: str
    type: str
    name: str
    values: Mapping[str, Any]
    unknown: Mapping[str, Any]
    expressions: Mapping[str, Any]
    place: Place

    def get(self, *path: str) -> Any:
        """Return a value, of the first of several blocks: None if there is none, or UNKNOWN."""
        value: Any = self.values
        unknown: Any = self.unknown
        for part in path:
            value, unknown = _first(value), _first(unknown)
            value = value.get(part) if isinstance(value, Mapping) else None
            unknown = unknown.get(part) if isinstance(unknown, Mapping) else unknown is True
        return UNKNOWN if unknown is True and value is None else value

    def given(self, *path: str, default: Any) -> Any:
        """Return a value, or Google's default if the code leaves it out.

        What is left out and computed is not known before an apply, as Terraform has it. Not for
        what may stand in a `dynamic` block: Terraform does not say what is in those.
        """
        value = self.get(*path)
        left_out = bool(self.expressions) and not self._is_said(path)
        return default if value is None or (value is UNKNOWN and left_out) else value

    def _is_said(self, path: Sequence[str]) -> bool:
        found: Any = self.expressions
        for part in path:
            found = _first(found)
            found = found.get(part) if isinstance(found, Mapping) else None
        return found is not None

    def references(self, *path: str) -> Sequence[str]:
        """Return what the code of a value refers to."""
        found: Any = self.expressions
        for part in path:
            found = _first(found)
            found = found.get(part) if isinstance(found, Mapping) else None
        found = found.get("references") if isinstance(found, Mapping) else None
        return found if isinstance(found, list) else []


def _first(value: Any) -> Any:
    """Return the first block of a list of them."""
    return (value[0] if value else None) if isinstance(value, list) else value


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TerraformPlan:
    """What there will be when a plan is applied.

    Args:
        name: of the folder or file, as people are shown it.
    """

    name: str
    resources: Sequence[Resource] = field(default_factory=tuple)

    def of(self, *types: str) -> Iterator[Resource]:
        """Yield the resources of these types."""
        return (one for one in self.resources if one.type in types)

    def account(self, resource: Resource, *path: str) -> str | Unknown | None:
        """Return the email of an account that a resource names.

        Before the account is made its email is not known, but that it is made here may be.
        """
        value = resource.get(*path)
        if not isinstance(value, Unknown):
            return None if not value else str(value).rpartition("/")[2].rpartition(":")[2]
        for reference in resource.references(*path):
            named = _ACCOUNT.match(reference)
            found = [
                one
                for one in self.of("google_service_account")
                if named and one.module == resource.module and one.name == named[1]
            ]
            if len(found) == 1:
                return email_of(found[0])
        return UNKNOWN


def email_of(account: Resource) -> str | Unknown:
    """Return the email that a service account will have."""
    known = account.get("email")
    name, project = account.get("account_id"), account.get("project")
    if isinstance(known, str):
        return known
    both = isinstance(name, str) and isinstance(project, str)
    return f"{name}@{project}.iam.gserviceaccount.com" if both else UNKNOWN


def read(path: Path) -> TerraformPlan:
    """Read the output of `terraform show -json PLAN`.

    Raises:
        ConfigurationError: it cannot be read, or is none.
    """
    name = os.path.relpath(path)
    try:
        text = path.read_bytes().decode()
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{name} cannot be read: {error}.") from error
    return parse(text, name=name, directory=path.parent)


def parse(text: str, *, name: str, directory: Path) -> TerraformPlan:
    """Read Terraform's plan.

    Args:
        name: of the file or folder, as people are shown it.
        directory: of the root module, where its files are.

    Raises:
        ConfigurationError: it is none.
    """
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ConfigurationError(f"{name} is no JSON: {error}.") from error
    planned = found.get("planned_values") if isinstance(found, dict) else None
    if not isinstance(planned, dict):
        raise ConfigurationError(
            f"{name} is no plan of Terraform: expected the output of `terraform show -json PLAN`."
        )
    try:
        resources = tuple(_resources(found, planned, name, _blocks(directory)))
    except (AttributeError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"{name} is no plan of Terraform that is known: {type(error).__name__}: {error}."
        ) from error
    return TerraformPlan(name=name, resources=resources)


def _resources(
    found: Mapping[str, Any],
    planned: Mapping[str, Any],
    name: str,
    blocks: Mapping[tuple[str, ...], Place],
) -> Iterator[Resource]:
    unknown = {
        change["address"]: change["change"].get("after_unknown") or {}
        for change in found.get("resource_changes", [])
    }
    code = found.get("configuration", {}).get("root_module", {})
    for raw, module in _walk(planned.get("root_module", {})):
        yield Resource(
            address=raw["address"],
            module=module,
            type=raw["type"],
            name=raw["name"],
            values=raw.get("values") or {},
            unknown=unknown.get(raw["address"], {}),
            expressions=_code_of(code, module, raw).get("expressions", {}),
            place=_place(blocks, module, raw) or Place(name, None, raw["address"]),
        )


def _walk(module: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], str]]:
    for raw in module.get("resources", []):
        if raw.get("mode") == "managed":
            yield raw, module.get("address", "")
    for child in module.get("child_modules", []):
        yield from _walk(child)


def _calls(module: str) -> list[str]:
    """Return the names of the calls that lead to a module.

    >>> _calls('module.tasks.module.task["a.module.b"]')
    ['tasks', 'task']
    """
    return re.findall(
        r"(?:^|\.)module\.([\w-]+)", re.sub(r'\[(?:"(?:\\.|[^"])*"|\d+)\]', "", module)
    )


def _code_of(code: Mapping[str, Any], module: str, raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what the code says of a resource."""
    for call in _calls(module):
        code = code.get("module_calls", {}).get(call, {}).get("module", {})
    for one in code.get("resources", []):
        if (one.get("type"), one.get("name")) == (raw["type"], raw["name"]):
            found: Mapping[str, Any] = one
            return found
    return {}


def _blocks(directory: Path) -> dict[tuple[str, ...], Place]:
    """Return where the blocks of the root module stand."""
    found: dict[tuple[str, ...], Place] = {}
    for file in sorted(directory.glob("*.tf")):
        text = file.read_text(errors="replace")
        for block in _BLOCK.finditer(text):
            key = tuple(part for part in block.groups() if part)
            line = text.count("\n", 0, block.start(1)) + 1
            found.setdefault(key, Place(os.path.relpath(file), line))
    return found


def _place(
    blocks: Mapping[tuple[str, ...], Place], module: str, raw: Mapping[str, Any]
) -> Place | None:
    """Return where the root module makes a resource: its block, or that of the call."""
    calls = _calls(module)
    key = ("module", calls[0]) if calls else ("resource", raw["type"], raw["name"])
    found = blocks.get(key)
    return found and Place(found.file, found.line, raw["address"])
