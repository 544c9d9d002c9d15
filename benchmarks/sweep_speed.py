"""Jobs per second that a sweep wakes and removes: SQLite, and a private PostgreSQL server.

python benchmarks/sweep_speed.py --jobs 20000
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from local import postgresql_server

from ucam_faas.clock import SystemClock
from ucam_faas.jobs.rows import Change, Key, Row
from ucam_faas.jobs.states import LIVE, State
from ucam_faas.jobs.stores.postgresql import PostgresqlStore
from ucam_faas.jobs.stores.sqlite import SqliteStore
from ucam_faas.jobs.sweep import sweep


@contextmanager
def stores() -> Iterator[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder, postgresql_server() as server:
        each: dict[str, Any] = {
            "SQLite": SqliteStore(f"{folder}/jobs.db", SystemClock()),
            "PostgreSQL": PostgresqlStore(server.new_database()),
        }
        for store in each.values():
            store.migrate()
        yield each
        for store in each.values():
            store.close()


def per_second(store: Any, jobs: int) -> tuple[float, float]:
    """Return how many jobs a sweep wakes, and removes, in a second."""
    keys = [Key("app", "task", str(number)) for number in range(jobs)]
    for start in range(0, jobs, 1000):
        rows = [Row(key=key, payload=b"x" * 200, visit=0.0) for key in keys[start : start + 1000]]
        store.insert(rows, wait=[0.0] * len(rows))
    began = time.perf_counter()
    assert sweep(store, "app", wake=lambda keys: None) >= jobs
    woken = time.perf_counter() - began
    cancelled = Change(state=State.CANCELLED, cause="cancelled", visit=0.0)
    for key in keys:
        store.change(key, cancelled, states=LIVE)
    began = time.perf_counter()
    assert sweep(store, "app", wake=lambda keys: None) >= jobs
    return jobs / woken, jobs / (time.perf_counter() - began)


def main() -> None:
    """Print a line for each store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=20_000)
    jobs = parser.parse_args().jobs
    with stores() as each:
        for name, store in each.items():
            woken, removed = per_second(store, jobs)
            print(f"{name}: wakes {woken:.0f}/s, removes {removed:.0f}/s")


if __name__ == "__main__":
    main()
