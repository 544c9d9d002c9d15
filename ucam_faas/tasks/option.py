"""The description of an option: its effect, check, merging of layers, and argument in Terraform."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from ucam_faas.exceptions import TaskDefinitionError

Merge = Literal["value", "list", "map", "table"]
"""The shape of an option's value, and how layers merge. A "value" and an entry of a "map": the last
layer wins. A "list": each layer adds the items that are missing. A "table" has options of its own.
"""
Configurable = Literal["anywhere", "for all tasks", "shown", "no"]
"""Whether the configuration may have an option: for all tasks and for one, or for all tasks only.
The others are in the code only; "shown": `ucam-faas config` shows it.
"""
Concerns = Literal["all", "calls", "services", "requests", "pushes", "starts"]
"""The tasks that an option affects: all, those that others may call or start, those that run on
messages or requests, those that are served, those with a subscription, or Cloud
Run jobs.
"""


class Option(NamedTuple):
    """An option. (A NamedTuple takes a fifth of the time of a dataclass at start-up.)

    Args:
        doc: its effect, in a line.
        takes: its values and their limits, for people.
        check: raises TaskDefinitionError for a wrong value, item or entry. None: the object that is
            made of the value does.
        default: the value if no layer has one; of a "value" only.
        options: of a "table".
        terraform: the path of the module's argument that it sets; `*` stands for any name.
        express: converts the value to Terraform's.
        computed: the plan computes the argument from this and other values.
        name: set by the table.
        taken_by: the decorators, and `TaskCollection`, that take it; set by the table.
    """

    doc: str
    takes: str
    check: Callable[[Any], object] | None = None
    merge: Merge = "value"
    default: Any = None
    configurable: Configurable = "no"
    concerns: Concerns = "all"
    options: Mapping[str, Option] = MappingProxyType({})
    terraform: str = ""
    express: Callable[[Any], Any] | None = None
    computed: bool = False
    name: str = ""
    taken_by: frozenset[str] = frozenset()

    @property
    def unset(self) -> Any:
        """The value if no layer has one."""
        if self.merge == "value":
            return self.default
        return [] if self.merge == "list" else {}


def check_flag(name: str, value: Any) -> None:
    """Refuse an option's value other than True and False.

    Raises:
        TaskDefinitionError: with the option's name and the value.
    """
    if type(value) is not bool:
        raise TaskDefinitionError(f"{name}={value!r}: expected True or False.")
