"""The time of a list, chosen in the URL: `within=24h` and `until=2026-11-28T22:00`, in UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from ucam_faas.dashboard.query import Values

END_OF_TIME = datetime(9999, 1, 1, tzinfo=UTC).timestamp()
"""Later times can't be written as dates in all zones."""
WITHIN = {
    "15m": (900.0, "15 minutes"),
    "1h": (3600.0, "hour"),
    "24h": (86400.0, "24 hours"),
    "7d": (7 * 86400.0, "7 days"),
}
"""The seconds of a choice, and its name after "the last"."""
CHOICES = [(choice, f"the last {text}") for choice, (_, text) in WITHIN.items()]
"""Values of `within`, and their texts."""


@dataclass(frozen=True, slots=True)
class Window:
    """A part of time, in epoch seconds; None: without this end.

    Args:
        problems: sentences about values that can't be read, and are left out.
    """

    since: float | None = None
    until: float | None = None
    problems: tuple[str, ...] = ()


def window(args: Values, now: float) -> Window:
    """Return the time that a query chooses.

    Args:
        args: of the URL.
        now: in epoch seconds; `within` ends there, or at `until`.

    >>> window(Values((("within", "1h"), ("until", "1970-01-01T02:00"))), 0.0)
    Window(since=3600.0, until=7200.0, problems=())
    """
    until, problems = None, []
    if args.has("until"):
        try:
            moment = datetime.fromisoformat(args.get("until"))
            time = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
            if not 0 <= time < END_OF_TIME:
                raise OverflowError
            until = time
        except (ValueError, OverflowError):
            problems.append(f"{args.get('until')!r} isn't a time, such as 2026-11-28T22:00.")
    within = args.get("within")
    if within and within not in WITHIN:
        problems.append(f"{within!r} isn't one of {', '.join(WITHIN)}.")
    seconds, _ = WITHIN.get(within, (None, ""))
    since = None if seconds is None else (now if until is None else until) - seconds
    return Window(since, until, tuple(problems))
