"""The values that Google would give: made up, believable, and the same each time.

`identities.toml` says what ids, email addresses and URLs are made of. The rest is empty.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

from .values import UNKNOWN, Path, change_attributes

IDENTITIES = FilePath(__file__).with_name("identities.toml")
PROJECT = "stub-project"
"""The project where neither the resource nor the provider names one."""
REGION = "europe-west2"
_GENERIC = {
    "create_time": "2026-01-01T00:00:00Z",
    "update_time": "2026-01-01T00:00:00Z",
    "etag": "stub-etag",
    "id": "stub-id",
}
_COPIES = {
    "effective_labels": "labels",
    "terraform_labels": "labels",
    "effective_annotations": "annotations",
}
_EMPTY: dict[str, Any] = {"string": "", "number": 0, "bool": False, "list": [], "set": []}
_FIELD = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Identity:
    """Templates that build one type's identifying attributes from its other attributes."""

    templates: dict[str, str] = field(default_factory=dict)
    known_when_planned: frozenset[str] = frozenset()
    in_full: dict[str, str] = field(default_factory=dict)
    """Attributes that are stored as full names, even if the configuration has a short name."""
    replaced_with_another: frozenset[str] = frozenset()
    """Attributes, other than the parts of the id, that cannot change in place."""

    @property
    def replacing(self) -> set[str]:
        """The attributes whose change replaces the resource."""
        made_of = [self.templates.get("id", ""), *self.in_full.values()]
        named = {name for template in made_of for name in _FIELD.findall(template)}
        return named | self.replaced_with_another

    def as_kept(self, value: dict[str, Any]) -> dict[str, Any]:
        """Return the value with full names, and with the project (for example) of the name."""
        kept = dict(value)
        for name, template in self.in_full.items():
            parts = _FIELD.sub(r"(?P<\1>[^/]+)", template)
            match = re.fullmatch(parts, kept[name])
            kept |= match.groupdict() if match else {}
            kept[name] = template.format_map(kept)
        return kept

    def as_planned(self, value: dict[str, Any], prior: dict[str, Any]) -> dict[str, Any]:
        """Return the value with the stored full name if the new short name means the same."""
        last = {name: prior[name].rpartition("/")[2] for name in self.in_full}
        return value | {name: prior[name] for name, short in last.items() if value[name] == short}


def load_identities() -> dict[str, Identity]:
    """Read the templates of each type; a data source's name begins with `data.`."""
    identities = {}
    for name, templates in tomllib.loads(IDENTITIES.read_text()).items():
        known = frozenset(templates.pop("known_when_planned", ()))
        in_full = templates.pop("in_full", {})
        fixed = frozenset(templates.pop("replaced_with_another", ()))
        identities[name] = Identity(templates, known, in_full, fixed)
    return identities


def foresee(
    value: dict[str, Any], *, identity: Identity, defaults: dict[str, Any]
) -> dict[str, Any]:
    """Return the value with the provider's computed values; `defaults` is the provider's block."""
    foreseen = dict(value)
    if value.get("deletion_policy") is UNKNOWN:
        foreseen["deletion_policy"] = "DELETE"
    for name in ("project", "region"):
        if value.get(name) is UNKNOWN and name in defaults:
            foreseen[name] = defaults[name]
    for name, source in _COPIES.items():
        if value.get(name) is UNKNOWN and source in value:
            foreseen[name] = value[source] or {}
    if not any(foreseen.get(name) is UNKNOWN for name in identity.replacing):
        names = _names(foreseen, identity, defaults)
        foreseen |= {name: names[name] for name in identity.known_when_planned}
    return foreseen


def complete(
    block: dict[str, Any],
    value: dict[str, Any],
    *,
    identity: Identity,
    defaults: dict[str, Any],
) -> dict[str, Any]:
    """Return the value with all that is unknown made up; `defaults` is the provider's block."""
    foreseen = identity.as_kept(foresee(value, identity=identity, defaults=defaults))
    names = _names(foreseen, identity, defaults)

    def fill(path: Path, attribute: dict[str, Any], value: Any) -> Any:
        if value is not UNKNOWN:
            return value
        if len(path) == 1 and path[0] in names and attribute["type"] == "string":
            return names[str(path[0])]
        return _generic(str(path[-1]), attribute["type"])

    completed: dict[str, Any] = change_attributes(block, foreseen, fill)
    return completed


def project_number(project: str) -> str:
    """Return the made-up number of the project with this name."""
    return str(10**11 + int(hashlib.sha256(project.encode()).hexdigest(), 16) % 10**11)


def _names(value: dict[str, Any], identity: Identity, defaults: dict[str, Any]) -> dict[str, str]:
    known = {name: text for name, text in value.items() if isinstance(text, str) and text}
    names = {
        "project": known.get("project_id") or defaults.get("project") or PROJECT,
        "region": defaults.get("region") or REGION,
        **known,
    }
    names["location"] = known.get("location", names["region"])
    names["project_number"] = project_number(names["project"])
    names["condition"] = "".join(f"/{each['title']}" for each in value.get("condition") or ())
    for name, template in identity.templates.items():
        if name not in known:
            names[name] = _FIELD.sub(lambda match: names.get(match[1], match[1]), template)
    return names


def _generic(name: str, kind: Any) -> Any:
    if kind == "string" and name in _GENERIC:
        return _GENERIC[name]
    return _EMPTY.get(kind if isinstance(kind, str) else kind[0], {})
