"""The letters that a verb of `ucam-faas dlq` is for: named by ids, or chosen by filters."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import click

from ucam_faas.cli._parameters import DURATION
from ucam_faas.cli._workbench import Bench
from ucam_faas.clock import SystemClock
from ucam_faas.dead_letters.filters import OPEN, Filter
from ucam_faas.dead_letters.letters import Kind, LetterState
from ucam_faas.dead_letters.workbench import Chosen

ANY = "any"
_Verb = Callable[..., None]


def filters(verb: _Verb) -> _Verb:
    """Give a verb the options that choose letters; it is called with `chosen`, a Filter."""

    @functools.wraps(verb)
    def wrapper(*arguments: Any, **options: Any) -> None:
        values = {name: options.pop(name) for name in _NAMES}
        verb(*arguments, chosen=_filter(**values), **options)

    return _with_options(wrapper)


def ids_or_filters(verb: _Verb) -> _Verb:
    """Give a verb IDs, `--all` and the filters; it is called with `choose`, see `Choose`."""

    @click.argument("ids", metavar="[ID]...", nargs=-1)
    @click.option("--all", "every", is_flag=True, help="All letters that the filters choose.")
    @functools.wraps(verb)
    def wrapper(*arguments: Any, ids: tuple[str, ...], every: bool, **options: Any) -> None:
        values = {name: options.pop(name) for name in _NAMES}
        narrowed = any(value for value in values.values())
        verb(*arguments, choose=Choose(ids, every, narrowed, _filter(**values)), **options)

    return _with_options(wrapper)


class Choose:
    """Chooses letters, once the book is there.

    Args:
        ids: that were named.
        every: all that the filter chooses.
        narrowed: an option of the filter was given.
        chosen: the filter.
    """

    def __init__(self, ids: Sequence[str], every: bool, narrowed: bool, chosen: Filter) -> None:
        self.ids = ids
        self.every = every
        self._narrowed = narrowed
        self._filter = chosen

    @property
    def is_nothing(self) -> bool:
        """Return True if neither ids nor a filter were given."""
        return not (self.ids or self.every or self._narrowed)

    def check(self) -> None:
        """Refuse anything but ids alone, or --all with filters.

        Raises:
            click.UsageError: it is something else.
        """
        if bool(self.ids) == self.every or (self.ids and self._narrowed):
            raise click.UsageError(
                "Name letters by their ids, or choose them with --all and filters."
            )

    def letters(self, bench: Bench) -> Chosen:
        """Return the letters for the workbench.

        Raises:
            ConfigurationError: an id names none, or several.
        """
        if self.every:
            return self._filter
        return list(dict.fromkeys(map(bench.one, self.ids)))


_NAMES = ("task", "fingerprint", "states", "kind", "older", "newer", "attributes", "text", "key")


def _filter(
    *,
    states: Sequence[str],
    kind: str | None,
    older: timedelta | None,
    newer: timedelta | None,
    **others: Any,
) -> Filter:
    now = SystemClock().now().timestamp()
    among = OPEN
    if states:
        among = frozenset(() if ANY in states else map(LetterState, states))
    return Filter(
        states=among,
        kind=Kind(kind) if kind else None,
        since=None if newer is None else max(0.0, now - newer.total_seconds()),
        until=None if older is None else max(0.0, now - older.total_seconds()),
        **others,
    )


def _with_options(verb: _Verb) -> _Verb:
    states = [str(state) for state in LetterState]
    options = (
        click.option("--task", metavar="NAME", help="Of this task."),
        click.option(
            "--fingerprint", metavar="CAUSE", help="With this cause, or its first characters."
        ),
        click.option(
            "--state",
            "states",
            multiple=True,
            type=click.Choice([*states, ANY], case_sensitive=False),
            metavar="STATE",
            help=f"{', '.join(states)} or {ANY}; may be repeated. [default: new]",
        ),
        click.option(
            "--kind",
            type=click.Choice([str(kind) for kind in Kind]),
            help="Dead letters, or failed jobs. [default: both]",
        ),
        click.option("--older", type=DURATION, help="Died longer ago than this, such as 2h or 7d."),
        click.option("--newer", type=DURATION, help="Died within this time."),
        click.option(
            "--attribute",
            "attributes",
            metavar="KEY=VALUE",
            multiple=True,
            help="With this attribute, or KEY for any value; may be repeated.",
        ),
        click.option(
            "--text",
            metavar="TEXT",
            help="With this text in payload, attributes, reason, error or an id.",
        ),
        click.option("--key", metavar="KEY", help="With this ordering key."),
    )
    for option in reversed(options):
        verb = option(verb)
    return verb
