"""The history of `ucam-faas dev`: queries with 1,000,000 messages, and pushes with and without it.

    python benchmarks/history.py                 # both; about 3 minutes
    python benchmarks/history.py --only queries --messages 100000
    python benchmarks/history.py --only push --rounds 20

Queries are those of the dashboard's pages, each with many different arguments; p95 has to be below
50 ms. Pushes are bursts of two real `ucam-faas dev`, one without a history, to a task that does
nothing; the bursts alternate. Ratios are medians of the pairs', with their quartiles. CPU time is
of all processes but the one that writes the history, which has a low priority.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path

from ucam_faas.history.database import PLACES, open_for_writing
from ucam_faas.history.reader import History
from ucam_faas.history.search import place_word

BAR_MS = 50.0
BEGIN = 1_760_000_000.0
SPACING_SECONDS = 0.6
"""Between two messages: a million of them are a week's."""
TASKS = 20
REPETITIONS = 40
WARM_UP = 3
"""Pairs that aren't counted."""
WRITER = "ucam_faas.history.recording"
TASK = """
import os
import ucam_faas

seen = 0

@ucam_faas.message_handler
def store(data: bytes) -> None:
    global seen
    seen += 1
    if seen % int(os.environ["COUNT"]) == 0:
        open(f"done-{seen}", "w").close()
"""
NAMES = (
    "ada",
    "alan",
    "barbara",
    "claude",
    "donald",
    "edith",
    "edsger",
    "frances",
    "grace",
    "hedy",
)

# -- queries ----------------------------------------------------------------------------------

FILL = f"""
CREATE TEMP TABLE numbers (n INTEGER PRIMARY KEY);
INSERT INTO numbers WITH RECURSIVE up (n) AS
    (SELECT 1 UNION ALL SELECT n + 1 FROM up WHERE n < :messages) SELECT n FROM up;
CREATE TEMP TABLE names (n INTEGER PRIMARY KEY, name TEXT);
CREATE TEMP VIEW made AS SELECT
    n, {BEGIN} + n * {SPACING_SECONDS} AS time, 'task-' || (n * 7919 % {TASKS}) AS task,
    CASE WHEN n > :messages - 100 THEN 'waiting' WHEN n % 331 = 0 THEN 'dead_lettered'
        WHEN n % 97 = 0 THEN 'failed' ELSE 'done' END AS state,
    '{{"order": ' || n || ', "name": "' || (SELECT name FROM names WHERE names.n = made.n % 10)
        || '", "address": "' || (n * 31 % 90000) || ' Trinity Lane", "articles": ["umbrella"]}}'
        AS data FROM numbers made;
INSERT INTO messages SELECT n, CAST(n AS TEXT), time, task, '',
    '{{"customer": "' || (n % 50000) || '", "kind": "order"}}', CAST(data AS BLOB) FROM made;
INSERT INTO deliveries SELECT n * {PLACES}, CAST(n AS TEXT), time, task, task, task, state, 1,
    iif(state = 'done', '', 'KeyError: umbrella'), length(data),
    iif(state = 'dead_lettered', CAST(n + 1 AS TEXT), NULL), iif(state = 'done', NULL, time)
    FROM made;
INSERT INTO runs SELECT n, time, time + 0.01, task, task, CAST(n AS TEXT),
    iif(n % 3 = 0, 'job-' || n, ''), 1, 'run-' || n, iif(state = 'done', 'done', 'crashed'),
    iif(state = 'done', '', 'KeyError: umbrella'), '200', iif(state = 'done', '', 'KeyError'),
    state <> 'done' FROM made;
INSERT INTO lines SELECT n, 'run-' || (n / 2 + 1), time, task, 'INFO', 'looking for an umbrella',
    '{{}}', '' FROM made;
INSERT INTO events SELECT n, time, 'done', task, CAST(n AS TEXT), '', 'attempt 1' FROM made
    WHERE n > :messages - 20000;
INSERT INTO counters SELECT span, CAST(time AS INTEGER) / span * span AS start, task, count(*),
    sum(state = 'done'), sum(state = 'failed'), sum(state = 'dead_lettered')
    FROM made, (SELECT 60 AS span UNION ALL SELECT 600 UNION ALL SELECT 3600)
    GROUP BY span, start, task;
INSERT INTO attributes SELECT 'customer=' || (n % 50000), n FROM made ORDER BY 1, 2;
INSERT INTO attributes SELECT 'kind=order', n FROM made;
INSERT INTO words (rowid, text) SELECT n, place(task) || ' customer=' || (n % 50000)
    || ' kind=order ' || data FROM made;
UPDATE facts SET value = :messages WHERE name = 'indexed';
"""


def fill(path: Path, messages: int) -> None:
    """Write a week of messages by SQL."""
    with closing(open_for_writing(path)) as database:
        database.execute("PRAGMA synchronous = OFF")
        database.execute("PRAGMA cache_size = -200000")
        places = cache(lambda name: f"{place_word('task', name)} {place_word('topic', name)}")
        database.create_function("place", 1, places)
        database.execute("BEGIN")
        for statement in FILL.split(";\n"):
            if statement.strip():
                database.execute(statement.replace(":messages", str(messages)))
            if "names (n" in statement:
                database.executemany("INSERT INTO names VALUES (?, ?)", enumerate(NAMES))
        database.execute("COMMIT")


