"""The tasks of the trials, under `ucam-faas dev`."""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import ucam_faas
from ucam_faas.exceptions import JobLostError


def note(file: str, text: str) -> None:
    """Add a line to a file."""
    with Path(file).open("a") as lines:
        lines.write(f"{text}\n")


@ucam_faas.message_handler
def neighbour(number: int) -> int:
    """Return the number."""
    note("neighbours", str(number))
    return number


@ucam_faas.message_handler(
    timeout=timedelta(seconds=1), retry=ucam_faas.RetryPolicy(max_attempts=5)
)
def crash(number: int) -> None:
    """Read memory that isn't there: a segmentation fault."""
    note("crashes", str(number))
    ctypes.string_at(0)


@ucam_faas.message_handler(timeout=timedelta(seconds=5))
def frozen(number: int) -> int:
    """Wait to be stopped and continued; then try to report, and to send."""
    Path("frozen").write_text(str(os.getpid()))
    while not Path("go").exists():
        time.sleep(0.01)
    attempts: dict[str, Callable[[], object]] = {
        "progress": lambda: ucam_faas.current_job().progress(1),
        "send": lambda: neighbour.send(99, id="of-a-stale-holder"),
    }
    for name, attempt in attempts.items():
        try:
            attempt()
            note("refused", f"{name} was taken")
        except JobLostError:
            note("refused", name)
    return number


@ucam_faas.message_handler(
    timeout=timedelta(seconds=60), retry=ucam_faas.RetryPolicy(max_attempts=5)
)
def patient(number: int) -> int:
    """Wait until it may end."""
    note("runs", str(os.getpid()))
    while not Path("go").exists():
        time.sleep(0.01)
    return number


@ucam_faas.message_handler(concurrency=1, timeout=timedelta(seconds=10))
def one_at_a_time(number: int) -> int:
    """Return the number."""
    note("turns", ucam_faas.current_job().id)
    return number


@ucam_faas.message_handler(
    timeout=timedelta(seconds=10), retry=ucam_faas.RetryPolicy(max_attempts=5)
)
def beside(number: int) -> int:
    """Run as long as it may, beside the task that crashes the process."""
    note("beside", str(number))
    time.sleep(0.8)
    return number


@ucam_faas.message_handler(
    timeout=timedelta(seconds=10), retry=ucam_faas.RetryPolicy(max_attempts=5)
)
def crash_late(number: int) -> None:
    """End the process while others run in it."""
    note("crashes_late", str(number))
    time.sleep(0.4)
    ctypes.string_at(0)


@ucam_faas.message_handler(
    timeout=timedelta(seconds=10), retry=ucam_faas.RetryPolicy(max_attempts=5)
)
def member(number: int) -> int:
    """Return the number, unless it ends in 0."""
    note("members", f"{number} {os.getpid()}")
    if number % 10 == 0:
        raise ucam_faas.DeadLetter("it ends in 0")
    return number


@ucam_faas.message_handler(timeout=timedelta(seconds=30))
def summary(batch: ucam_faas.BatchEnded) -> int:
    """Note the number of jobs in each state, and add their results up."""
    outcomes = list(batch.outcomes())
    states = Counter(outcome.state.value for outcome in outcomes)
    note("summaries", json.dumps({name: states[name] for name in sorted(states, reverse=True)}))
    return sum(outcome.result or 0 for outcome in outcomes)


@ucam_faas.message_handler(
    limit=ucam_faas.Limit(lambda work: work["key"]),
    timeout=timedelta(seconds=1),
    retry=ucam_faas.RetryPolicy(max_attempts=None),
)
def limited(work: dict[str, int]) -> int:
    """Note the run, and whether a live process runs another job of the key."""
    key, number = work["key"], work["number"]
    with Path(f"key-{key}").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            note("overlaps", f"{key} {number}")
        note(f"starts-{key}", str(number))
        note("holders", str(os.getpid()))
        time.sleep(0.05)
    return number


@ucam_faas.message_handler(lanes=[ucam_faas.Lane("bulk", max_concurrency=2)], concurrency=4)
def laned(lane: dict[str, str]) -> None:
    """Note the run, in the file of its lane."""
    note(f"began-{lane['lane']}", ucam_faas.current_job().id)
    time.sleep(0.02)
    note(f"ended-{lane['lane']}", ucam_faas.current_job().id)


@ucam_faas.message_handler(
    run_in_process=True,
    concurrency=3,
    timeout=timedelta(seconds=60),
    retry=ucam_faas.RetryPolicy(max_attempts=None, backoff=lambda failures: 0.1),
)
def compute(number: int) -> int:
    """Compute for a moment, in a process that is killed at random."""
    note("computing", str(os.getpid()))
    end = time.process_time() + 0.02
    while time.process_time() < end:
        number += 1
        number -= 1
    return number


@ucam_faas.message_handler(
    topic="refunds", idempotent=True, dead_letter_topic="refund-dead-letters"
)
def refund(number: int) -> None:
    """Note the number."""
    note("refunds", str(number))
