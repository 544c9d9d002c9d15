"""The task of `benchmarks/validate.py`: it sleeps, and fails at random."""

from __future__ import annotations

import os
import random
import time
from datetime import timedelta

import ucam_faas

SECONDS = 0.05
RETRY = ucam_faas.RetryPolicy(max_attempts=8, min_backoff=timedelta(seconds=1))


@ucam_faas.message_handler(retry=RETRY)
def act(number: int) -> int:
    time.sleep(SECONDS)
    if random.random() < float(os.environ["FAILING"]):
        raise RuntimeError("at random")
    return number
