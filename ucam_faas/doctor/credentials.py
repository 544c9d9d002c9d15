"""Google's credentials: where they come from, and whether Google gives a token for them."""

from __future__ import annotations

import json
import os
import shlex
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from ucam_faas.doctor import bounded
from ucam_faas.doctor.findings import Finding, Part
from ucam_faas.doctor.surroundings import Surroundings
from ucam_faas.exceptions import MissingExtraError
from ucam_faas.net.google_rest import GoogleRest
from ucam_faas.net.rest import CredentialsError
from ucam_faas.publishing.google import HOST

_PART = Part("credentials")
VARIABLE = "GOOGLE_APPLICATION_CREDENTIALS"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
LOGIN = "gcloud auth application-default login"
SECONDS = 15.0


def look(around: Surroundings) -> Iterator[Finding]:
    """Look at the credentials, and use them, if Google is used."""
    path = _file(around.environ)
    place = str(path) if path else "the machine that it runs on" if around.is_deployed else ""
    if not _are_used(around):
        there = f"; there are some in {place}" if place and path and path.exists() else ""
        yield _PART.unused(f"none are needed here{there}")
        return
    if path is not None:
        problem = _problem(path, around.environ)
        if problem is not None:
            yield problem
            return
        yield from _rights(path)
    yield _try(place, is_key=bool(around.environ.get(VARIABLE)))


def _are_used(around: Surroundings) -> bool:
    settings = around.settings
    firestore = (settings.job_store or "").startswith(
        "firestore:"
    ) and not settings.firestore_emulator
    buckets = (settings.payloads or "").startswith("gs://") or bool(settings.input_bucket)
    return around.uses_google or firestore or buckets


def _file(environ: Mapping[str, str]) -> Path | None:
    """Return the file that google-auth would read; None: there is none."""
    if named := environ.get(VARIABLE):
        return Path(named)
    folder = (
        environ.get("CLOUDSDK_CONFIG")
        or Path(environ.get("HOME", "~")).expanduser() / ".config/gcloud"
    )
    path = Path(folder) / "application_default_credentials.json"
    return path if path.exists() else None


def _problem(path: Path, environ: Mapping[str, str]) -> Finding | None:
    try:
        document = json.loads(path.read_bytes())
        why = "" if isinstance(document, dict) and document.get("type") else "it has no `type`"
    except OSError as error:
        why = error.strerror or str(error)
    except ValueError:
        why = "it isn't JSON"
    if not why:
        return None
    named = f"{VARIABLE} names {path}" if environ.get(VARIABLE) else str(path)
    fix = f"unset {VARIABLE}" if environ.get(VARIABLE) else LOGIN
    return _PART.wrong(
        "credentials-file", f"{named}: {why}", "Correct it, or use your own login.", fix
    )


def _rights(path: Path) -> Iterator[Finding]:
    """Look at who can read a file with a secret."""
    if stat.S_IMODE(path.stat().st_mode) & 0o077 and os.access(path, os.W_OK):
        what = f"other users can read {path}"
        yield _PART.wrong(
            "credentials-readable",
            what,
            "Take that right away.",
            f"chmod go= {shlex.quote(str(path))}",
        )


def _try(place: str, *, is_key: bool) -> Finding:
    """Ask Google for a token."""
    try:
        api = GoogleRest(f"https://{HOST}", SCOPE, extra="pubsub", purpose="ask Google for a token")
        account = bounded.call(api.authorize, SECONDS)
    except MissingExtraError:
        return _PART.unused("they can't be tried: the extra `pubsub` isn't installed")
    except TimeoutError as error:
        return _silent(str(error))
    except CredentialsError as error:
        return _refused(error, place, is_key=is_key)
    return _PART.ok(
        f"Google gives a token to {account or 'the account'}, from {place or 'this machine'}"
    )


def _refused(error: CredentialsError, place: str, *, is_key: bool) -> Finding:
    cause = error.__cause__
    kind = type(cause).__name__
    if kind == "DefaultCredentialsError":
        what = "Google is used, and this environment has no credentials"
        return _PART.wrong(
            "credentials-missing", what, "Log in; on a server, give it an account.", LOGIN
        )
    if kind == "TransportError":
        return _silent("it can't be reached")
    reason = _reason(cause)
    do = "Make another key, or log in yourself." if is_key else "Log in again."
    commands = (f"unset {VARIABLE}", LOGIN) if is_key else (LOGIN,)
    return _PART.wrong(
        "credentials-expired",
        f"Google refuses those of {place or 'this machine'}: {reason}",
        do,
        *commands,
    )


def _reason(cause: BaseException | None) -> str:
    """Return what Google said, in its own words; they hold no secret."""
    text = str(cause.args[0]) if cause is not None and cause.args else type(cause).__name__
    return " ".join(text.split()).rstrip(".")[:200]


def _silent(why: str) -> Finding:
    return _PART.wrong(
        "credentials-silent",
        f"Google's token server doesn't answer: {why}",
        "Look at the network: is there a proxy (HTTPS_PROXY), a VPN, or a firewall?",
    )
