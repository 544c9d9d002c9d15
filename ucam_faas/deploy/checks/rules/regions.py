"""Rules of projects and regions: those that Google lacks, and those that differ from the task's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from ucam_faas.deploy.checks.inputs import Inputs, configured
from ucam_faas.deploy.checks.references import Reference, references_in, references_of
from ucam_faas.deploy.checks.rule import rule
from ucam_faas.deploy.checks.terraform.deployments import JOB, Deployment, deployments
from ucam_faas.deploy.findings import Finding
from ucam_faas.deploy.terraform_variables import PlannedTask
from ucam_faas.gcp import cron
from ucam_faas.gcp.regions import AS_OF, REGIONS, closest, is_region, may_serve

_BOUND = ("connector", "subnetwork", "key", "queue", "Cloud SQL instance", "image")
"""Things that belong in the region of their users."""
_ID = re.compile("([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]")
_NO_PROJECT = ("-", "_")
"""Wildcards in names."""
_BY_NUMBER = ("secret", "notification channel")
"""Google itself names these with the project's number."""
_CAPITALS = re.compile("(?=.*[A-Z])[A-Za-z0-9-]+")
_WHOLE = re.compile(r"(?<![a-z0-9])[a-z]+-[a-z]+[0-9]+(?![a-z0-9])")
_ZONE = re.compile("[a-z]+-[a-z]+[0-9]+-[a-z]")
_OF_THE_TASK = {"REGION", "LOCATION", "GCP_REGION", "GOOGLE_CLOUD_REGION", "CLOUD_RUN_REGION"}
"""Variables that hold the task's own region."""
_AREA = re.compile("[A-Z][A-Za-z]+/[A-Za-z_+/-]+")
"""A name of the time zone database: others of POSIX are rules, such as `GMT0BST`."""
_COPY = re.compile(r"(?<![a-z])(backups?|copy|copies|mirror|replica|dr|standby)(?![a-z])")
"""Words of buckets that are meant to be elsewhere."""


@rule("region-unknown", why="`terraform apply` fails, or the container can't reach the thing.")
def unknown(inputs: Inputs) -> Iterator[Finding]:
    """A region that Cloud Run lacks, also in the name of a thing; or one in capitals there."""
    for planned in inputs.planned:
        region = planned.merged["region"]
        if region and region not in REGIONS:
            yield Finding(
                configured(planned, "region"), f"region is {region!r}.{_hint(region)}", _fix(region)
            )
        for stored in planned.merged["allowed_persistence_regions"]:
            if stored not in REGIONS:
                yield Finding(
                    configured(planned, "allowed_persistence_regions", stored),
                    f"allowed_persistence_regions has {stored!r}.{_hint(stored)}",
                    _fix(stored),
                    planned.name,
                )
        for thing in references_of(planned):
            location = thing.location
            if location and thing.kind in _BOUND and _CAPITALS.fullmatch(location):
                yield Finding(
                    configured(planned, *thing.path),
                    f"{thing.option}: {thing.text} is in {location!r}, and Google writes locations "
                    "in lower case.",
                    f"Write {_lower(location)!r}.",
                    planned.name,
                )
            elif location and _is_unknown(location) and location != region:
                yield Finding(
                    configured(planned, *thing.path),
                    f"{thing.option}: {thing.text} is in {location!r}.{_hint(location)}",
                    _fix(location),
                    planned.name,
                )


def _is_unknown(location: str) -> bool:
    """Return True if it is a zone, or a region that isn't known."""
    return bool(_ZONE.fullmatch(location)) or (is_region(location) and location not in REGIONS)


def _lower(location: str) -> str:
    """Return a location as Google writes it: `EU` is BigQuery's, and elsewhere `europe`."""
    return "europe" if location == "EU" else location.lower()


def _hint(region: str) -> str:
    like = closest(region)
    return f" Did you mean {like!r}?" if like else ""


def _fix(region: str) -> str:
    return (
        f"Correct it. If Google has had it since {AS_OF}, which is as far as this list goes, "
        'ignore = ["region-unknown"].'
    )


@rule(
    "region-differs",
    why="Cloud Run refuses a connector, subnetwork or key of another region. Anything else there "
    "is slow, costs traffic, and may keep data in another country.",
)
def differs(inputs: Inputs) -> Iterator[Finding]:
    """A connector, key, queue, database, bucket or image in another region than its task."""
    for planned in inputs.planned:
        region = planned.merged["region"]
        for thing in references_of(planned) if region else ():
            location = _elsewhere(thing, region)
            if location:
                yield Finding(
                    configured(planned, *thing.path),
                    f"{thing.option}: the {thing.kind} {_name(thing)} is in {location}, and the "
                    f"task's region is {region}.",
                    f"Use one in {region}.",
                    planned.name,
                )
        yield from _in_variables(planned)
    for deployment in deployments(inputs):
        yield from _in_terraform(deployment)


def _in_variables(planned: PlannedTask) -> Iterator[Finding]:
    region = planned.merged["region"]
    for name, value in planned.merged["environment"].items():
        if name in _OF_THE_TASK and region and is_region(value) and value != region:
            yield Finding(
                configured(planned, "environment", name),
                f"{name} is {value}, and the task's region is {region}.",
                f"Set it to {region}, or give it a name that says whose region it is.",
                planned.name,
            )


