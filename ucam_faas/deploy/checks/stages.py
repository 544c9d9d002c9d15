"""Stages, as rules compare them: their plans, and the words that a stage has in names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from ucam_faas.deploy.checks.inputs import Inputs
from ucam_faas.deploy.checks.references import option_of, texts_of
from ucam_faas.deploy.config_file import KeyPath, header_of
from ucam_faas.deploy.problems import STAGE, stages
from ucam_faas.deploy.terraform_variables import Plan, PlannedTask

_PRODUCTION = {"production", "prod", "prd", "live"}
_USUAL = (
    _PRODUCTION - {"live"},
    {"staging", "stg"},
    {"testing", "test", "tst"},
    {"development", "dev"},
)
"""Names of stages that mean the same. `live` and `stage` have other meanings in names."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A stage of the configuration, beside the others.

    Args:
        others: those of the same tasks, by name.
        names: of all other stages.
    """

    name: str
    plan: Plan
    others: Mapping[str, Plan]
    names: Sequence[str]

    @property
    def is_production(self) -> bool:
        """It is the one that matters, by its name."""
        return bool(_PRODUCTION & set(re.split("[^a-z0-9]+", self.name.lower())))

    @cached_property
    def projects(self) -> Mapping[str, str]:
        """The projects of other stages, with their stage; not this one's."""
        own = self.plan.project
        return {
            plan.project: name
            for name, plan in self.others.items()
            if plan.project and plan.project != own
        }

    @cached_property
    def _texts(self) -> Mapping[str, Mapping[tuple[str, KeyPath], Sequence[str]]]:
        """The values of the other stages, by task and option."""
        values: dict[str, dict[tuple[str, KeyPath], list[str]]] = {}
        for name, plan in self.others.items():
            by_option = values.setdefault(name, {})
            for planned in plan.tasks:
                for path, text in texts_of(planned):
                    by_option.setdefault((planned.name, option_of(path, text)), []).append(text)
        return values

    def tasks_under(self, rule: str) -> Iterator[PlannedTask]:
        """Yield the tasks that don't ignore a rule in this stage."""
        return (planned for planned in self.plan.tasks if rule not in planned.merged["ignore"])

    def word(self, text: str) -> tuple[str, str] | None:
        """Return the other stage that a text names, and the word: not if it names this one, too."""
        plain = text.lower().replace(self.plan.project or "\n", "")
        if _find(plain, words_of(self.name)):
            return None
        for other in self.names:
            if match := _find(plain, words_of(other) - words_of(self.name)):
                return other, match[0]
        return None

    def is_name(self, planned: PlannedTask, path: KeyPath, text: str) -> bool:
        """Return True if a word in a text is a stage's name, and no other word that is spelt so.

        It is, if the value was chosen for this stage, or another stage has its own name there.
        """
        at = (planned.name, option_of(path, text))
        values = {name: texts.get(at, ()) for name, texts in self._texts.items()}
        if any(_without(value, name) == text for name, own in values.items() for value in own):
            return False  # `test-results`, and `test-results-staging` in staging
        if self.is_own(planned, path):
            return True
        named = self.word(text)
        assert named is not None, "only of texts that name a stage"
        form = _without(text, named[0])
        return any(
            value != text and _find(value.lower(), words_of(name)) and _without(value, name) == form
            for name, own in values.items()
            for value in own
        )

    def is_own(self, planned: PlannedTask, path: KeyPath) -> bool:
        """Return True if a value was set for this stage."""
        table = header_of((STAGE, self.name))[1:]
        layer = planned.merged.origin(*path).layer
        return layer.endswith((f"[{table}", f".{table}"))


def stages_of(inputs: Inputs) -> Iterator[Stage]:
    """Yield the stage of `--stage`; without it, all."""
    for name, plan in inputs.stages.items():
        if inputs.stage in (None, name):
            others = {other: own for other, own in inputs.stages.items() if other != name}
            names = [other for other in stages(inputs.config) if other != name]
            yield Stage(name=name, plan=plan, others=others, names=names)


def words_of(stage: str) -> frozenset[str]:
    """Return the words for a stage in the names of things.

    >>> sorted(words_of("production")), sorted(words_of("pilot"))
    (['prd', 'prod', 'production'], ['pilot'])
    """
    name = stage.lower()
    usual = next((words for words in _USUAL if name in words), set[str]())
    return frozenset({name} | usual)


def _find(text: str, words: frozenset[str]) -> re.Match[str] | None:
    return re.search(_pattern(words), text) if words else None


def _pattern(words: frozenset[str]) -> str:
    return rf"(?<![a-z0-9])(?:{'|'.join(map(re.escape, sorted(words)))})(?![a-z0-9])"


def _without(text: str, stage: str) -> str:
    """Return a text without a stage's name, and the separators beside it."""
    bare = re.sub(rf"[-_.]?{_pattern(words_of(stage))}", "", text, count=1, flags=re.IGNORECASE)
    return re.sub(r"(^|/|:|@)[-_.]", r"\1", bare)
