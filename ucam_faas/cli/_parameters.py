"""Values on the command line: durations, times and attributes."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from ucam_faas.logs.durations import read_duration
from ucam_faas.tasks import lanes
from ucam_faas.tasks.backoffs import exponential
from ucam_faas.tasks.policies import MAX_ATTEMPTS, MAX_BACKOFF, RetryPolicy

if TYPE_CHECKING:
    # generic from click 8.4 on
    _Type = click.ParamType[Any]
else:
    _Type = click.ParamType


class _Duration(_Type):
    """A timedelta, such as 90s, 5m, 1h30m or 7d."""

    name = "duration"

    def convert(self, value: Any, param: Any, ctx: Any) -> timedelta:
        """Read a duration."""
        try:
            return read_duration(str(value))
        except ValueError as error:
            self.fail(str(error))


class _Time(_Type):
    """A datetime with a time zone."""

    name = "time"

    def convert(self, value: Any, param: Any, ctx: Any) -> datetime:
        """Read a time."""
        try:
            time = datetime.fromisoformat(str(value))
        except ValueError:
            time = None
        if time is None or time.tzinfo is None:
            self.fail(f"{value!r}: expected a time with its zone, such as 2026-12-01T09:00:00Z.")
        return time


class _Retry(_Type):
    """A RetryPolicy, such as 3; 5,30s; or 20,1m,1d: attempts, first wait, longest wait."""

    name = "retry"

    def convert(self, value: Any, param: Any, ctx: Any) -> RetryPolicy:
        """Read a policy."""
        attempts, *texts = (part.strip() for part in str(value).split(","))
        if not attempts.isascii() or not attempts.isdigit() or len(texts) > 2:
            self.fail(
                f"{value!r}: expected a number of attempts and up to two waits, such as 20,1m,1d."
            )
        if not 1 <= int(attempts) <= MAX_ATTEMPTS:
            self.fail(f"{value!r}: expected 1 to {MAX_ATTEMPTS} attempts.")
        if not texts:
            return RetryPolicy(max_attempts=int(attempts))
        waits = [DURATION.convert(text, param, ctx).total_seconds() for text in texts]
        first = waits[0]
        longest = waits[1] if len(waits) > 1 else max(first, MAX_BACKOFF.total_seconds())
        if first > longest:
            self.fail(f"{value!r}: the first wait is longer than the longest one.")
        backoff = exponential(min_backoff=first, max_backoff=longest, multiplier=first / 2)
        return RetryPolicy(max_attempts=int(attempts), backoff=backoff)


class _Lane(_Type):
    """The name of a lane, or its number, as `send` takes it."""

    name = "lane"

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        """Read a lane."""
        try:
            return lanes.name_of(value)
        except ValueError as error:
            self.fail(str(error))


DURATION = _Duration()
LANE = _Lane()
TIME = _Time()
RETRY = _Retry()


def pairs(ctx: click.Context, param: click.Parameter, texts: tuple[str, ...]) -> dict[str, str]:
    """Split each attribute at its first `=`."""
    for text in texts:
        if not text.partition("=")[1]:
            raise click.BadParameter(f"{text!r}: expected KEY=VALUE, such as kind=order.")
    return dict(text.split("=", 1) for text in texts)
