"""Names that Cloud Scheduler and Cloud Tasks share, and their one list of locations."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from ucam_faas.emulator.api import protos
from ucam_faas.emulator.errors import invalid

LOCATIONS = ("europe-west1", "europe-west2", "us-central1")
"""Listed beside those that have jobs or queues, which may be in any other."""
PROJECT = re.compile(r"projects/[A-Za-z0-9.:-]+")
LOCATION = re.compile(PROJECT.pattern + r"/locations/[A-Za-z0-9-]+")
_FORMS = {PROJECT: "projects/P", LOCATION: "projects/P/locations/L"}


class LocationsApi:
    """The methods of `google.cloud.location.Locations`.

    Args:
        used: returns the full names of jobs and queues that begin with a prefix.
    """

    def __init__(self, used: Callable[[str], Iterable[str]]) -> None:
        self._used = used

    def list_locations(self, request: Any) -> Any:
        """Return a few locations of a project and all that are in use, on one page."""
        check_name(request.name, PROJECT, "name")
        used = {name.split("/")[3] for name in self._used(f"{request.name}/")}
        response = _pb2().ListLocationsResponse()
        for location in sorted(used.union(LOCATIONS)):
            name = f"{request.name}/locations/{location}"
            response.locations.add(name=name, location_id=location)
        return response

    def get_location(self, request: Any) -> Any:
        """Return a location; any will do."""
        location = check_name(request.name, LOCATION, "name").split("/")[3]
        return _pb2().Location(name=request.name, location_id=location)


def location_methods() -> protos.Methods:
    """Return the methods of `google.cloud.location.Locations`."""
    pb2 = _pb2()
    return {
        "ListLocations": (pb2.ListLocationsRequest, pb2.ListLocationsResponse),
        "GetLocation": (pb2.GetLocationRequest, pb2.Location),
    }


def _pb2() -> Any:
    from google.cloud.location import locations_pb2

    return locations_pb2


def check_name(name: str, pattern: re.Pattern[str], field: str, form: str = "") -> str:
    """Return a well-formed resource name.

    Raises:
        RpcError: INVALID_ARGUMENT: it does not fit the pattern, which `form` describes.
    """
    if not pattern.fullmatch(name):
        raise invalid(f"Invalid {field} {name[:600]!r}: expected {form or _FORMS[pattern]}.")
    return name


def snake(path: str) -> str:
    """Return a field's path as protobuf spells it; JSON spells it lowerCamelCase."""
    return re.sub("[A-Z]", lambda capital: f"_{capital[0].lower()}", path)
