"""The headers of a task's response, less those that cannot be sent.

The work is done when they are looked at: a header that HTTP does not allow costs itself, not the
answer. Source: RFC 9110, section 5.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ucam_faas.logs import problems

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")
_OF_THE_SERVER = {"content-length", "transfer-encoding"}
"""How a body is framed: tasks that pass another server's answer on pass these, too."""


def sendable(headers: Any) -> list[tuple[str, str]]:
    """Return the headers that can be sent, with lower-case names, and log which cannot.

    Args:
        headers: as Flask takes them: a mapping, whose values may be lists, or pairs.
    """
    pairs = [(name.lower(), value) for name, value in _pairs(headers)]
    refused = [name for name, value in pairs if not (_NAME.fullmatch(name) and _is_value(value))]
    if refused:
        names = ", ".join(map(repr, refused))[:200]
        problems.log_problem("ucam_faas_header_not_sent", headers=names)
        pairs = [pair for pair in pairs if pair[0] not in refused]
    return [pair for pair in pairs if pair[0] not in _OF_THE_SERVER]


def _pairs(headers: Any) -> Iterator[tuple[str, str]]:
    items: Iterable[Any] = headers.items() if isinstance(headers, Mapping) else headers
    for name, value in items:
        several = value if isinstance(value, list | tuple | set) else [value]
        yield from ((str(name), str(each)) for each in several)


def _is_value(value: str) -> bool:
    return _VALUE.fullmatch(value) is not None
