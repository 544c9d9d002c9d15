"""Ours: a job of many steps, through the pipeline; the store is that of UCAM_FAAS_JOB_STORE."""

from __future__ import annotations

import json
import os
import sys
import time

import ucam_faas
from ucam_faas.clock import SystemClock
from ucam_faas.config import Settings
from ucam_faas.events import envelopes
from ucam_faas.execution.execution import Execution
from ucam_faas.execution.pipeline import execute
from ucam_faas.execution.runtime import Runtime, store_of
from ucam_faas.job_runs.job_run import JobRun
from ucam_faas.job_runs.lease import Lease
from ucam_faas.jobs.rows import Key, Row
from ucam_faas.publishing.memory import MemoryPublisher
from ucam_faas.tasks import registry
from ucam_faas.testing import make_message, make_push


def double(number: int) -> dict:
    """Do a step."""
    return {"ok": 2 * number}


@ucam_faas.message_handler
def act(steps: int) -> float:
    """Do steps, and return the seconds that they took."""
    job, begin = ucam_faas.current_job(), time.perf_counter()
    for number in range(steps):
        job.step(f"step {number}", double, number)
    return time.perf_counter() - begin


def main(steps: int) -> None:
    """Run two jobs, the first of which is a warm-up."""
    settings = Settings(job_store=os.environ["UCAM_FAAS_JOB_STORE"])
    store = store_of(settings)
    runtime = Runtime(settings, SystemClock(), MemoryPublisher({}), store=store)

    def run(id: str, count: int) -> float:
        key = Key("default", "act", id)
        store.insert([Row(key=key, payload=b"%d" % count, visit=3600.0)], wait=[0.0])
        row = store.claim(key, lease=3600, instance="benchmark")
        job = JobRun(key, Lease(store, row))
        push = make_push(make_message(b"%d" % count))
        delivery = envelopes.decode(push.body, push.headers).with_message()
        task = registry.task_of(act)
        conclusion = execute(Execution(task, delivery, runtime, job=job))
        assert store.get(key).state == "SUCCESS"
        return float(conclusion.value)

    run("warm-up", 100)
    print(json.dumps({"per_s": steps / run("measured", steps)}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
