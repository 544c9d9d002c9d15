"""The application of the tasks, for this machine.

Web pages of elsewhere are refused. Start-up code that fails costs the tasks that need it, and no
others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ucam_faas.exceptions import UCAMFAASCouldNotLoadTarget
from ucam_faas.execution.runtime import Runtime
from ucam_faas.logs import problems
from ucam_faas.net import cross_site
from ucam_faas.outcomes import Failed
from ucam_faas.serving.app import App
from ucam_faas.serving.bodies import Receive
from ucam_faas.serving.observer import Observer
from ucam_faas.serving.responses import Response
from ucam_faas.serving.routes import Scope
from ucam_faas.tasks.task import Task

TEXT = b"Web pages of other sites may not call this port"


class LocalApp(App):
    """The tasks of one process, which browsers can reach.

    It finishes the requests that wait when another process takes over.

    Args:
        any_host: the port is open to other machines.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        runtime: Runtime,
        observer: Observer | None = None,
        *,
        any_host: bool = False,
    ) -> None:
        super().__init__(tasks, runtime, observer, patient=True)
        self._any_host = any_host
        self.down: dict[str, str] = {}
        """Tasks whose start-up code failed, and why."""

    async def start(self) -> None:
        """Run the tasks' start-up code."""

        def on_failure(tasks: Sequence[Task], error: UCAMFAASCouldNotLoadTarget) -> None:
            self.down |= dict.fromkeys((task.name for task in tasks), str(error))

        await self.service.runner.start_up(on_failure)

    async def refuse(
        self, task: Task, method: str, path: str, headers: Mapping[str, str]
    ) -> Response | None:
        """Return the answer to a request whose body need not be read, or None."""
        if task.name in self.down:
            return self.service.reject(Failed(self.down[task.name]), method, path)
        return await super().refuse(task, method, path, headers)

    async def respond(self, scope: Scope, receive: Receive) -> Response:
        """Return the response to one request."""
        refused = cross_site.refusal(scope["headers"], any_host=self._any_host)
        if refused is None:
            return await super().respond(scope, receive)
        problems.log_foreign(scope["path"], refused)
        return Response(403, TEXT)
