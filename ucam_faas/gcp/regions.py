"""Cloud Run's regions, by name. Pure.

Source: Google's page "Cloud Run locations", as of January 2026 (`AS_OF`). Google adds a region or
two each year, so an unknown one may exist: it is advice, and never refuses a plan.
"""

from __future__ import annotations

import re

AS_OF = "January 2026"
REGIONS = frozenset(
    """
    africa-south1
    asia-east1 asia-east2 asia-northeast1 asia-northeast2 asia-northeast3 asia-south1 asia-south2
    asia-southeast1 asia-southeast2 asia-southeast3 australia-southeast1 australia-southeast2
    europe-central2 europe-north1 europe-north2 europe-southwest1 europe-west1 europe-west2
    europe-west3 europe-west4 europe-west6 europe-west8 europe-west9 europe-west10 europe-west12
    me-central1 me-central2 me-west1
    northamerica-northeast1 northamerica-northeast2 northamerica-south1
    southamerica-east1 southamerica-west1
    us-central1 us-east1 us-east4 us-east5 us-south1 us-west1 us-west2 us-west3 us-west4
    """.split()  # noqa: SIM905 - a list has a line for each
)
_FORM = re.compile("[a-z]+-[a-z]+[0-9]+")
_CONTINENTS = {
    "eu": ("europe",),
    "us": ("us", "northamerica"),
    "nam": ("us", "northamerica"),
    "asia": ("asia",),
}
"""The beginnings of regions, by the beginning of a multi-region, such as `eur4`."""


def is_region(location: str) -> bool:
    """Return True if a location has the form of one region: not `global`, nor `europe`.

    >>> [is_region(name) for name in ("europe-west2", "europe", "eur4", "global")]
    [True, False, False, False]
    """
    return _FORM.fullmatch(location) is not None


def closest(name: str) -> str | None:
    """Return the region whose name is the most like another; None: none is.

    >>> closest("europe-wset2"), closest("Frankfurt")
    ('europe-west2', None)
    """
    import difflib

    plain = re.sub("^eu-", "europe-", name.lower())  # as another cloud has them: eu-west-2
    plain = re.sub("-(?=[0-9]+$)", "", plain)
    like = difflib.get_close_matches(plain, sorted(REGIONS), 1)
    return like[0] if like else None


def may_serve(location: str, region: str) -> bool:
    """Return True if a location is a region, or has it.

    A multi-region has the regions of its continent, and `global` has all.

    >>> [may_serve(name, "europe-west2") for name in ("europe-west2", "eur4", "global", "us")]
    [True, True, True, False]
    """
    if is_region(location):
        return location == region
    names = (parts for start, parts in _CONTINENTS.items() if location.startswith(start))
    return region.startswith(next(names, ("",)))
