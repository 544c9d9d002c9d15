"""The workbench of dead letters, against a bare loop that pulls and acknowledges.

    python benchmarks/dead_letters.py                 # 20,000 letters; a minute
    python benchmarks/dead_letters.py --letters 100000

One embedded Pub/Sub, in a process of its own and in memory. The bare sides pull all letters once,
and publish and acknowledge them once, over the same REST API and in the same batches.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from local import request

from tests.support.dead_letters import dead_message
from ucam_faas.dead_letters.book import Book
from ucam_faas.dead_letters.filters import Filter
from ucam_faas.dead_letters.source import RestSource
from ucam_faas.dead_letters.targets import CloudTargets
from ucam_faas.dead_letters.workbench import Workbench
from ucam_faas.net.rest import Rest
from ucam_faas.publishing import Draft
from ucam_faas.publishing.rest import RestPublisher

PROJECT = "benchmark"
KEEPER = "charge-dead-letter"
TASKS = ("charge", "ship", "notify")
QUERIES = {
    "first page": lambda bench: bench.letters(),
    "count": lambda bench: bench.count(),
    "groups": lambda bench: bench.groups(),
    "count of one cause": lambda bench: bench.count(Filter(fingerprint="1:aaaa0004")),
    "count by attribute": lambda bench: bench.count(Filter(attributes=["tenant=college-3"])),
    "count by text": lambda bench: bench.count(Filter(text="Müller 17")),
}


@contextmanager
def emulator() -> Iterator[str]:
    """Run the embedded Pub/Sub, and yield its host and port."""
    command = [sys.executable, "-m", "ucam_faas", "emulator", "--port", "0", "--memory"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = next(each for each in process.stdout if " ready on " in each)
            yield line.partition(" ready on ")[2].split()[0]
        finally:
            process.terminate()


def fill(host: str, count: int) -> None:
    """Create the topics and subscriptions, and publish dead letters."""
    port = int(host.rpartition(":")[2])
    for name in (KEEPER, *(f"{task}-inbox" for task in TASKS)):
        topic = f"projects/{PROJECT}/topics/{name}"
        request(port, "PUT", f"v1/{topic}", {})
        body = {"topic": topic, "ackDeadlineSeconds": 60}
        request(port, "PUT", f"v1/projects/{PROJECT}/subscriptions/{name}", body)
    publish(host, KEEPER, count)


def publish(host: str, topic: str, count: int) -> None:
    """Publish dead letters, a hundred in a call."""
    publisher = RestPublisher(host)
    for start in range(0, count, 100):
        messages = map(dead_message, range(start, min(start + 100, count)))
        drafts = [Draft(each.data, each.attributes) for each in messages]
        publisher.publish_many(f"projects/{PROJECT}/topics/{topic}", drafts)


def pull_all(source: RestSource) -> list[str]:
    """Pull and lease all letters, and return the ids for acknowledging."""
    ack_ids: list[str] = []
    while received := source.pull(KEEPER):
        some = [ack_id for ack_id, _ in received]
        source.extend(KEEPER, some, 60)
        ack_ids += some
    return ack_ids


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds that a call takes, and its result."""
    begin = time.perf_counter()
    result = call()
    return time.perf_counter() - begin, result


def bare_replay(host: str, source: RestSource, count: int) -> None:
    """Publish and acknowledge all letters, a hundred at a time, without a journal."""
    ack_ids = pull_all(source)
    publisher = RestPublisher(host)
    for start in range(0, count, 100):
        messages = map(dead_message, range(start, min(start + 100, count)))
        drafts = [Draft(each.data, each.attributes) for each in messages]
        publisher.publish_many(f"projects/{PROJECT}/topics/charge-inbox", drafts)
        source.acknowledge(KEEPER, ack_ids[start : start + 100])


def main() -> None:
    """Measure, and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--letters", type=int, default=20_000)
    count = parser.parse_args().letters
    with emulator() as host, tempfile.TemporaryDirectory() as folder:
        fill(host, count)
        source = RestSource(Rest(host), PROJECT, is_embedded=True)
        targets = CloudTargets(source, RestPublisher(host))
        bench = Workbench(Book(Path(folder) / "book.sqlite3"), source, targets=targets, by="me")

        seconds, ack_ids = timed(lambda: pull_all(source))
        bare_mirror = count / seconds
        source.extend(KEEPER, ack_ids, 0)
        seconds, mirrored = timed(bench.mirror)
        assert mirrored.new == count, mirrored
        mirror = count / seconds
        again = count / timed(bench.mirror)[0]
        queries = {}
        for name, query in QUERIES.items():
            times = sorted(timed(lambda: query(bench))[0] for _ in range(5))  # noqa: B023  # at once
            queries[name] = f"{times[2] * 1000:.1f} ms"
        planning, plan = timed(lambda: bench.plan(Filter()))
        seconds, report = timed(lambda: bench.run(plan.id))
        assert report.acked == count, report
        replay = count / seconds
        publish(host, KEEPER, count)
        seconds, _ = timed(lambda: bare_replay(host, source, count))
        bare = count / seconds
        size = sum(path.stat().st_size for path in Path(folder).iterdir())
        bench.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    result = {
        "letters": count,
        "mirror": {"letters/s": round(mirror), "bare": round(bare_mirror)},
        "mirror again": {"letters/s": round(again)},
        "plan": {"letters/s": round(count / planning)},
        "replay": {"letters/s": round(replay), "bare": round(bare)},
        "ratios": {"mirror": round(mirror / bare_mirror, 2), "replay": round(replay / bare, 2)},
        "queries": queries,
        "book": f"{size / 1e6:.0f} MB",
        "peak": f"{peak:.0f} MiB",
    }
    print(json.dumps(result, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
