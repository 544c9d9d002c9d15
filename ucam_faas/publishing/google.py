"""The publisher to Google's Pub/Sub: the REST API, with google-auth's credentials."""

from __future__ import annotations

from typing import Any

from ucam_faas.net.google_rest import GoogleRest
from ucam_faas.publishing.rest import RestPublisher

HOST = "pubsub.googleapis.com"
SCOPE = "https://www.googleapis.com/auth/pubsub"


class GooglePublisher(RestPublisher):
    """Publishes to Google's Pub/Sub, as the account of the environment.

    Args:
        url: of the API.
        credentials: google-auth's; None: the application default credentials.
    """

    def __init__(self, url: str = f"https://{HOST}", credentials: Any = None) -> None:
        api = GoogleRest(
            url, SCOPE, extra="pubsub", purpose="publish to Pub/Sub", credentials=credentials
        )
        super().__init__(api.host, api)
