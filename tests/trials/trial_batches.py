"""A trial of a thousand jobs in a batch, some twice and some failing, with killed processes."""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import suppress

from tests.dev.cloud import Dev
from tests.integration.processes import wait_until
from tests.trials.running import SECONDS, causes, ended, lines, script
from ucam_faas.jobs.rows import Key
from ucam_faas.jobs.states import State
from ucam_faas.jobs.stores import JobStore

JOBS, KILLS = 1000, 3


def test_the_callback_of_a_thousand_jobs_runs_once(dev: Dev, store: JobStore) -> None:
    """Each tenth fails, 200 are sent twice, and 50 exist before: 10 of them have ended."""
    code = f"""
before = main.member.send_many(range(50), id=str)
for job in before[:10]:
    job.wait(60)
numbers = [*range({JOBS}), *range(200)]
batch = main.member.send_many(numbers, id=str, then=main.summary)
again = main.member.send_many(numbers, id=str, then=main.summary)
assert (len(batch), batch.then) == (1200, again.then)
assert batch.progress().total == {JOBS}
open("callback", "w").write(batch.then.id)
"""
    assert script(dev, code) == 0
    (callback,) = lines(dev, "callback")
    for number in range(1, KILLS + 1):
        wait_until(lambda: len(lines(dev, "members")) > 200 * number, "they run", SECONDS)  # noqa: B023
        with suppress(ProcessLookupError):
            os.kill(int(lines(dev, "members")[-1].split()[1]), signal.SIGKILL)

    row = ended(store, "summary", callback)
    time.sleep(5)  # a second run would begin now
    rows = [store.get(Key("default", "member", str(number))) for number in range(JOBS)]

    assert causes(row)[:2] == ["sent", "batch ended"]
    assert causes(row).count("batch ended") == 1
    assert lines(dev, "summaries") == [json.dumps({"SUCCESS": 900, "FAILURE": 100})]
    assert row.result == json.dumps(sum(n for n in range(JOBS) if n % 10)).encode()
    assert [each is not None and each.state for each in rows] == [
        State.SUCCESS if number % 10 else State.FAILURE for number in range(JOBS)
    ]
