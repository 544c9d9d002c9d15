"""A script: a process that runs a job of many steps, and is killed while it does.

    python killed_steps.py STORE FOLDER STEPS

Each effect is a line in the file `effects`. The lease of the claim is 0 s, so that the next process
takes the job at once, as one whose process was lost.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import ucam_faas
from ucam_faas.clock import SystemClock
from ucam_faas.config import Settings
from ucam_faas.events import envelopes
from ucam_faas.execution.execution import Execution
from ucam_faas.execution.pipeline import execute
from ucam_faas.execution.runtime import Runtime, store_of
from ucam_faas.job_runs.job_run import JobRun
from ucam_faas.job_runs.lease import Lease
from ucam_faas.jobs.rows import Key
from ucam_faas.publishing.memory import MemoryPublisher
from ucam_faas.tasks import registry
from ucam_faas.testing import make_message, make_push

KEY = Key("default", "count_up", "1")


@ucam_faas.message_handler(retry=ucam_faas.RetryPolicy(max_attempts=None))
def count_up(steps: int) -> int:
    """Do steps, and return the sum of their results."""
    job, total = ucam_faas.current_job(), 0
    for number in range(steps):
        total += job.step(f"step {number}", effect, number)
    return total


def effect(number: int) -> int:
    """Add a line to the effects, and return the number."""
    os.write(EFFECTS, b"%d %d\n" % (os.getpid(), number))
    return number


def main(job_store: str, steps: int) -> None:
    """Take the job, and run it."""
    settings = Settings(
        job_store=job_store, firestore_emulator=os.environ.get("FIRESTORE_EMULATOR_HOST")
    )
    store, task = store_of(settings), registry.task_of(count_up)
    assert store is not None
    assert task is not None
    row = store.claim(KEY, lease=0, instance=str(os.getpid()))
    assert row is not None
    job = JobRun(KEY, Lease(store, row))
    push = make_push(make_message(b"%d" % steps))
    delivery = envelopes.decode(push.body, push.headers).with_message()
    runtime = Runtime(settings, SystemClock(), MemoryPublisher(), store=store)
    print(execute(Execution(task, delivery, runtime, job=job)).outcome)
    store.close()


if __name__ == "__main__":
    EFFECTS = os.open(Path(sys.argv[2]) / "effects", os.O_APPEND | os.O_CREAT | os.O_WRONLY)
    main(sys.argv[1], int(sys.argv[3]))
