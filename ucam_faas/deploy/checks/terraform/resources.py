"""The resources of Terraform's plan, with the values that are known before the apply.

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
    """A value that is known after `terraform apply` only. It never breaks a rule."""

    UNKNOWN = "(known after apply)"


UNKNOWN: Final = Unknown.UNKNOWN
_BLOCK = re.compile(r'^\s*(module|resource)\s+"([^"]+)"(?:\s+"([^"]+)")?', re.MULTILINE)
_ACCOUNT = re.compile(r"google_service_account\.([\w-]+)")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Resource:
    """A resource as it will be.

    Args:
        module: address of its module; empty: the root module.
        unknown: shaped like the values, with True where a value is not known yet.
        expressions: the code of the values, shaped like them.
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
        """Return a value of the first of several blocks: None if it is absent, or UNKNOWN."""
        value: Any = self.values
        unknown: Any = self.unknown
        for part in path:
            value, unknown = _first(value), _first(unknown)
            value = value.get(part) if isinstance(value, Mapping) else None
            unknown = unknown.get(part) if isinstance(unknown, Mapping) else unknown is True
        return UNKNOWN if unknown is True and value is None else value

    def given(self, *path: str, default: Any) -> Any:
        """Return a value, or Google's default if the code leaves it out.

        Terraform says of a computed value that is left out that it is known after the apply. Not
        for values in `dynamic` blocks, whose code Terraform does not print.
        """
        value = self.get(*path)
        left_out = bool(self.expressions) and self._expression(path) is None
        return default if value is None or (value is UNKNOWN and left_out) else value

    def references(self, *path: str) -> Sequence[str]:
        """Return the names to which the code of a value refers."""
        expression = self._expression(path)
        names = expression.get("references") if isinstance(expression, Mapping) else None
        return names if isinstance(names, list) else []

    def _expression(self, path: Sequence[str]) -> Any:
        expression: Any = self.expressions
        for part in path:
            expression = _first(expression)
            expression = expression.get(part) if isinstance(expression, Mapping) else None
        return expression


