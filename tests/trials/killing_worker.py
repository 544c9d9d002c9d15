"""A worker that kills itself at a point of its work: KILL_AT names it.

python killing_worker.py SOURCE TASK
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from ucam_faas.config import Settings
from ucam_faas.execution import runtime
from ucam_faas.jobs.stores.sql_store import SqlStore
from ucam_faas.logs import setup
from ucam_faas.tasks import registry
from ucam_faas.worker.acknowledgements import Acknowledgements
from ucam_faas.worker.session import Session
from ucam_faas.worker.worker import Worker

POINTS: dict[str, tuple[type, str, bool]] = {
    "before it is received": (Session, "_receive", True),
    "before it starts": (Session, "_start", True),
    "before its end is stored": (SqlStore, "change", True),
    "after its end is stored": (SqlStore, "change", False),
    "before it is answered": (Acknowledgements, "_call", True),
    "after it is answered": (Acknowledgements, "_call", False),
}
"""The method, and True to kill before it."""


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def patch(owner: type, name: str, *, before: bool) -> None:
    method: Callable[..., Any] = getattr(owner, name)

    def killing(self: Any, *arguments: Any, **options: Any) -> Any:
        if before:
            kill()
        result = method(self, *arguments, **options)
        kill()
        return result

    async def killing_async(self: Any, *arguments: Any, **options: Any) -> None:
        if not arguments[0]:
            return
        if before:
            kill()
        await method(self, *arguments, **options)
        kill()

    is_async = asyncio.iscoroutinefunction(method)
    setattr(owner, name, killing_async if is_async else killing)


def main() -> None:
    point = POINTS.get(os.environ["KILL_AT"])
    if point is not None:
        patch(*point[:2], before=point[2])
    settings = Settings.from_environ()
    setup.configure(settings)
    tasks = [task for task in registry.load(sys.argv[1]) if task.name == sys.argv[2]]
    asyncio.run(Worker(tasks, runtime=runtime.build(settings, tasks), lease_seconds=10).run())


if __name__ == "__main__":
    main()
