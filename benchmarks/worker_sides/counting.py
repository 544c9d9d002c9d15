"""The count that each side keeps of its messages."""

from __future__ import annotations

import json
import os
import time

COUNT = int(os.environ.get("WORKER_COUNT", "0"))


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
