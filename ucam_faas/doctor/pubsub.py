"""The Pub/Sub that tasks and commands would use, and whether it answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import quote

from ucam_faas.actions import pubsub
from ucam_faas.actions.pubsub import Kind, Pubsub
from ucam_faas.doctor import bounded
from ucam_faas.doctor.findings import Finding, Part
from ucam_faas.doctor.surroundings import Surroundings
from ucam_faas.exceptions import ConfigurationError, MissingExtraError
from ucam_faas.net.rest import FAILURES, CredentialsError, reason_of

_PART = Part("pubsub")
SECONDS = 5.0
_UNSET = "unset PUBSUB_EMULATOR_HOST"
_GRANT = "gcloud projects add-iam-policy-binding {} --member=… --role=roles/pubsub.viewer"


def look(around: Surroundings) -> Iterator[Finding]:
    """Look at the Pub/Sub that would be used, and ask it for its topics."""
    if not around.uses_google and not _local(around):
        yield _none(around)
        return
    try:
        place = pubsub.find(
            around.settings,
            around.settings.project if around.google else None,
            around.cloud,
            google=around.uses_google and (around.google or around.cloud is None),
            purpose="use",
        )
    except MissingExtraError:
        yield _PART.unused("Google's can't be tried: the extra `pubsub` isn't installed")
        return
    except ConfigurationError as error:
        yield _PART.wrong(
            "pubsub-address", str(error).partition(". ")[0], "Correct it, or unset it.", _UNSET
        )
        return
    yield ask(place) if place.project else _no_project()


def _local(around: Surroundings) -> bool:
    return around.cloud is not None or around.settings.pubsub_emulator is not None


def _none(around: Surroundings) -> Finding:
    project = around.settings.project
    if around.has_local and project:
        return _PART.unused(
            f"`ucam-faas dev` brings its own; tasks that run otherwise would use Google's, in "
            f"{project}: --google tries it"
        )
    if around.has_local:
        return _PART.unused("none is named: `ucam-faas dev` brings its own; others would find none")
    return _PART.wrong(
        "pubsub-unset",
        "none is named, and none can run here: tasks can't publish",
        "Name Google's with its project; or an emulator, with PUBSUB_EMULATOR_HOST.",
        "export GOOGLE_CLOUD_PROJECT=…",
    )


def _no_project() -> Finding:
    return _PART.wrong(
        "project-unset",
        "Google's Pub/Sub is wanted, and no project is named",
        "Name it.",
        "export GOOGLE_CLOUD_PROJECT=…",
    )


def ask(place: Pubsub) -> Finding:
    """Ask a Pub/Sub for the topics of its project."""
    path = f"/v1/projects/{quote(place.project or '', safe='')}/topics?pageSize=100"
    try:
        status, answer = bounded.call(lambda: place.api.get(path, SECONDS), 2 * SECONDS)
    except CredentialsError:
        return _PART.unused(f"{_name(place)} can't be tried without credentials")
    except FAILURES as error:
        return _silent(place, error)
    if status == 200 and (topics := _topics(answer)) is not None:
        count = f"{topics} topic{'s' * (topics != 1)}" if topics < 100 else "100 topics or more"
        return _PART.ok(f"{_name(place)} answers: {count} in the project {place.project}")
    return _refused(place, status, answer)


def _topics(answer: bytes) -> int | None:
    """Return the number of topics in an answer; None: it isn't Pub/Sub's."""
    try:
        return len(json.loads(answer).get("topics", ()))
    except (ValueError, AttributeError, TypeError):
        return None


def _name(place: Pubsub) -> str:
    names = {
        Kind.DEV: f"that of the `ucam-faas dev` in this folder ({place.name})",
        Kind.EMULATOR: f"the emulator at {place.name} (PUBSUB_EMULATOR_HOST)",
        Kind.GOOGLE: "Google's",
    }
    return names[place.kind]


def _silent(place: Pubsub, error: BaseException) -> Finding:
    why = getattr(error, "strerror", None) or str(error) or type(error).__name__
    what = f"{_name(place)} doesn't answer: {why.rstrip('.')}"
    if place.kind is Kind.GOOGLE:
        do = "Look at the network: is there a proxy (HTTPS_PROXY), a VPN, or a firewall?"
        return _PART.wrong("pubsub-silent", what, do)
    if place.kind is Kind.DEV:
        return _PART.wrong("pubsub-silent", what, "End that `ucam-faas dev`, and start it again.")
    do = "Start that emulator; or unset the variable, and `ucam-faas dev` brings its own Pub/Sub."
    return _PART.wrong("pubsub-silent", what, do, _UNSET)


def _refused(place: Pubsub, status: int, answer: bytes) -> Finding:
    reason = reason_of(status, answer)
    if place.kind is not Kind.GOOGLE:
        what = f"{_name(place)} answers, and not as Pub/Sub does: {reason}"
        return _PART.wrong("pubsub-refused", what, "Is another program at that address?", _UNSET)
    what = f"Google's Pub/Sub refuses, for the project {place.project}: {reason}"
    if "quota project" in reason:
        fix = f"gcloud auth application-default set-quota-project {place.project}"
        return _PART.wrong(
            "pubsub-refused", what, "Your login needs a project to count requests for.", fix
        )
    if "has not been used" in reason or "is disabled" in reason:
        fix = f"gcloud services enable pubsub.googleapis.com --project {place.project}"
        return _PART.wrong("pubsub-refused", what, "Turn the API on.", fix)
    if status == 403:
        return _PART.wrong(
            "pubsub-not-listed",
            f"Google's Pub/Sub answers; this account may not list the topics of {place.project}",
            "A task's account need not. To see topics and dead letters from here, it needs a role.",
            _GRANT.format(place.project),
        )
    return _PART.wrong(
        "pubsub-refused", what, "Is the project's name right?", "gcloud projects list"
    )
