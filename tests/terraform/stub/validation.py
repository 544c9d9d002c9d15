"""The provider's own refusals, beyond Terraform's check of the schema.

It refuses computed attributes that are set, values that the documentation doesn't list, and
violations of `rules.toml`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path as FilePath
from typing import Any

from .values import UNKNOWN, Path, attributes_of, is_given, places

RULES = FilePath(__file__).with_name("rules.toml")
_SECONDS = re.compile(r"(\d+(?:\.\d{1,9})?)s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A limit of Google's on one place of some types of resources. Unknown values pass."""

    types: list[str]
    """Names, or patterns of them."""
    source: str
    """The page that documents the limit."""
    at: str = ""
    """The place, such as `retry_policy.minimum_backoff`; for groups, the block they are in."""
    says: str = ""
    """The expectation of `matches` in words."""
    matches: str | None = None
    one_of: list[str] | None = None
    range: tuple[float, float] | None = None
    seconds: tuple[float, float] | None = None
    """A text such as `10s` in this range."""
    multiple_of_seconds: int | None = None
    exactly_one_of: list[str] | None = None
    at_most_one_of: list[str] | None = None

    @property
    def group(self) -> list[str]:
        """The blocks or attributes that exclude each other."""
        return self.exactly_one_of or self.at_most_one_of or []


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem and the path of the attribute that has it."""

    path: Path
    message: str


def load_rules(path: FilePath = RULES) -> list[Rule]:
    """Read the rules."""
    return [Rule(**rule) for rule in tomllib.loads(path.read_text())["rule"]]


def validate(
    type_name: str, block: dict[str, Any], value: dict[str, Any], rules: list[Rule]
) -> list[Finding]:
    """Return the problems of a resource's configuration."""
    faults = list(_against_schema(block, value))
    for rule in rules:
        if any(fnmatchcase(type_name, pattern) for pattern in rule.types):
            faults += _against_rule(rule, value)
    return faults


def _against_schema(block: dict[str, Any], value: dict[str, Any]) -> Iterator[Finding]:
    for path, attribute, setting in attributes_of(block, value):
        if setting is None:
            continue
        if attribute.get("computed") and not attribute.get("optional"):
            yield Finding(path, f"{path[-1]} is decided by the provider and cannot be set")
        for text in setting if isinstance(setting, list) else [setting]:
            if _is_unlisted(text, attribute.get("choices")):
                expected = ", ".join(attribute["choices"])
                yield Finding(path, f"{path[-1]} is {text!r}; expected one of {expected}")


def _is_unlisted(value: Any, choices: list[str] | None) -> bool:
    """The provider treats an empty string as unset."""
    return choices is not None and isinstance(value, str) and value not in ("", *choices)


def _against_rule(rule: Rule, value: dict[str, Any]) -> Iterator[Finding]:
    for path, setting in places(value, rule.at):
        if setting is not None and setting is not UNKNOWN:
            wrong = _group_fault(rule, setting) if rule.group else _fault(rule, setting)
            if wrong:
                yield Finding(path, f"{wrong} ({rule.source})")


def _fault(rule: Rule, value: Any) -> str | None:
    if rule.matches is not None and not re.fullmatch(rule.matches, str(value), re.DOTALL):
        return f"{rule.at} is {value!r}; expected {rule.says or rule.matches}"
    if rule.one_of is not None and value not in rule.one_of:
        return f"{rule.at} is {value!r}; expected one of {', '.join(rule.one_of)}"
    if rule.range is not None and not rule.range[0] <= float(value) <= rule.range[1]:
        return f"{rule.at} is {value}; expected {rule.range[0]} to {rule.range[1]}"
    return _duration_fault(rule, value)


def _duration_fault(rule: Rule, value: Any) -> str | None:
    if rule.seconds is None:
        return None
    low, high = rule.seconds
    match = _SECONDS.fullmatch(str(value))
    if match is None or not low <= float(match[1]) <= high:
        return f"{rule.at} is {value!r}; expected '{low}s' to '{high}s'"
    if rule.multiple_of_seconds and float(match[1]) % rule.multiple_of_seconds:
        return f"{rule.at} is {value!r}; expected a multiple of {rule.multiple_of_seconds}s"
    return None


def _group_fault(rule: Rule, value: dict[str, Any]) -> str | None:
    if any(value.get(name) is UNKNOWN for name in rule.group):
        return None
    names = [name for name in rule.group if is_given(value.get(name))]
    if len(names) == 1 or (not names and not rule.exactly_one_of):
        return None
    wanted = "exactly" if rule.exactly_one_of else "at most"
    return f"expected {wanted} one of {', '.join(rule.group)}; found {', '.join(names) or 'none'}"
