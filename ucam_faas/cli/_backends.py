"""The backends elsewhere than in a local cloud, as the options of a verb choose them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from ucam_faas.cli import _source
from ucam_faas.cli._messages import note
from ucam_faas.config import Settings, on_cloud_run
from ucam_faas.exceptions import ConfigurationError
from ucam_faas.logs import setup

if TYPE_CHECKING:
    from ucam_faas.backends.ports import Backends
    from ucam_faas.dead_letters.parser import Parser


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """A job store and a Pub/Sub.

    Args:
        google: the Pub/Sub is Google's, whatever the environment names.
        project: that was asked for.
        location: of Google's schedules.
        allow_writes: actions are possible.
        sources: of the tasks' code.
    """

    google: bool
    project: str | None
    location: str | None
    allow_writes: bool
    sources: Sequence[str]

    @property
    def environ(self) -> dict[str, str]:
        """The environment, as the options change it."""
        environ = dict(os.environ)
        if self.google:
            environ.pop("PUBSUB_EMULATOR_HOST", None)  # that isn't meant
        return environ

    @property
    def settings(self) -> Settings:
        """The settings of this environment."""
        return Settings.from_environ(self.environ, project=self.project)

    @property
    def is_named(self) -> bool:
        """Return True if options or the environment name one."""
        settings = self.settings
        return self.google or bool(settings.job_store or settings.pubsub_emulator)

    def check(self) -> None:
        """Refuse options that contradict one another.

        Raises:
            ConfigurationError: they do.
        """
        if self.location and not self.google:
            raise ConfigurationError("--location chooses Google's schedules: it needs --google.")

    def connect(self, log: TextIO | None = None) -> Backends:
        """Return the backends, and send log lines to a stream (default: stdout).

        Raises:
            ConfigurationError: there is neither a store nor a Pub/Sub.
            ParserError: SOURCE can't be loaded.
        """
        from ucam_faas.backends import remote

        settings = self.settings
        parser = _parser_of(self.sources, self.environ, self.project)
        setup.configure(settings, log)
        # Files of a container are gone with it, and its directory may not be ours.
        folder = Path(tempfile.gettempdir()) if on_cloud_run() else Path.cwd()
        return remote.connect(
            settings,
            google=self.google,
            project=self.project,
            location=self.location,
            allow_writes=self.allow_writes,
            folder=folder,
            parser=parser,
        )


def _parser_of(
    sources: Sequence[str], environ: Mapping[str, str], project: str | None
) -> Parser | None:
    """Return the parser of the tasks' code; None: no code is named here, and that of this folder
    isn't there, or can't be loaded.
    """
    from ucam_faas.dead_letters.parser import Parser, ParserError

    if project:
        environ = {**environ, "GOOGLE_CLOUD_PROJECT": project}
    if sources:
        return Parser(sources, environ=environ)
    named = _source.of_folder()
    if not named:
        return None
    parser = Parser(named, environ=environ)
    try:
        parser.tasks()
    except ParserError as error:
        note(f"The tasks aren't shown: {error}")
        return None
    return parser
