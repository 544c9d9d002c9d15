"""The kinds of tasks that `ucam-faas new` writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of task.

    Args:
        first: the name of a new collection's task.
        sample: the commands that try one out, with `{task}` and `{path}`.
    """

    first: str
    sample: str


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "message": Kind("take_order", "ucam-faas publish {task} --sample"),
        "schedule": Kind("clean_up", "ucam-faas schedules run {task}"),
        "http": Kind("order_state", "curl http://127.0.0.1:8080/{path}/17"),
        "job": Kind("charge", "ucam-faas send {task} --sample --wait"),
    }
)
