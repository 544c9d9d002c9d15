"""The loop guard: a message and a job carry the chain of tasks through which they came.

The chain is a text: the number of sends and publishes, and the names of the last tasks. A task that
runs adds its own name to the chain of the messages and jobs that it sends.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextvars import ContextVar

from ucam_faas.events.messages import PubsubMessage
from ucam_faas.gcp.limits import MAX_ATTRIBUTES
from ucam_faas.logs.context import LOG_CONTEXT
from ucam_faas.outcomes import DeadLetter

HOPS_ATTRIBUTE = "ucam_faas_hops"
"""Of messages; a job has the text among its options, as `hops`."""
MAX_NAMES_BYTES = 400
_ARROW = ">"
_CHAIN: ContextVar[str | None] = ContextVar("CHAIN", default=None)
"""The chain of the execution under way; empty if it began outside of tasks, None outside of one."""


def enter(message: PubsubMessage | None, limit: int) -> None:
    """Note the chain of the execution under way.

    Raises:
        DeadLetter: it is longer than the limit.
    """
    text = message.attributes.get(HOPS_ATTRIBUTE, "") if message is not None else ""
    _CHAIN.set(text)
    if text and _number(text) > limit:
        names = text.partition(" ")[2].replace(_ARROW, " > ")
        raise DeadLetter(
            f"a chain of {_number(text)} sends and publishes, over UCAM_FAAS_MAX_HOPS={limit}: "
            f"{names}"
        )


def longest(messages: Iterable[PubsubMessage]) -> PubsubMessage | None:
    """Return the message with the longest chain; None: no message has one."""
    chained = [message for message in messages if HOPS_ATTRIBUTE in message.attributes]
    return max(chained, key=lambda each: _number(each.attributes[HOPS_ATTRIBUTE]), default=None)


def onward() -> str:
    """Return the chain for messages and jobs of the execution under way; empty outside of one.

    >>> onward()
    ''
    """
    text, log = _CHAIN.get(), LOG_CONTEXT.get()
    if text is None or log is None:
        return ""
    names = text.partition(" ")[2]
    names = f"{names}{_ARROW}{log.task}" if names else log.task
    while len(names) > MAX_NAMES_BYTES and _ARROW in names:
        names = names.partition(_ARROW)[2]
    return f"{_number(text) + 1} {names}"


def with_hops(attributes: Mapping[str, str], chain: str) -> dict[str, str]:
    """Return the attributes of a message that carries a chain, if there is room for it."""
    if not chain or (len(attributes) >= MAX_ATTRIBUTES and HOPS_ATTRIBUTE not in attributes):
        return dict(attributes)
    return {**attributes, HOPS_ATTRIBUTE: chain}


def is_over(attributes: Mapping[str, str], limit: int) -> bool:
    """Return True if a message's chain is longer than a limit."""
    return _number(attributes.get(HOPS_ATTRIBUTE, "")) > limit


def _number(text: str) -> int:
    """Return the length of a chain; 0 for any other text."""
    number = text.partition(" ")[0]
    return int(number) if number.isascii() and number.isdecimal() and len(number) < 10 else 0
