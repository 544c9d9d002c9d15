"""The table of pages and actions: a path, and the function that answers.

A page with a name is in the navigation, in this order, if its backend is there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ucam_faas.dashboard.backends import Backends
from ucam_faas.dashboard.query import Download, Page, Query, See
from ucam_faas.dashboard.views import (
    job,
    jobs,
    lanes,
    live,
    message,
    messages,
    schedules,
    search,
    sending,
    start,
    tasks,
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
    Route("/tasks", tasks.view, name="Tasks"),
    Route("/tasks/{name}", tasks.show),
    Route("/tasks/{name}/send", sending.view),
    Route("/tasks/{name}/send", sending.act, post=True),
    Route("/schedules", schedules.view, name="Schedules", needs="schedules"),
    Route("/schedules/{name}/{verb}", schedules.act, needs="schedules", post=True),
    Route("/lanes", lanes.view, name="Lanes", needs="work"),
    Route("/lanes/{task}/{lane}/{verb}", lanes.act, needs="work", post=True),
)
