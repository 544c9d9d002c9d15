"""DBOS: a workflow of many steps."""

from __future__ import annotations

import json
import os
import sys
import time

import common

common.with_same_fsync()

from dbos import DBOS  # noqa: E402  # it connects as sqlite3 was when it was imported

URL = os.environ.get("JOBS_POSTGRESQL") or f"sqlite:///{common.FOLDER}/dbos.sqlite"


def main(steps: int) -> None:
    """Run two workflows, the first of which is a warm-up."""
    DBOS(config={"name": "bench", "system_database_url": URL, "log_level": "WARNING"})

    @DBOS.step()
    def double(number: int) -> dict:
        return {"ok": 2 * number}

    @DBOS.workflow()
    def act(count: int) -> float:
        begin = time.perf_counter()
        for number in range(count):
            double(number)
        return time.perf_counter() - begin

    DBOS.launch()
    act(100)
    print(json.dumps({"per_s": steps / act(steps)}), flush=True)
    DBOS.destroy()
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]))
