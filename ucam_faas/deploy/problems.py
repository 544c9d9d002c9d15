"""The problems of a configuration file: unknown keys, wrong types, values that Google refuses."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ucam_faas.deploy.config_file import ConfigFile, KeyPath, Origin, header_of
from ucam_faas.deploy.keys import keys
from ucam_faas.exceptions import ConfigurationError
from ucam_faas.tasks.option import Option
from ucam_faas.tasks.option_table import OPTIONS
from ucam_faas.tasks.options import problem_of

STAGE, TASK = "stage", "task"
_TYPES = {dict: "a table", list: "a list", str: "text", bool: "true or false"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A problem and its place."""

    origin: Origin
    text: str

    def __str__(self) -> str:
        return f"{self.origin}: {self.text}"


class ProblemsError(ConfigurationError):
    """A configuration cannot be used.

    Args:
        problems: at least one.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        rest = len(self.problems) - 1
        more = f" (And {rest} more problem{'s' * (rest > 1)}.)" if rest else ""
        super().__init__(f"{self.problems[0]}{more}")


def check_file(config: ConfigFile) -> None:
    """Refuse a file with problems.

    Raises:
        ProblemsError: with all of them.
    """
    _refuse(_layer(config, (), config.table))


def check_stage(config: ConfigFile, stage: str | None) -> None:
    """Refuse a stage that the file does not have.

    Raises:
        ProblemsError: with those that it has.
    """
    known = stages(config)
    if stage is not None and stage not in known:
        like = _closest(stage, known)
        listed = f"Found: {', '.join(map(repr, known))}." if known else "Found none."
        header = header_of((*config.prefix, STAGE, stage))
        text = f"there is no stage {stage!r}.{_hint(stage, known)} {listed} A stage is a table"
        where = config.origin((STAGE, like) if like else ())
        where = where if config.path else Origin(layer="configuration")
        raise ProblemsError([Problem(origin=where, text=f"{text}: {header}.")])


def check_tasks(config: ConfigFile, names: Collection[str]) -> None:
    """Refuse a file with a table for a task that does not exist.

    Raises:
        ProblemsError: with those that exist.
    """
    listed = ", ".join(map(repr, sorted(names)))
    _refuse(
        Problem(
            origin=config.origin((TASK, name)),
            text=f"there is no task {name!r}.{_hint(name, names)} Found: {listed}.",
        )
        for name in config.layer((TASK,))
        if name not in names
    )


def stages(config: ConfigFile) -> list[str]:
    """Return the stages that a file has."""
    tables = config.table.get(STAGE)
    return sorted(tables) if isinstance(tables, dict) else []


def where_for_all(config: ConfigFile) -> str:
    """Return the tables for the keys of all tasks, as a phrase."""
    table = f"in {header_of(config.prefix)}" if config.prefix else "at the top level"
    return f"{table} or in {header_of((*config.prefix, STAGE, 'NAME'))}"


def _refuse(problems: Iterable[Problem]) -> None:
    listed = list(problems)
    if listed:
        raise ProblemsError(listed)


def _hint(name: str, known: Iterable[str]) -> str:
    like = _closest(name, known)
    return f" Did you mean {like!r}?" if like else ""


def _closest(name: str, known: Iterable[str]) -> str | None:
    import difflib

    like = difflib.get_close_matches(name, list(known), 1)
    return like[0] if like else None


def _layer(config: ConfigFile, path: KeyPath, layer: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield the problems of a layer and of the layers in it."""
    tables = (STAGE, TASK) if not path else (STAGE,) if _is_task(path) else ()
    options = _allowed(path)
    for name, value in layer.items():
        if name in tables:
            yield from _layers_in(config, (*path, name), value)
        elif name in options:
            yield from _values(config, path, (name,), options[name], value)
        else:
            text = _misplaced(config, path, name, tables)
            yield Problem(origin=config.origin(path, (name,)), text=text)
    variables, secrets = layer.get("environment"), layer.get("secrets")
    if isinstance(variables, dict) and isinstance(secrets, dict):
        for name in sorted(variables.keys() & secrets.keys()):
            text = f"{name!r} is in environment and in secrets: keep one of them."
            yield Problem(origin=config.origin(path, ("secrets", name)), text=text)