def queries(history: History, messages: int) -> dict[str, Callable[[int], object]]:
    """Return the queries of pages; each gets a random message's number."""
    end = BEGIN + messages * SPACING_SECONDS
    last = history.last_seq()

    def task(n: int) -> str:
        return f"task-{n % TASKS}"

    def page(**filters: str | int | float) -> object:
        return history.messages(**filters)  # type: ignore[arg-type]

    return {
        "messages": lambda n: page(),
        "messages, a page in the middle": lambda n: page(before=n * PLACES),
        "messages of a task": lambda n: page(task=task(n), before=n * PLACES),
        "messages of a topic": lambda n: page(topic=task(n), before=n * PLACES),
        "messages that failed": lambda n: page(state="failed", before=n * PLACES),
        "messages of a task that failed": lambda n: page(task=task(n), state="failed"),
        "messages of a task that are done": lambda n: page(task=task(n), state="done"),
        "messages that wait": lambda n: page(state="waiting"),
        "messages of an hour": lambda n: page(
            since=BEGIN + n * SPACING_SECONDS, until=BEGIN + n * SPACING_SECONDS + 3600
        ),
        "messages with a rare attribute": lambda n: page(attribute=f"customer={n % 50000}"),
        "messages with an attribute of all": lambda n: page(attribute="kind=order"),
        "messages with an attribute, failed": lambda n: page(
            attribute="kind=order", state="failed", before=n * PLACES
        ),
        "messages with a rare word": lambda n: page(text=f"order {n} "),
        "messages with a word of all": lambda n: page(text="umbrella "),
        "messages with the beginning of a word": lambda n: page(text=NAMES[n % 10][:3]),
        "messages with the beginning of a word of all": lambda n: page(text="umbr"),
        "messages with two words": lambda n: page(text=f"{NAMES[n % 10]} trinity "),
        "messages with a word, of a task": lambda n: page(text=NAMES[n % 10] + " ", task=task(n)),
        "messages with a word, that wait": lambda n: page(text=NAMES[n % 10], state="waiting"),
        "messages with a word, failed": lambda n: page(text=NAMES[n % 10] + " ", state="failed"),
        "a message": lambda n: history.message(str(n)),
        "a timeline": lambda n: history.timeline(str(n)),
        "the runs of a job": lambda n: history.job_runs(task(n * 7919), f"job-{n // 3 * 3}"),
        "the lines of a run": lambda n: history.lines(f"run-{n // 2}"),
        "errors": lambda n: history.errors(),
        "the stream, 500 events": lambda n: history.stream(last - 1000 - n % 10000),
        "rates of an hour": lambda n: history.rates(end - 3600, until=end, buckets=60),
        "rates of a day": lambda n: history.rates(end - 86400, until=end, buckets=48),
        "rates of a week": lambda n: history.rates(end - 7 * 86400, until=end, buckets=84),
    }


