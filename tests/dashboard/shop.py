"""The backends of a shop, for the tests of pages: its history, and a store with jobs."""

from __future__ import annotations

from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp

from tests.support import history
from ucam_faas.actions.jobs import Jobs
from ucam_faas.backends.ports import Backends
from ucam_faas.clock import SystemClock
from ucam_faas.config import Settings
from ucam_faas.dashboard import app
from ucam_faas.execution.runtime import Runtime
from ucam_faas.history.reader import History
from ucam_faas.jobs.rows import Change, Key, Row
from ucam_faas.jobs.states import State
from ucam_faas.jobs.stores import JobStore
from ucam_faas.jobs.stores.sqlite import SqliteStore
from ucam_faas.testing import MemoryPublisher

from .asgi import Answer, call

KEY = Key("shop", "charge", "17")
FAILED = Change(
    state=State.FAILURE, cause="failed", visit=9e9, failed=True, message="KeyError",
    error={"type": "KeyError", "message": "'umbrella'", "traceback": history.TRACEBACK},
)  # fmt: skip
DONE = Change(state=State.SUCCESS, cause="finished", visit=9e9, result=b'{"paid": 100}')


class Shop:
    """A dashboard over stores of its own.

    Args:
        folder: for the files.
        events: of the history; None: there is none.
        store: of jobs; None: a file.
        more: other backends.
    """

    def __init__(
        self,
        folder: Path,
        events: Sequence[Any] | None = None,
        store: JobStore | None = None,
        **more: Any,
    ) -> None:
        self.clock = SystemClock()
        self.store = store or SqliteStore(str(folder / "jobs.db"), self.clock)
        self.publisher = MemoryPublisher()
        settings = Settings(app="shop", job_store=f"sqlite:{folder}/jobs.db")
        runtime = Runtime(settings, self.clock, self.publisher, store=self.store)
        self.history = None
        if events is not None:
            path = folder / "history.sqlite3"
            history.write(path, events)
            self.history = History(path)
        self.backends = Backends(
            place="shop", jobs=Jobs(runtime, self.store), history=self.history, **more
        )
        self.app: ASGIApp = app.make_app(lambda: self.backends, who=lambda headers: "ann")

    def close(self) -> None:
        self.store.close()
        if self.history is not None:
            self.history.close()

    def row(self, key: Key = KEY, **values: Any) -> Row:
        """Return a job that isn't sent yet."""
        default = {"payload": b'{"order": 17}', "owner": key.id, "visit": 60.0}
        return Row(**{"key": key, **default, **values})

    def send(self, key: Key = KEY, *, wait: float = 0.0, **values: Any) -> Row:
        """Insert a job."""
        (row,) = self.store.insert([self.row(key, **values)], wait=[wait])
        return row

    def claim(self, key: Key = KEY) -> Row:
        """Claim a job, as a process does that runs it."""
        row = self.store.claim(key, lease=60.0, instance="here")
        assert row is not None
        return row

    def end(self, key: Key = KEY, change: Change = DONE) -> None:
        """Run a job to an end."""
        self.store.change(key, change, fence=self.claim(key).fence)

    def get(self, url: str) -> Answer:
        return call(self.app, "GET", url)

    def post(self, url: str, **form: str) -> Answer:
        return call(self.app, "POST", url, form=form)


class Html(HTMLParser):
    """The elements and the text of a page.

    Args:
        text: of the page.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        """The text that a person reads, in one line."""
        return " ".join(" ".join(self.texts).split())

    def all(self, tag: str, name: str) -> list[str]:
        """Return the values of an attribute of all elements with a tag."""
        return [
            str(values[name]) for each, values in self.elements if each == tag and name in values
        ]
