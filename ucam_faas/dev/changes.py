"""Find changed Python files by comparing two looks at their folders.

The operating system's notifications only prompt another look, so a file that is saved while the
last change is still loading isn't missed.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from importlib.util import cache_from_source
from pathlib import Path

from ucam_faas._optional import require

SETTLE_MILLISECONDS = 50
"""Files saved within this time are one change: editors write in several steps."""
LOOK_MILLISECONDS = 250
"""We look at least this often: a change before we are watching sends no notification."""
_IGNORED = (".", "__pycache__", "node_modules")


@dataclass(frozen=True, slots=True)
class Look:
    """The Python files of some folders at a moment."""

    folders: frozenset[str]
    files: dict[str, tuple[int, int]]
    """When each was written, in epoch nanoseconds, and its size."""
    taken_at: int = field(default_factory=time.time_ns)

    def changed_since(self, before: Look) -> set[str]:
        """Return the files that were added, modified or deleted."""
        return {
            path
            for path in before.files.keys() | self.files.keys()
            if self.files.get(path) != before.files.get(path) and self._is_news(path, before)
        }

    def _is_news(self, path: str, before: Look) -> bool:
        """Return True unless the file is older and its folder was not looked at before."""
        return os.path.dirname(path) in before.folders or (
            self.files.get(path, (0, 0))[0] >= before.taken_at
        )


class Folders:
    """The folders of sources, and those of the modules that were loaded from them.

    Args:
        sources: files and directories; a folder that is made in one of these may hold tasks.
        others: more files to look at, which may not exist.
    """

    def __init__(self, sources: Sequence[str], others: Sequence[Path] = ()) -> None:
        self._others = [path.absolute() for path in others]
        self._roots = [Path(source).resolve() for source in sources if Path(source).is_dir()]
        files = [Path(source).resolve() for source in sources if Path(source).is_file()]
        self.watched: set[str] = {str(path.parent) for path in files}
        """Folders to look at, beside those of the sources that are directories."""

    def add(self, folders: Iterable[str]) -> None:
        """Look at these folders as well from now on."""
        self.watched.update(folders)

    def look(self) -> Look:
        """Look at all of them."""
        folders = {*self.watched, *map(str, self._roots)}
        folders |= {entry.path for root in self._roots for entry in _entries(str(root), True)}
        files: dict[str, tuple[int, int]] = {}
        entries: list[os.DirEntry[str] | Path] = [*self._others]
        entries += [entry for folder in folders for entry in _entries(folder, False)]
        for path in entries:
            try:
                stat = path.stat()
            except OSError:  # gone, or a link to nowhere
                continue
            files[os.fspath(path)] = (stat.st_mtime_ns, stat.st_size)
        return Look(frozenset(folders), files)

    async def change(self, before: Look) -> tuple[Look, set[str]]:
        """Return a look, and the files that have changed, when there are any.

        Their bytecode is deleted: Python takes it for that of any file of the same size that was
        written in the same second.
        """
        while True:
            now = self.look()
            if now.changed_since(before):
                now = await self._settled(now)
                changed = now.changed_since(before)
                for path in changed:
                    Path(cache_from_source(path)).unlink(missing_ok=True)
                if changed:
                    return now, changed
            try:
                await self._until_woken(now)
            except OSError:  # a folder has gone, or there are too many for the system to watch
                await asyncio.sleep(LOOK_MILLISECONDS / 1000)

    async def _settled(self, now: Look) -> Look:
        while True:
            await asyncio.sleep(SETTLE_MILLISECONDS / 1000)
            last, now = now, self.look()
            if now.files == last.files:
                return now

    async def _until_woken(self, now: Look) -> None:
        watchfiles = require("watchfiles", extra="local", purpose="follow changes of the code")
        watching: AsyncIterator[object] = watchfiles.awatch(
            *sorted(folder for folder in now.folders if Path(folder).is_dir()),
            watch_filter=None,
            debounce=SETTLE_MILLISECONDS,
            step=SETTLE_MILLISECONDS // 2,
            rust_timeout=LOOK_MILLISECONDS,
            yield_on_timeout=True,
            recursive=False,
        )
        async for _ in watching:
            look = self.look()
            if look.folders != now.folders or look.files != now.files:
                return


def _entries(folder: str, directories: bool) -> list[os.DirEntry[str]]:
    """Return the directories of a folder that may hold tasks, or its Python files."""
    try:
        with os.scandir(folder) as entries:
            return [
                entry
                for entry in entries
                if not entry.name.startswith(_IGNORED)
                and (entry.is_dir() if directories else entry.name.endswith(".py"))
            ]
    except OSError:
        return []