def time_queries(
    messages: int,
    repetitions: int = REPETITIONS,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Return the milliseconds of each query, by a clock."""
    numbers = random.Random(15)
    with tempfile.TemporaryDirectory(prefix="ucam-faas-history-") as folder:
        path = Path(folder, "history.sqlite3")
        began = time.perf_counter()
        fill(path, messages)
        seconds = time.perf_counter() - began
        size = path.stat().st_size / 1e6
        print(f"{messages:,} messages, {size:,.0f} MB, filled in {seconds:.0f} s", file=sys.stderr)
        times: dict[str, list[float]] = {}
        with closing(History(path)) as history:
            for name, query in queries(history, messages).items():
                for _ in range(repetitions):
                    number = numbers.randrange(messages // 10, messages)
                    began = clock()
                    query(number)
                    times.setdefault(name, []).append((clock() - began) * 1000)
    return times


def p95(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.95)]


def show_queries(messages: int) -> None:
    print(f"\n{'query, ms':48}{'p50':>8}{'p95':>8}{'most':>8}")
    for name, values in time_queries(messages).items():
        figures = (statistics.median(values), p95(values), max(values))
        verdict = "" if p95(values) < BAR_MS else "  FAIL"
        print(f"{name:48}" + "".join(f"{figure:8.2f}" for figure in figures) + verdict)


# -- pushes -----------------------------------------------------------------------------------


Pair = tuple[tuple[float, float], tuple[float, float]]
"""The messages/s and the µs of CPU time of one, without and with a history."""


class Dev:
    """A running `ucam-faas dev` whose task takes bursts of messages."""

    def __init__(
        self, process: int, pubsub: str, folder: Path, count: int, with_history: bool
    ) -> None:
        self.with_history = with_history
        self._process = process
        self._url = f"http://{pubsub}/v1/projects/local/topics/store:publish"
        self._folder = folder
        messages = [
            {
                "data": base64.b64encode(json.dumps({"order": number}).encode()).decode(),
                "attributes": {"kind": "order", "customer": str(number % 100)},
            }
            for number in range(count)
        ]
        self._body = json.dumps({"messages": messages}).encode()
        self._count = count
        self._pushed = 0

    def push(self) -> tuple[float, float]:
        """Return the messages/s of a burst, and the µs of CPU time that a message costs."""
        self._pushed += self._count
        head = {"content-type": "application/json"}
        used, began = cpu_seconds(self._process), time.perf_counter()
        request = urllib.request.Request(self._url, self._body, head)
        urllib.request.urlopen(request, timeout=60).close()
        while not (self._folder / f"done-{self._pushed}").exists():
            time.sleep(0.002)
        seconds = time.perf_counter() - began
        cost = (cpu_seconds(self._process) - used) / self._count * 1e6
        return self._count / seconds, cost


@contextmanager
def dev(with_history: bool, count: int) -> Iterator[Dev]:
    """Run `ucam-faas dev`, and end it."""
    options = [] if with_history else ["--history-days", "0"]
    with tempfile.TemporaryDirectory(prefix="ucam-faas-history-") as parent:
        folder, log = Path(parent, "tasks"), Path(parent, "log")  # `dev` watches its folder
        folder.mkdir()
        (folder / "main.py").write_text(TASK)
        command = [sys.executable, "-m", "ucam_faas", "dev", "--port", "0", "--pubsub-port", "0"]
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*command, "--no-dashboard", *options],
                cwd=folder,
                stdout=output,
                stderr=output,
                env={**os.environ, "COUNT": str(count)},
                start_new_session=True,
            )
        try:
            while "Control-C ends" not in log.read_text():
                if process.poll() is not None:
                    raise SystemExit(log.read_text())
                time.sleep(0.02)
            address = re.search(r"Cloud Scheduler on (\S+)", log.read_text())
            assert address is not None
            yield Dev(process.pid, address[1], folder, count, with_history)
        finally:
            process.terminate()
            process.wait(60)


def push_sides(rounds: int, pairs: int, count: int, is_apart: bool = False) -> list[Pair]:
    """Return the figures of bursts without and with a history, in pairs: one right after another.

    Another load of the machine lasts longer than a pair, and is in both sides. Each round has new
    processes: some are faster than others for as long as they live.
    """
    figures = []
    for round in range(rounds):
        with dev(bool(round % 2), count) as first, dev(not round % 2, count) as second:
            if is_apart:
                set_apart(os.getpid())
            for number in range(-WARM_UP, pairs):
                order = (first, second) if number % 2 else (second, first)
                taken = {side.with_history: side.push() for side in order}
                if number >= 0:
                    figures.append((taken[False], taken[True]))
    return figures


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process and its children, without the writer of the history."""
    command = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    seconds = 0.0
    for task in Path(f"/proc/{pid}/task").iterdir():
        if WRITER not in command:
            seconds += int((task / "schedstat").read_text().split()[0]) / 1e9
        for child in (task / "children").read_text().split():
            seconds += cpu_seconds(int(child))
    return seconds


def set_apart(pid: int) -> None:
    """Give the writer of a history another core than that of `dev` and its tasks."""
    command = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    for task in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), {int(WRITER in command)})
        for child in (task / "children").read_text().split():
            set_apart(int(child))


def ratios(figures: list[Pair], place: int) -> list[float]:
    """Return the figures with a history divided by those without, of each pair."""
    return sorted(kept[place] / none[place] for none, kept in figures)


def show_pushes(rounds: int, pairs: int, count: int, is_apart: bool) -> None:
    figures = push_sides(rounds, pairs, count, is_apart)
    print(f"\n{'pushes, medians':28}{'without':>10}{'with':>10}{'with / without':>30}")
    for place, name in enumerate(("messages/s", "CPU time of a message, µs")):
        sides = [statistics.median(pair[side][place] for pair in figures) for side in (0, 1)]
        several = ratios(figures, place)
        quarter = len(several) // 4
        spread = f"({several[quarter]:.2f} to {several[-quarter - 1]:.2f})"
        ratio = f"{statistics.median(several):.3f} {spread}"
        print(f"{name:28}{sides[0]:>10.0f}{sides[1]:>10.0f}{ratio:>30}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=["queries", "push"], help="half of it")
    parser.add_argument("--messages", type=int, default=1_000_000, help="in the history")
    parser.add_argument("--rounds", type=int, default=8, help="with new processes")
    parser.add_argument("--pairs", type=int, default=10, help="of bursts in a round")
    parser.add_argument("--count", type=int, default=1_000, help="messages of a burst")
    parser.add_argument(
        "--apart", action="store_true", help="the writer has a core, and all others another one"
    )
    options = parser.parse_args()
    if options.only != "push":
        show_queries(options.messages)
    if options.only != "queries":
        show_pushes(options.rounds, options.pairs, options.count, options.apart)


if __name__ == "__main__":
    main()
