"""Findings, and the one table of everything that can be wrong: docs/doctor.md is made of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How much a finding matters."""

    OK = "ok"
    UNUSED = "unused"
    """Absent, and not needed with this configuration."""
    WARNING = "warning"
    """Something will surprise you."""
    PROBLEM = "problem"
    """Something that is asked for can't work."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A thing that can be wrong.

    Args:
        level: WARNING or PROBLEM.
        when: for the documentation.
        remedy: the same.
    """

    level: Level
    when: str
    remedy: str


def _warning(when: str, remedy: str) -> Kind:
    return Kind(Level.WARNING, when, remedy)


def _problem(when: str, remedy: str) -> Kind:
    return Kind(Level.PROBLEM, when, remedy)


KINDS = {
    "command-elsewhere": _warning(
        "your shell runs the `ucam-faas` of another environment than this one",
        "activate the environment of your tasks, or call the command by its path",
    ),
    "package-missing": _problem(
        "a package that ucam-faas always needs isn't installed", "install ucam-faas again"
    ),
    "package-version": _problem(
        "a package has a version that ucam-faas doesn't work with", "install ucam-faas again"
    ),
    "extra-missing": _problem(
        "the configuration needs an extra that isn't installed, or only in part", "install it"
    ),
    "local-missing": _warning(
        "the extra `local` isn't installed: `dev` and `emulator` can't run here",
        "install it, unless this is a server",
    ),
    "variable-wrong": _problem(
        "an environment variable has a value that can't be used", "correct it"
    ),
    "variable-unknown": _warning(
        "a variable begins with `UCAM_FAAS_`, or nearly so, and isn't read", "correct its name"
    ),
    "env-file": _problem("`.env` can't be read", "correct the line that is named"),
    "source-missing": _warning(
        "there are no tasks in this folder", "go to their folder, or name the source"
    ),
    "source-broken": _problem(
        "the tasks can't be loaded, or their configuration is wrong", "correct the error"
    ),
    "port-taken": _problem(
        "another program listens on a port that `dev` needs", "end it, or choose another port"
    ),
    "port-refused": _problem(
        "this user may not listen on a port, or its number can't be one", "choose another port"
    ),
    "state-stale": _warning(
        "`.ucam-faas/dev.json` is left of a `dev` that was killed; other commands may take another "
        "process for it, once one has its number",
        "delete the file, or start `ucam-faas dev`",
    ),
    "state-not-writable": _problem(
        "`.ucam-faas`, or a file in it, isn't yours or can't be written: `dev` ran as another user",
        "make it yours, or delete it",
    ),
    "state-readable": _warning(
        "other users can read `.ucam-faas`, which may hold personal data", "take the right away"
    ),
    "state-broken": _problem(
        "a file of the state is damaged, or of another version",
        "install the version that made it, or start empty",
    ),
    "disk-full": _warning("less than 100 MB are free for the state", "free some"),
    "pubsub-unset": _warning(
        "no Pub/Sub is named, and without the extra `local` none can run here: tasks can't publish",
        "set `GOOGLE_CLOUD_PROJECT`, or `PUBSUB_EMULATOR_HOST`",
    ),
    "pubsub-address": _problem(
        "`PUBSUB_EMULATOR_HOST` isn't `host:port`", "correct it, or unset it"
    ),
    "pubsub-silent": _problem(
        "Pub/Sub doesn't answer",
        "start that emulator, or unset the variable; or look at the network",
    ),
    "pubsub-refused": _problem(
        "Pub/Sub answers with an error", "see its message: the project, the API, the quota project"
    ),
    "pubsub-not-listed": _warning(
        "the account may not list the topics of the project: it isn't known whether it may publish",
        "nothing, or grant `roles/pubsub.viewer`",
    ),
    "project-unset": _problem(
        "Google's Pub/Sub is wanted, and no project is named", "set `GOOGLE_CLOUD_PROJECT`"
    ),
    "credentials-file": _problem(
        "the file that `GOOGLE_APPLICATION_CREDENTIALS` names is missing, or no credentials",
        "correct the variable, or unset it",
    ),
    "credentials-readable": _warning("other users can read a private key", "take the right away"),
    "credentials-missing": _problem(
        "Google is used, and the environment has no credentials",
        "`gcloud auth application-default login`",
    ),
    "credentials-expired": _problem(
        "Google refuses the credentials: they have expired, or were revoked",
        "`gcloud auth application-default login`, or another key",
    ),
    "credentials-silent": _problem(
        "Google's token server doesn't answer", "look at the network: a proxy, a VPN, a firewall"
    ),
    "jobs-silent": _problem(
        "the store of jobs doesn't answer, or isn't ready", "what the store's error says"
    ),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding.

    Args:
        part: that was looked at.
        level: how much it matters.
        what: the finding, as a sentence without a full stop.
        code: a key of KINDS; empty: nothing is wrong.
        do: the remedy, as sentences.
        commands: for it, to copy.
    """

    part: str
    level: Level
    what: str
    code: str = ""
    do: str = ""
    commands: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """Makes the findings of a part."""

    name: str

    def ok(self, what: str) -> Finding:
        """Return the finding that something is as it should be."""
        return Finding(self.name, Level.OK, what)

    def unused(self, what: str) -> Finding:
        """Return the finding that something is absent, and isn't needed."""
        return Finding(self.name, Level.UNUSED, what)

    def wrong(self, code: str, what: str, do: str, *commands: str) -> Finding:
        """Return a finding of one of the KINDS."""
        return Finding(self.name, KINDS[code].level, what, code, do, commands)
