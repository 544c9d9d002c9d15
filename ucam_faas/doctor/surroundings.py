"""The start of an examination: the folder, the environment, and the options of the command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ucam_faas.config import Settings, on_cloud_run
from ucam_faas.local_state import LocalCloud


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """The folder, the environment and the options of an examination.

    Args:
        folder: of the tasks.
        environ: the variables, those of `.env` included.
        settings: that they make; the defaults, if they can't be used.
        cloud: the `ucam-faas dev` that runs in the folder.
        source: of the tasks, as the command line names it.
        google: look at Google's Pub/Sub in any case.
        has_local: a Pub/Sub can run here: the extra `local` is installed.
        is_sound: the variables can be used.
    """

    folder: Path
    environ: Mapping[str, str]
    settings: Settings
    cloud: LocalCloud | None = None
    source: str | None = None
    google: bool = False
    has_local: bool = True
    is_sound: bool = True

    @property
    def is_deployed(self) -> bool:
        """Return True on Cloud Run."""
        return on_cloud_run(self.environ)

    @property
    def uses_google(self) -> bool:
        """Return True if Pub/Sub is Google's for sure: it is asked for, or there is no other."""
        if self.google:
            return True
        if self.settings.pubsub_emulator:
            return False
        if self.cloud is not None:
            return not self.cloud.pubsub
        return self.is_deployed or (self.settings.project is not None and not self.has_local)
