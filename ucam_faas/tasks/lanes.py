"""Lanes: the parallel inboxes of a task. A backlog in one doesn't hold back the others."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import KW_ONLY, dataclass
from enum import EnumMeta, StrEnum
from typing import Any

from ucam_faas.exceptions import TaskDefinitionError

DEFAULT_LANE = "default"
"""The lane that every task has. Messages on the topic come to it, too."""
MAX_LANES = 100
"""Of a task: each is a topic and a subscription, and a stream of a worker."""
LANE_NAME = "[a-z](?:[a-z0-9-]{0,28}[a-z0-9])?"
_EXAMPLE = 'such as lanes=["default", Lane("bulk", max_concurrency=2)], lanes=3 or lanes=Priority'


class Priority(StrEnum):
    """The lanes of a task with `lanes=Priority`: HIGH is `high`, MEDIUM `default`, LOW `low`.

    A worker that pulls starts 10 jobs of HIGH and 3 of MEDIUM for each of LOW.

    >>> Priority.HIGH == "high", Priority.MEDIUM == "default"
    (True, True)
    """

    HIGH = "high"
    MEDIUM = DEFAULT_LANE
    LOW = "low"


_WEIGHTS = {Priority.HIGH: 10, Priority.MEDIUM: 3, Priority.LOW: 1}


@dataclass(frozen=True, slots=True)
class Lane:
    """A lane of a task.

    Args:
        name: 1 to 30 of a-z, 0-9 and -, a letter first.
        max_concurrency: the most executions at a time that come from it, in each process; None:
            as many as the task may have.
        weight: its share where a worker pulls from several lanes that have a backlog; default:
            that of a `Priority`, and 1 of another name.

    Raises:
        TaskDefinitionError: a value can never work.

    >>> Lane("bulk", max_concurrency=2)
    Lane(name='bulk', max_concurrency=2, weight=1)
    """

    name: str
    _: KW_ONLY
    max_concurrency: int | None = None
    weight: int | None = None

    def __post_init__(self) -> None:
        check_lane_name(self.name)
        if self.weight is None:
            weight = _WEIGHTS[self.name] if isinstance(self.name, Priority) else 1
            object.__setattr__(self, "weight", weight)
        object.__setattr__(self, "name", str(self.name))  # of a Priority
        for option in ("max_concurrency", "weight"):
            value = getattr(self, option)
            if value is not None and (type(value) is not int or value < 1):
                raise TaskDefinitionError(
                    f"lanes: {option}={value!r} of {self.name!r}: expected a whole number, from 1."
                )


def check_lane_name(name: Any) -> None:
    """Refuse a name that no lane can have: it is part of the names of topics, and of paths.

    Raises:
        TaskDefinitionError: with the rule.
    """
    if not (isinstance(name, str) and re.fullmatch(LANE_NAME, name) and "inbox" not in name):
        raise TaskDefinitionError(
            f"lanes: {name!r}: expected 1 to 30 of a-z, 0-9 and -, a letter first and no - last, "
            'without "inbox", such as "bulk".'
        )


def lanes_of(value: Any) -> tuple[Lane, ...]:
    """Return the lanes of a `lanes=` option, of which `default` is the first.

    Raises:
        TaskDefinitionError: a lane can't be one, or two have one name.

    >>> [lane.name for lane in lanes_of(3)]
    ['default', 'lane-1', 'lane-2']
    """
    if type(value) is int and 1 <= value <= MAX_LANES:
        return tuple(map(_lane, (numbered(number) for number in range(value))))
    if isinstance(value, str) or not isinstance(value, Sequence | EnumMeta):
        raise TaskDefinitionError(
            f"lanes={value!r}: expected a list of the task's lanes, {_EXAMPLE}; at most "
            f"{MAX_LANES}."
        )
    lanes = [_lane(item) for item in value]
    if len(lanes) > MAX_LANES:
        raise TaskDefinitionError(f"lanes: there are {len(lanes)}: expected at most {MAX_LANES}.")
    names = [lane.name for lane in lanes]
    for name in names:
        if names.count(name) > 1:
            raise TaskDefinitionError(f"lanes={value!r}: two lanes are named {name!r}.")
    if DEFAULT_LANE not in names:
        has_priorities = any(isinstance(item, Priority) for item in value)
        lanes.append(Lane(Priority.MEDIUM if has_priorities else DEFAULT_LANE))
    return tuple(sorted(lanes, key=lambda lane: lane.name != DEFAULT_LANE))


def numbered(number: int) -> str:
    """Return the name of a lane of `lanes=3`.

    >>> numbered(0), numbered(2)
    ('default', 'lane-2')
    """
    return f"lane-{number}" if number else DEFAULT_LANE


def name_of(value: Any) -> str:
    """Return the lane that `lane=` of a sending names, by its name or its number.

    Raises:
        TypeError: it is neither.
        ValueError: no lane can have the name.
    """
    if type(value) is int and value >= 0:
        return numbered(value)
    if isinstance(value, str) and value.isdecimal():  # of a command line
        return numbered(int(value))
    if not isinstance(value, str):
        raise TypeError(f"lane={value!r}: expected the name of a lane, or its number from 0.")
    try:
        check_lane_name(value)
    except TaskDefinitionError as error:
        raise ValueError(f"lane={value!r}: no lane can have this name.") from error
    return str(value)


def weights(lanes: Iterable[Lane]) -> dict[str, int]:
    """Return the weight of each lane of a task; a task without `lanes=` has `default` alone.

    >>> weights(lanes_of(Priority))
    {'default': 3, 'high': 10, 'low': 1}
    """
    return {lane.name: lane.weight or 1 for lane in lanes} or {DEFAULT_LANE: 1}


def _lane(item: Any) -> Lane:
    if isinstance(item, Lane):
        return item
    if isinstance(item, str):
        return Lane(item)
    raise TaskDefinitionError(f"lanes: {item!r}: expected the name of a lane, or Lane(…).")
