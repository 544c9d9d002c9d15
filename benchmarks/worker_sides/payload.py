"""The model that all sides parse, the count that each keeps, and a log line for the bare side."""

from __future__ import annotations

import json
import os
import sys
import time

from pydantic import BaseModel

COUNT = int(os.environ.get("WORKER_COUNT", "0"))


class Order(BaseModel):
    order_id: str
    customer: str
    amount: float
    items: list[str]


class Counter:
    """Counts messages, and reports the time from the first to the last."""

    def __init__(self) -> None:
        self.count = 0
        self.first = self.cpu = 0.0

    def add(self) -> bool:
        """Count one; True if it was the last."""
        self.count += 1
        if self.count == 1:
            self.first, self.cpu = time.perf_counter(), time.process_time()
        if self.count != COUNT:
            return False
        seconds = time.perf_counter() - self.first
        cpu = (time.process_time() - self.cpu) / COUNT * 1e6
        with open(os.environ["WORKER_RESULT"], "w") as file:
            json.dump({"per_s": COUNT / seconds, "cpu_us": cpu}, file)
        return True


def log_line(message_id: str, started: float, ended: float) -> None:
    """Write the fields that ours has in its line for each message."""
    line = {
        "severity": "INFO",
        "message": "function_completed",
        "task": "order",
        "outcome": "done",
        "message_id": message_id,
        "duration_seconds": round(ended - started, 6),
    }
    sys.stdout.write(json.dumps(line) + "\n")
