"""The roles of a side of `jobs.py`, each a process: send, send_many, await, latency.

A side gives `sender()`: a context manager that yields `send(number)` and `send_many(numbers)`,
either sync or async, and `done()`, the number of stored results. It prints one JSON line.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import sys
import time
from pathlib import Path

FOLDER = Path(os.environ["JOBS_FOLDER"])
FIRST = FOLDER / "first"
STARTS = FOLDER / "starts"
LATENCY = 1_000_000
"""Jobs with this number or a higher one report their starts."""
_begun = False


def act(number: int) -> dict:
    """Do the job: note the first start, or the start of a latency probe."""
    global _begun
    if number >= LATENCY:
        with STARTS.open("a") as file:
            file.write(f"{number} {time.time()}\n")
    elif not _begun:
        _begun = True
        FIRST.write_text(str(time.time()))
    return {"ok": number}


def with_same_fsync() -> None:
    """Have every SQLite connection write as ours does: WAL, synchronous=NORMAL."""
    import sqlite3

    connect = sqlite3.connect

    def connected(*args, **kwargs):
        connection = connect(*args, **kwargs)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        return connection

    sqlite3.connect = sqlite3.dbapi2.connect = connected


async def _do(result):
    return await result if inspect.isawaitable(result) else result


async def _role(role: str, count: int, sender, done) -> dict:
    if role == "await":
        while (await _do(done())) < count:
            await asyncio.sleep(0.05)
        return {"end": time.time(), "first": float(FIRST.read_text())}
    async with sender() as (send, send_many):
        if role == "send_many":
            begin = time.perf_counter()
            await _do(send_many(range(count)))
            return {"per_s": count / (time.perf_counter() - begin)}
        if role == "send":
            await _do(send(0))
            begin = time.perf_counter()
            for number in range(1, count):
                await _do(send(number))
            return {"per_s": (count - 1) / (time.perf_counter() - begin)}
        sent = {}
        for number in range(LATENCY, LATENCY + count):
            await asyncio.sleep(0.07)
            sent[number] = time.time()
            await _do(send(number))
        await asyncio.sleep(2.5)
        starts = [line.split() for line in STARTS.read_text().splitlines()]
        waits = sorted(float(start) - sent[int(number)] for number, start in starts)
        return {"p50_ms": waits[len(waits) // 2] * 1e3, "lost": count - len(waits)}


def main(sender, worker, done, prepare=lambda: None) -> None:
    """Play the role that the command line names."""
    role, count = sys.argv[1], int(sys.argv[2])
    if role == "worker":
        worker()
    elif role == "prepare":
        prepare()
    else:
        print(json.dumps(asyncio.run(_role(role, count, sender, done))))
