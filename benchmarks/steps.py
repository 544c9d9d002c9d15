"""Steps: a job of a thousand steps, each stored, against a workflow of DBOS.

    python benchmarks/steps.py                     # 5 rounds on SQLite; half a minute
    python benchmarks/steps.py --store postgresql

The sides alternate, each round in a new process on a new database. SQLite is written alike on both
sides (WAL, synchronous=NORMAL); PostgreSQL is one private server with its defaults (fsync on).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from contextlib import nullcontext

from jobs import python_of
from local import HERE, postgresql_server

SIDES = ("ours", "dbos")


def measure(side: str, steps: int, url: str | None) -> float:
    """Return the steps that a side does in a second."""
    with tempfile.TemporaryDirectory(prefix="ucam-faas-benchmark-") as folder:
        store = url or f"sqlite:{folder}/jobs.db"
        environ = os.environ | {"JOBS_FOLDER": folder, "UCAM_FAAS_JOB_STORE": store}
        environ["UCAM_FAAS_LOG_LEVEL"] = "WARNING"
        if url is not None:
            environ["JOBS_POSTGRESQL"] = url
            command = [sys.executable, "-m", "ucam_faas", "jobs", "migrate"]
            subprocess.run(command, env=environ, check=True, stdout=subprocess.DEVNULL)
        script = str(HERE / "job_sides" / f"steps_{side}.py")
        command = [python_of("dbos" if side == "dbos" else "ours"), script, str(steps)]
        result = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=300)
        if result.returncode:
            raise SystemExit(f"{side}: {result.stderr[-3000:]}")
        return float(json.loads(result.stdout.splitlines()[-1])["per_s"])


def main() -> None:
    """Run the sides in turn, and print the medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=1000)
    options = parser.parse_args()
    results: dict[str, list[float]] = {side: [] for side in SIDES}
    with postgresql_server() if options.store == "postgresql" else nullcontext() as server:
        for _ in range(options.rounds):
            for side in SIDES:
                url = None if options.store == "sqlite" else server.new_database()
                results[side].append(measure(side, options.steps, url))
    medians = {side: statistics.median(each) for side, each in results.items()}
    figures = {
        side: f"{m:.0f} ({min(results[side]):.0f} to {max(results[side]):.0f})"
        for side, m in medians.items()
    }
    ratio = round(medians["ours"] / medians["dbos"], 2)
    print(json.dumps({"steps/s": figures, "ratio": ratio}, ensure_ascii=False))


if __name__ == "__main__":
    main()