def _is_task(path: KeyPath) -> bool:
    return len(path) == 2 and path[0] == TASK


def _layers_in(config: ConfigFile, path: KeyPath, tables: Any) -> Iterator[Problem]:
    """Yield the problems of `stage` or `task`, and of the layers in it."""
    if not isinstance(tables, dict):
        text = f"expected a table of tables; found {_type(tables)}."
        yield Problem(origin=config.origin(path), text=text)
        return
    for name, layer in tables.items():
        at = (*path, name)
        if not isinstance(layer, dict):
            text = f"expected a table for each {path[-1]}; found {_type(layer)}."
            yield Problem(origin=config.origin(at), text=text)
            continue
        if _is_task(path[:2]) and name not in stages(config):
            header = header_of((*config.prefix, STAGE, name))
            text = f"the stage {name!r} is not declared.{_hint(name, stages(config))} A stage has"
            yield Problem(origin=config.origin(at), text=f"{text} a table, if empty: {header}.")
        yield from _layer(config, at, layer)


def _allowed(path: KeyPath) -> dict[str, Option]:
    """Return the keys that a layer may have."""
    places = ("anywhere",) if path[:1] == (TASK,) else ("anywhere", "for all tasks")
    return {name: option for name, option in keys().items() if option.configurable in places}


def _misplaced(config: ConfigFile, path: KeyPath, name: str, tables: Iterable[str]) -> str:
    """Return why a key is wrong in its place."""
    if name in OPTIONS:
        return f"{name!r} belongs in the code: write {name}=… on the decorator."
    if name in keys():
        return f"{name!r} is for all tasks: write it {where_for_all(config)}."
    if name in (STAGE, TASK):
        return f"{name!r} cannot be here: expected {header_of((*config.prefix, name, 'NAME'))}."
    if not config.prefix and name == "tool":
        return f"{config.name} has the keys at the top level, without [tool.ucam-faas]."
    known = list(_allowed(path))
    hint = _hint(name, [*known, *tables]) or f" Known are: {', '.join(known)}."
    return f"there is no key {name!r}.{hint}"


_SHAPES = {"list": list, "map": dict, "table": dict}


def _values(
    config: ConfigFile, layer: KeyPath, path: KeyPath, option: Option, value: Any
) -> Iterator[Problem]:
    """Yield the problems of a key's value, its items or its entries."""
    origin, name = config.origin(layer, path), ".".join(path)
    expected = _SHAPES.get(option.merge)
    if expected and not isinstance(value, expected):
        text = f"{name}: expected {_TYPES[expected]}; found {_type(value)}."
        yield Problem(origin=origin, text=text)
    elif option.merge == "table":
        for inner, inner_value in value.items():
            at = (*path, inner)
            if inner in option.options:
                yield from _values(config, layer, at, option.options[inner], inner_value)
            else:
                known = option.options
                hint = _hint(inner, known) or f" Known are: {', '.join(known)}."
                text = f"{name} has no key {inner!r}.{hint}"
                yield Problem(origin=config.origin(layer, at), text=text)
    elif option.merge == "map":
        for entry, text in value.items():
            at = (*path, entry)
            yield from _checked(config.origin(layer, at), name, option, {entry: text})
    else:
        for item in value if option.merge == "list" else [value]:
            yield from _checked(origin, name, option, item)


def _checked(origin: Origin, name: str, option: Option, value: Any) -> Iterator[Problem]:
    text = problem_of(option, value, name)
    if text is not None:
        yield Problem(origin=origin, text=f"{text}.")


def _type(value: Any) -> str:
    """Name a value's type: a value in the wrong place may be a secret."""
    return _TYPES.get(type(value)) or (
        "a number" if isinstance(value, int | float) else "a date or time"
    )
