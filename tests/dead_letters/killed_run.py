"""A script: runs the newest plan of a book in processes that end by SIGKILL before a given step.

Each line of stdin is `STEPS BOOK HOST PROJECT`; it is answered with `killed` or `done`.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from tests.support.replays import Mortal
from ucam_faas.dead_letters import runs
from ucam_faas.dead_letters.book import Book
from ucam_faas.dead_letters.source import RestSource
from ucam_faas.dead_letters.targets import CloudTargets
from ucam_faas.dead_letters.workbench import Workbench
from ucam_faas.net.rest import Rest
from ucam_faas.publishing.rest import RestPublisher


def run(steps: int, path: str, host: str, project: str) -> None:
    """Run the plan."""
    runs.BATCH = 2
    mortal = Mortal(steps, end=lambda: os.kill(os.getpid(), signal.SIGKILL))
    source = RestSource(Rest(host), project, is_embedded=True)
    bench = Workbench(
        mortal.book(Book(Path(path))),
        mortal.source(source),
        targets=mortal.targets(CloudTargets(source, RestPublisher(host))),
        by="ada@laptop",
    )
    report = bench.run(bench.plans(limit=1)[0].id)
    assert report.left == 0, report


def main() -> None:
    """Answer each line."""
    for line in sys.stdin:
        steps, *others = line.split()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                run(int(steps), *others)
                code = 0
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        print("killed" if killed else "done" if status == 0 else f"status {status}", flush=True)


if __name__ == "__main__":
    main()
