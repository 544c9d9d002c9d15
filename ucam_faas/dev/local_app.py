"""The application of the tasks, for this machine: web pages of elsewhere are refused."""

from __future__ import annotations

from ucam_faas import cross_site, reports
from ucam_faas.serving.app import App, Scope
from ucam_faas.serving.bodies import Receive
from ucam_faas.serving.responses import Response

TEXT = b"Web pages of other sites may not call this port"


class LocalApp(App):
    """The tasks of one process, which browsers can reach."""

    any_host = False
    """The port is open to other machines."""

    async def respond(self, scope: Scope, receive: Receive) -> Response:
        """Return the response to one request."""
        refused = cross_site.refusal(scope["headers"], any_host=self.any_host)
        if refused is None:
            return await super().respond(scope, receive)
        reports.log_foreign(scope["path"], refused)
        return Response(403, TEXT)