def _first(value: Any) -> Any:
    """Return the first block of a list of them."""
    return (value[0] if value else None) if isinstance(value, list) else value


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ResourceChange:
    """A resource as it is, as it will be, and Terraform's way from one to the other.

    Args:
        before: None: it doesn't exist.
        after: None: it won't exist.
        actions: such as ("update",), or ("delete", "create"): it is replaced.
        reason: Terraform's, such as `replace_because_tainted`.
        causes: the attributes for which it is replaced.
    """

    before: Resource | None
    after: Resource | None
    actions: tuple[str, ...]
    reason: str
    causes: tuple[str, ...]

    @property
    def is_deleted(self) -> bool:
        """It is deleted, perhaps to make it again."""
        return "delete" in self.actions


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TerraformPlan:
    """The resources that will exist when a plan is applied.

    Args:
        name: of the folder or file, for messages.
        directory: the root module's.
        changes: also of resources that stay as they are.
    """

    name: str
    directory: Path
    resources: Sequence[Resource] = field(default_factory=tuple)
    changes: Sequence[ResourceChange] = field(default_factory=tuple)

    def of(self, *types: str) -> Iterator[Resource]:
        """Yield the resources of these types."""
        return (resource for resource in self.resources if resource.type in types)

    def account(self, resource: Resource, *path: str) -> str | Unknown | None:
        """Return the email of an account that a resource names.

        Terraform does not know the email of an account that it is about to make; its code may tell
        which account that is.
        """
        value = resource.get(*path)
        if not isinstance(value, Unknown):
            return None if not value else str(value).rpartition("/")[2].rpartition(":")[2]
        for reference in resource.references(*path):
            named = _ACCOUNT.match(reference)
            accounts = [
                account
                for account in self.of("google_service_account")
                if named and account.module == resource.module and account.name == named[1]
            ]
            if len(accounts) == 1:
                return email_of(accounts[0])
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
        ConfigurationError: the file cannot be read, or isn't a plan.
    """
    name = os.path.relpath(path)
    try:
        text = path.read_bytes().decode()
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{name} cannot be read: {error}.") from error
    return parse(text, name=name, directory=path.parent)


def read_state(path: Path) -> Sequence[Resource]:
    """Read the output of `terraform show -json`: the resources in a state.

    Raises:
        ConfigurationError: the file cannot be read, or isn't a state.
    """
    name = os.path.relpath(path)
    try:
        document = json.loads(path.read_bytes().decode())
        module = document["values"]["root_module"]
        return tuple(
            _resource(raw, module, Place(name, None, raw["address"]))
            for raw, module in _walk(module)
        )
    except OSError as error:
        raise ConfigurationError(f"{name} cannot be read: {error}.") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(
            f"{name} isn't a state of Terraform: expected the output of `terraform show -json`."
        ) from error


def _resource(
    raw: Mapping[str, Any],
    module: str,
    place: Place,
    *,
    values: Mapping[str, Any] | None = None,
    unknown: Mapping[str, Any] | None = None,
    expressions: Mapping[str, Any] | None = None,
) -> Resource:
    return Resource(
        address=raw["address"],
        module=module,
        type=raw["type"],
        name=raw["name"],
        values=(raw.get("values") if values is None else values) or {},
        unknown=unknown or {},
        expressions=expressions or {},
        place=place,
    )


def parse(text: str, *, name: str, directory: Path) -> TerraformPlan:
    """Read Terraform's plan.

    Args:
        name: of the file or folder, for messages.
        directory: the root module's.

    Raises:
        ConfigurationError: the text isn't a plan.
    """
    try:
        document = json.loads(text)
    except ValueError as error:
        raise ConfigurationError(f"{name} isn't JSON: {error}.") from error
    planned = document.get("planned_values") if isinstance(document, dict) else None
    if not isinstance(planned, dict):
        raise ConfigurationError(
            f"{name} isn't a plan of Terraform: expected the output of `terraform show -json PLAN`."
        )
    try:
        blocks = _blocks(directory)
        resources = tuple(_resources(document, planned, name, blocks))
        changes = tuple(_changes(document, name, blocks))
    except (AttributeError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"{name} isn't a plan in a format that is known: {type(error).__name__}: {error}."
        ) from error
    return TerraformPlan(name=name, directory=directory, resources=resources, changes=changes)


def _resources(
    document: Mapping[str, Any],
    planned: Mapping[str, Any],
    name: str,
    blocks: Mapping[tuple[str, ...], Place],
) -> Iterator[Resource]:
    unknown = {
        change["address"]: change["change"].get("after_unknown") or {}
        for change in document.get("resource_changes", [])
    }
    code = document.get("configuration", {}).get("root_module", {})
    for raw, module in _walk(planned.get("root_module", {})):
        yield _resource(
            raw,
            module,
            _place(blocks, module, raw) or Place(name, None, raw["address"]),
            unknown=unknown.get(raw["address"]),
            expressions=_code_of(code, module, raw).get("expressions"),
        )


def _changes(
    document: Mapping[str, Any], name: str, blocks: Mapping[tuple[str, ...], Place]
) -> Iterator[ResourceChange]:
    for raw in document.get("resource_changes", []):
        if raw.get("mode") != "managed":
            continue
        change, module = raw["change"], raw.get("module_address", "")
        place = _place(blocks, module, raw) or Place(name, None, raw["address"])
        before, after = change.get("before"), change.get("after")
        unknown = change.get("after_unknown")
        yield ResourceChange(
            before=before and _resource(raw, module, place, values=before),
            after=after and _resource(raw, module, place, values=after, unknown=unknown),
            actions=tuple(change.get("actions", ())),
            reason=raw.get("action_reason", ""),
            causes=tuple(dict.fromkeys(str(path[0]) for path in change.get("replace_paths", ()))),
        )


def _walk(module: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], str]]:
    for raw in module.get("resources", []):
        # Without values: Terraform forgets it.
        if raw.get("mode") == "managed" and "values" in raw:
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
    """Return the code of a resource."""
    for call in _calls(module):
        code = code.get("module_calls", {}).get(call, {}).get("module", {})
    resources: list[Mapping[str, Any]] = code.get("resources", [])
    wanted = (raw["type"], raw["name"])
    return next((code for code in resources if (code.get("type"), code.get("name")) == wanted), {})


def _blocks(directory: Path) -> dict[tuple[str, ...], Place]:
    """Return the places of the root module's blocks."""
    places: dict[tuple[str, ...], Place] = {}
    for file in sorted(directory.glob("*.tf")):
        text = file.read_text(errors="replace")
        for block in _BLOCK.finditer(text):
            key = tuple(part for part in block.groups() if part)
            line = text.count("\n", 0, block.start(1)) + 1
            places.setdefault(key, Place(os.path.relpath(file), line))
    return places


def _place(
    blocks: Mapping[tuple[str, ...], Place], module: str, raw: Mapping[str, Any]
) -> Place | None:
    """Return the place in the root module that makes a resource: its block, or a module call."""
    calls = _calls(module)
    key = ("module", calls[0]) if calls else ("resource", raw["type"], raw["name"])
    block = blocks.get(key)
    return block and Place(block.file, block.line, raw["address"])
