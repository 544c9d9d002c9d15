"""A dashboard over some backends, of which each request may change some."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from ucam_faas.backends.ports import Backends
from ucam_faas.dashboard import app

from .asgi import Answer, call


@dataclass
class Pages:
    """The pages of some backends.

    Args:
        backends: of each request; those that a request names take their places in it.
        who: makes the requests.
    """

    backends: Backends
    who: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        self.now = self.backends
        self.app = app.make_app(lambda: self.now, who=lambda headers: self.who)

    def ask(
        self, method: str, url: str, form: dict[str, str] | None = None, **changes: Any
    ) -> Answer:
        self.now = replace(self.backends, **changes)
        return call(self.app, method, url, form)

    def get(self, url: str, **changes: Any) -> Answer:
        return self.ask("GET", url, **changes)

    def post(self, url: str, form: dict[str, str] | None = None, **changes: Any) -> Answer:
        return self.ask("POST", url, form or {}, **changes)