def _elsewhere(thing: Reference, region: str) -> str | None:
    """Return the location of a thing that should be in a region and isn't."""
    if thing.kind == "bucket" or thing.path[0] == "dead_letter_archive":
        return _location_of_bucket(thing, region)
    location = thing.location
    if thing.kind not in _BOUND or location is None or may_serve(location, region):
        return None
    return None if _is_unknown(location) else location


def _location_of_bucket(thing: Reference, region: str) -> str | None:
    """Return the region in a bucket's name, if it is another one, and not on purpose."""
    regions = [word for word in _WHOLE.findall(thing.name) if word in REGIONS]
    words = " ".join((thing.name, *thing.path)).lower()
    return regions[0] if regions and region not in regions and not _COPY.search(words) else None


def _name(thing: Reference) -> str:
    return f"{thing.name!r}" if thing.kind == "bucket" else thing.text


def _in_terraform(deployment: Deployment) -> Iterator[Finding]:
    """Yield the findings of values that the configuration doesn't have."""
    run, planned = deployment.run, deployment.planned
    region, known = run.get("location"), {thing.text for thing in references_of(planned)}
    if region != (planned.merged["region"] or region):
        return  # `terraform-differs` finds that
    vpc = (*deployment.template, "vpc_access")
    paths = (
        (*vpc, "connector"),
        (*vpc, "network_interfaces", "subnetwork"),
        ("template", *(("template",) if run.type == JOB else ()), "encryption_key"),
        (*deployment.template, "containers", "image"),
    )
    for path in paths:
        value = run.get(*path)
        if not isinstance(value, str) or not isinstance(region, str) or value in known:
            continue
        for thing in references_in(value, (path[-1],)):
            location = _elsewhere(thing, region)
            if location:
                is_image = thing.kind == "image"  # of all tasks: one finding
                yield Finding(
                    replace(run.place, within="") if is_image and run.place.line else run.place,
                    f"The {thing.kind} {value} is in {location}, and "
                    f"{'the tasks are' if is_image else f'{run.address} is'} in {region}.",
                    f"Use one in {region}, or in a multi-region that has it.",
                    None if is_image else planned.name,
                )


@rule("project-unusable", why="Google finds no such project: the apply, or the call, fails.")
def project_unusable(inputs: Inputs) -> Iterator[Finding]:
    """A name with a malformed or misspelt project, or with its number in place of its id."""
    plans = [plan for plan in (inputs.plan, *inputs.stages.values()) if plan]
    projects = {plan.project for plan in plans if plan.project}
    for planned in inputs.planned:
        for thing in references_of(planned):
            if problem := _problem(thing, projects):
                yield _of_project(planned, thing, problem)


def _problem(thing: Reference, projects: set[str]) -> str | None:
    project = thing.project
    if project is None or project in _NO_PROJECT or project in projects:
        return None
    if _ID.fullmatch(project):
        like = next((known for known in sorted(projects) if _is_misspelt(project, known)), None)
        return f"did you mean {like!r}" if like else None
    if not project.isdecimal():
        return "expected a project id: 6 to 30 lower-case letters, digits and -, a letter first"
    return None if thing.kind in _BY_NUMBER else "that is a number; expected the project's id"


def _is_misspelt(project: str, known: str) -> bool:
    """Return True if a long word of an id has swapped, missing or doubled letters.

    >>> _is_misspelt("uni-prodcution", "uni-production"), _is_misspelt("uni-course", "uni-courses")
    (True, False)
    """
    words, right = project.split("-"), known.split("-")
    pairs = [pair for pair in zip(words, right, strict=False) if pair[0] != pair[1]]
    if len(words) != len(right) or len(pairs) != 1:
        return False
    word, other = pairs[0]
    short, long = sorted((word, other), key=len)
    same_ends = short[:1] == long[:1] and short[-1:] == long[-1:]
    if len(short) < 5 or not same_ends or not (word + other).isalpha():
        return False
    one_less = any(long[:at] + long[at + 1 :] == short for at in range(1, len(long) - 1))
    return sorted(word) == sorted(other) or one_less


def _of_project(planned: PlannedTask, thing: Reference, problem: str) -> Finding:
    return Finding(
        configured(planned, *thing.path),
        f"{thing.option}: {thing.text} has the project {thing.project!r}: {problem}.",
        "Write the id that `gcloud projects list` shows as PROJECT_ID.",
        planned.name,
    )


@rule("time-zone-unknown", why="Times are in UTC, and no error says so.")
def zone_unknown(inputs: Inputs) -> Iterator[Finding]:
    """A variable `TZ` with a time zone that the time zone database lacks."""
    for planned in inputs.planned:
        name = planned.merged["environment"].get("TZ", "").removeprefix(":")
        if _AREA.fullmatch(name):
            try:
                cron.read_zone(name)
            except cron.ScheduleError as error:
                yield Finding(
                    configured(planned, "environment", "TZ"),
                    f"TZ is {name!r}: {error}.",
                    "Correct it.",
                    planned.name,
                )


RULES = (unknown, differs, project_unusable, zone_unknown)
