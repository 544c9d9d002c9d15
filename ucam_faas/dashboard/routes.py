"""The table of pages and actions: a path, and the function that answers.

A page with a name is in the navigation, in this order, if its backend is there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ucam_faas.backends.ports import Backends
from ucam_faas.dashboard.query import Download, Page, Query, See
from ucam_faas.dashboard.views import (
    dead_letters,
    job,
    jobs,
    lanes,
    letter,
    live,
    message,
    messages,
    plans,
    schedules,
    search,
    sending,
    start,
    tasks,
    tries,
)

View = Callable[[Query, Backends], Page | See | Download]


@dataclass(frozen=True, slots=True)
class Route:
    """A page, or an action.

    Args:
        path: with parameters as starlette has them: `/jobs/{task}/{id}`. A value may hold a slash
            if it is quoted.
        view: answers; it runs in a thread.
        name: in the navigation; none: it isn't there.
        needs: the field of `Backends` without which there is no such page.
        post: an action, which changes something.
        reads: an action that changes nothing, and so is possible where all is read-only.
    """

    path: str
    view: View
    name: str = ""
    needs: str = ""
    post: bool = False
    reads: bool = False


ROUTES: tuple[Route, ...] = (
    Route("/", start.view, name="Start"),
    Route("/live", live.view, name="Live", needs="history"),
    Route("/messages", messages.view, name="Messages", needs="history"),
    Route("/messages/{id}", message.view, needs="history"),
    Route("/messages/{id}/data", message.download, needs="history"),
    Route("/runs/{id}", message.run, needs="history"),
    Route("/jobs", jobs.view, name="Jobs", needs="jobs"),
    Route("/jobs/{task}/{id}", job.view, needs="jobs"),
    Route("/jobs/{task}/{id}/{part}", job.download, needs="jobs"),
    Route("/jobs/{task}/{id}/reveal", job.reveal, needs="jobs", post=True, reads=True),
    Route("/jobs/{task}/{id}/save/{part}", job.save, needs="jobs", post=True, reads=True),
    Route("/jobs/{task}/{id}/{action}", job.change, needs="jobs", post=True),
    Route("/search", search.view),
    Route("/dead-letters", dead_letters.view, name="Dead letters", needs="workbench"),
    Route("/dead-letters/mirror", dead_letters.mirror, needs="workbench", post=True, reads=True),
    Route("/dead-letters/act", dead_letters.act, needs="workbench", post=True),
    Route("/dead-letters/archive", dead_letters.archive, needs="workbench", post=True),
    Route("/dead-letters/try", tries.view, needs="workbench"),
    Route("/dead-letters/purge", dead_letters.confirm_purge, needs="workbench"),
    Route("/dead-letters/purge", dead_letters.purge, needs="workbench", post=True),
    Route("/dead-letters/plans", plans.listing, needs="workbench"),
    Route("/dead-letters/plans/{id}", plans.view, needs="workbench"),
    Route("/dead-letters/plans/{id}/run", plans.run, needs="workbench", post=True),
    Route("/dead-letters/plans/{id}/cancel", plans.cancel, needs="workbench", post=True),
    Route("/dead-letters/{id}", letter.view, needs="workbench"),
    Route("/dead-letters/{id}/data", letter.download, needs="workbench"),
    Route("/dead-letters/{id}/reveal", letter.reveal, needs="workbench", post=True, reads=True),
    Route("/dead-letters/{id}/save", letter.save, needs="workbench", post=True, reads=True),
    Route("/dead-letters/{id}/edit", letter.edit, needs="workbench"),
    Route("/dead-letters/{id}/edit", letter.change, needs="workbench", post=True),
    Route("/dead-letters/{id}/unedit", letter.unedit, needs="workbench", post=True),
    Route("/tasks", tasks.view, name="Tasks"),
    Route("/tasks/{name}", tasks.show),
    Route("/tasks/{name}/send", sending.view),
    Route("/tasks/{name}/send", sending.act, post=True, reads=True),
    Route("/schedules", schedules.view, name="Schedules", needs="schedules"),
    Route("/schedules/{name}/{verb}", schedules.act, needs="schedules", post=True),
    Route("/lanes", lanes.view, name="Lanes", needs="work"),
    Route("/lanes/{task}/{lane}/{verb}", lanes.act, needs="work", post=True),
)
