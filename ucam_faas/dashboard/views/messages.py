"""The list of messages: each once for each of its readers, the latest first."""

from __future__ import annotations

from dataclasses import dataclass

from ucam_faas.backends.ports import Backends
from ucam_faas.clock import SystemClock
from ucam_faas.dashboard.query import Page, Query, Values, pages
from ucam_faas.dashboard.views import times
from ucam_faas.dashboard.views.jobs import with_value
from ucam_faas.history.reader import History
from ucam_faas.history.rows import MessageRow, MessageState

PAGE = 50
FILTERS = ("task", "topic", "state", "within", "until", "attribute", "text")


@dataclass(frozen=True, slots=True)
class MessagePage:
    """A page of messages.

    Args:
        rows: of the page.
        next: the key of the page after it; None: there are no more.
        problems: sentences about values that can't be read, and are left out.
    """

    rows: list[MessageRow]
    next: int | None
    problems: tuple[str, ...] = ()


def page_of(history: History, args: Values) -> MessagePage:
    """Return the page of messages that a URL's query asks for."""
    time = times.window(args, SystemClock().now().timestamp())
    problems, state = time.problems, args.get("state") or None
    if state is not None and state not in frozenset(MessageState):
        problems, state = (*problems, f"{state!r} isn't a state of messages."), None
    attribute = args.get("attribute") or None
    if attribute is not None and "=" not in attribute:
        problems, attribute = (*problems, "Write an attribute as name=value."), None
    rows = history.messages(
        task=args.get("task") or None,
        topic=args.get("topic") or None,
        state=state,
        since=time.since,
        until=time.until,
        attribute=attribute,
        text=args.get("text") or None,
        before=args.number("before"),
        limit=PAGE + 1,
    )
    shown, has_more = pages(rows, PAGE)
    return MessagePage(list(shown), shown[-1].key if has_more else None, problems)


def view(query: Query, backends: Backends) -> Page:
    """Show the messages that the URL's query chooses, a page at a time."""
    assert backends.history is not None, "the table of routes says that it is needed"
    tasks = [task.needs for task in backends.tasks() if task.needs.topic is not None]
    topics = {_short(needs.topic or "") for needs in tasks}
    topics |= {needs.dead_letter_topic for needs in tasks if needs.dead_letter_topic is not None}
    values = {
        "query": query,
        "page": page_of(backends.history, query.args),
        "dropped": backends.history.dropped(),
        "tasks": with_value(sorted(needs.name for needs in tasks), query.args.get("task")),
        "topics": with_value(sorted(topics), query.args.get("topic")),
        "states": [(state.value, state.replace("_", "-")) for state in MessageState],
        "windows": times.CHOICES,
        "is_filtered": any(query.args.has(name) for name in FILTERS),
    }
    return Page("messages.html", "Messages", values)


def _short(topic: str) -> str:
    return topic.rpartition("/")[2]
