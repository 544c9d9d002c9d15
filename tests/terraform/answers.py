"""Answers of `terraform … -json` as values: diagnostics, plans, states and test results."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """An error or warning of terraform's."""

    severity: str
    summary: str
    detail: str
    address: str
    file: str

    def __str__(self) -> str:
        where = " ".join(part for part in (self.file, self.address) if part)
        return f"{where}: {self.summary} {self.detail}".strip()


@dataclass(frozen=True, slots=True)
class Resource:
    """A planned or existing resource or data source; attributes not known yet are missing."""

    address: str
    mode: str
    """managed or data."""
    type: str
    name: str
    index: str | int | None
    values: dict[str, Any]
    depends_on: list[str]
    """In a state: the addresses, without index, of the resources made before this one."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A plan or a state."""

    json: dict[str, Any]
    """The output of `terraform show -json`."""
    resources: list[Resource]
    outputs: dict[str, Any]

    def of(self, type_name: str, name: str | None = None) -> list[Resource]:
        """Return the resources of a type, and of a name if there is one, in all modules."""
        return [
            resource
            for resource in self.resources
            if resource.type == type_name and name in (None, resource.name)
        ]

    def at(self, address: str) -> Resource:
        """Return the resource with this address."""
        resources = {resource.address: resource for resource in self.resources}
        assert address in resources, f"no {address}; there are {', '.join(sorted(resources))}"
        return resources[address]


@dataclass(frozen=True, slots=True)
class Run:
    """One `run` block of a test file."""

    file: str
    name: str
    status: str
    """pass, fail, error or skip."""


@dataclass(frozen=True, slots=True)
class TestReport:
    """The results of `terraform test`."""

    __test__ = False

    runs: list[Run]
    diagnostics: list[Diagnostic]

    @property
    def failed(self) -> list[Run]:
        """The runs that did not pass."""
        return [run for run in self.runs if run.status != "pass"]


def lines_of(output: str) -> Iterator[dict[str, Any]]:
    for line in output.splitlines():
        if line.startswith("{"):
            yield json.loads(line)


def errors_in(lines: Iterable[dict[str, Any]]) -> list[Diagnostic]:
    diagnostics = [
        to_diagnostic(line["diagnostic"]) for line in lines if line["type"] == "diagnostic"
    ]
    return [diagnostic for diagnostic in diagnostics if diagnostic.severity == "error"]


def to_diagnostic(document: dict[str, Any]) -> Diagnostic:
    return Diagnostic(
        severity=document["severity"],
        summary=document["summary"],
        detail=document.get("detail", ""),
        address=document.get("address", ""),
        file=document.get("range", {}).get("filename", ""),
    )


def to_snapshot(shown: dict[str, Any], values: dict[str, Any]) -> Snapshot:
    outputs = {name: output.get("value") for name, output in values.get("outputs", {}).items()}
    return Snapshot(shown, list(_resources(values.get("root_module", {}))), outputs)


def _resources(module: dict[str, Any]) -> Iterator[Resource]:
    for raw in module.get("resources", []):
        yield Resource(
            address=raw["address"],
            mode=raw["mode"],
            type=raw["type"],
            name=raw["name"],
            index=raw.get("index"),
            values=raw.get("values", {}),  # none: Terraform forgets it
            depends_on=raw.get("depends_on", []),
        )
    for child in module.get("child_modules", []):
        yield from _resources(child)
