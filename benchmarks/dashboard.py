"""The dashboard's pages with 1,000,000 messages in the history and 1,000,000 jobs in the store.

    python benchmarks/dashboard.py               # about 3 minutes
    python benchmarks/dashboard.py --rows 100000

A page is one request to the application, without a server: the view, its queries and its template.
Each is asked for with many different arguments. The CPU time is of the whole process; on an idle
machine it is the time of the answer. Its p95 has to be below 50 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from history import BAR_MS, NAMES, PLACES, TASKS, fill, p95

from ucam_faas.actions.jobs import Jobs
from ucam_faas.backends.ports import Backends, KnownTask
from ucam_faas.clock import SystemClock
from ucam_faas.config import Settings
from ucam_faas.dashboard.app import make_app
from ucam_faas.execution.runtime import Runtime
from ucam_faas.history.reader import History
from ucam_faas.jobs.stores.sqlite import SqliteStore
from ucam_faas.tasks.needs import TaskNeeds

REPETITIONS = 40
RARE = 20
"""The first jobs, of a task that has no later ones."""
JOBS = f"""
WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :rows)
INSERT INTO ucam_faas_jobs (
  app, task, id, payload, attributes, ordering_key, options, source, owner, state, created, due,
  visit, fence, history, error, batch, parent
)
SELECT 'shop', iif(n <= {RARE}, 'rare', 'task-' || (n % {TASKS})), 'job-' || n,
  CAST('{{"order": ' || n || ', "article": "umbrella"}}' AS BLOB), '{{}}', '', '{{}}', '', '',
  CASE WHEN n % 997 = 0 THEN 'FAILURE' WHEN n > :rows - 100 THEN 'PENDING' ELSE 'SUCCESS' END,
  :now - (:rows - n) * 0.6, 0, 9e9, 1,
  json_array(
    json_array(0, 'PENDING', 'sent', 0, '', ''), json_array(1, 'STARTED', 'claimed', 1, '', '')
  ),
  CASE WHEN n % 997 = 0 THEN '{{"type": "KeyError", "message": "umbrella"}}' END,
  CASE WHEN n % 10 = 0 THEN 'task-0/batch-' || (n / 10000) END,
  CASE WHEN n % 10 = 1 THEN 'task-1/job-' || (n / 1000) END
FROM numbers
"""


def fill_jobs(path: Path, rows: int) -> None:
    """Write jobs by SQL."""
    store = SqliteStore(str(path), SystemClock())
    store.migrate()
    store.close()
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA synchronous = OFF")
        database.execute(JOBS, {"rows": rows, "now": time.time()})
        database.commit()


def pages(rows: int) -> dict[str, Callable[[int], str]]:
    """Return the URLs of pages; each gets a random number of a row."""
    return {
        "the start page": lambda n: "/",
        "messages": lambda n: "/messages",
        "messages, a page in the middle": lambda n: f"/messages?before={n * PLACES}",
        "messages of a task that failed": lambda n: f"/messages?task=task-{n % TASKS}&state=failed",
        "messages with a rare attribute": lambda n: f"/messages?attribute=customer%3D{n % 50000}",
        "messages with a word of all": lambda n: "/messages?text=umbrella+",
        "messages, the beginning of a word of all": lambda n: "/messages?text=umbrell",
        "messages of an hour": lambda n: "/messages?within=1h&until=2025-10-12T00:00",
        "a message": lambda n: f"/messages/{n}",
        "a run": lambda n: f"/runs/run-{n}",
        "jobs": lambda n: "/jobs",
        "jobs, a page in the middle": lambda n: (
            f"/jobs?before={time.time() - (rows - n) * 0.6}/{quote(f'task-1/job-{n}')}"
        ),
        "jobs of a task": lambda n: f"/jobs?task=task-{n % TASKS}",
        "jobs of a rare task": lambda n: "/jobs?task=rare",
        "jobs that failed": lambda n: "/jobs?state=failure",
        "jobs of a task that failed": lambda n: f"/jobs?state=failure&task=task-{n % TASKS}",
        "jobs of a batch": lambda n: f"/jobs?batch=task-0/batch-{n // 10000}",
        "a job": lambda n: f"/jobs/task-{n % TASKS}/job-{n}",
        "a search for the id of a job": lambda n: f"/search?q=job-{n}",
        "a search for the id of a message": lambda n: f"/search?q={n}",
        "a search for a word": lambda n: f"/search?q={NAMES[n % 10]}",
        "a search for an attribute": lambda n: f"/search?q=customer%3D{n % 50000}",
        "tasks": lambda n: "/tasks",
        "a task": lambda n: f"/tasks/task-{n % TASKS}",
    }


def ask(app: Callable[..., object], url: str) -> int:
    """Make a request, and return its status."""
    path, _, query = url.partition("?")
    scope = {
        "type": "http", "http_version": "1.1", "scheme": "http", "method": "GET", "path": path,
        "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
        "headers": [(b"host", b"127.0.0.1")],
    }  # fmt: skip
    statuses: list[int] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, object]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(int(str(message["status"])))

    LOOP.run_until_complete(app(scope, receive, send))  # type: ignore[arg-type]
    return statuses[0]


LOOP = asyncio.new_event_loop()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000, help="messages, and jobs")
    rows = parser.parse_args().rows
    numbers = random.Random(15)
    with tempfile.TemporaryDirectory(prefix="ucam-faas-dashboard-") as name:
        folder = Path(name)
        fill(folder / "history.sqlite3", rows)
        fill_jobs(folder / "jobs.db", rows)
        print(f"{rows:,} messages, {rows:,} jobs", file=sys.stderr)
        store = SqliteStore(str(folder / "jobs.db"), SystemClock())
        runtime = Runtime(Settings(app="shop"), SystemClock(), store=store)
        tasks = [
            KnownTask(TaskNeeds(name=f"task-{n}", path=f"/task-{n}", takes="Order", topic=f"t-{n}"))
            for n in range(TASKS)
        ]
        history = History(folder / "history.sqlite3")
        backends = Backends(
            place="shop", history=history, jobs=Jobs(runtime, store), tasks=lambda: tasks
        )
        app = make_app(lambda: backends)
        print(f"{'page, ms of CPU time':44}{'p50':>8}{'p95':>8}{'most':>8}")
        for name, url in pages(rows).items():
            times = []
            for _ in range(REPETITIONS):
                asked = url(numbers.randrange(rows // 10, rows))
                began = time.process_time()
                status = ask(app, asked)
                times.append((time.process_time() - began) * 1000)
                if status not in (200, 303):
                    raise SystemExit(f"{asked}: status {status}")
            figures = (statistics.median(times), p95(times), max(times))
            verdict = "" if p95(times) < BAR_MS else "  FAIL"
            print(f"{name:44}" + "".join(f"{figure:8.1f}" for figure in figures) + verdict)
        history.close()
        store.close()


if __name__ == "__main__":
    main()
