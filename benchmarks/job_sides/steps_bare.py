"""A bare loop over sqlite3: a row for each step, each its own transaction."""

from __future__ import annotations

import json
import sqlite3
import sys
import time

import common

TABLE = "CREATE TABLE steps (job, name, value, PRIMARY KEY (job, name)) WITHOUT ROWID"


def main(steps: int) -> None:
    """Do the steps of two jobs, the first of which is a warm-up."""
    connection = sqlite3.connect(f"{common.FOLDER}/bare.sqlite", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute(TABLE)

    def run(job: str, count: int) -> float:
        begin = time.perf_counter()
        for number in range(count):
            value = json.dumps({"ok": 2 * number})
            connection.execute("INSERT INTO steps VALUES (?, ?, ?)", (job, f"step {number}", value))
        return time.perf_counter() - begin

    run("warm-up", 100)
    print(json.dumps({"per_s": steps / run("measured", steps)}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
