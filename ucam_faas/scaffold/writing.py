"""Writing new files into a folder, without changing a file that is there."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from ucam_faas.exceptions import ConfigurationError


def write(folder: Path, texts: Mapping[str, str]) -> None:
    """Write files into a folder, all or none; none of them exists.

    Raises:
        ConfigurationError: one does, or can't be written.
    """
    made: list[Path] = []
    file = folder
    try:
        for path, text in texts.items():
            file = folder / path
            _make_folder(file.parent, made)
            with file.open("x", encoding="utf-8") as opened:
                made.append(file)
                opened.write(text)
    except BaseException as error:
        _remove(made)
        if isinstance(error, OSError):
            where = error.filename or file
            raise ConfigurationError(f"{where} can't be written: {error.strerror}.") from error
        raise


def _make_folder(folder: Path, made: list[Path]) -> None:
    for missing in reversed([each for each in (folder, *folder.parents) if not each.exists()]):
        missing.mkdir()
        made.append(missing)


def _remove(made: list[Path]) -> None:
    """Remove files and folders, the newest first, as far as that works."""
    for path in reversed(made):
        with suppress(OSError):
            path.rmdir() if path.is_dir() else path.unlink()


def check_empty(folder: Path, advice: str) -> None:
    """Refuse a folder that holds anything but an empty git repository.

    Args:
        folder: which may not be there.
        advice: the last sentence of the error, if the folder isn't empty.

    Raises:
        ConfigurationError: it does, it can't be read, or it's a file.
    """
    try:
        present = sorted(path.name for path in folder.iterdir() if path.name != ".git")
    except FileNotFoundError:
        return
    except NotADirectoryError as error:
        raise ConfigurationError(
            f"{folder} isn't a folder: name a new one, or an empty one."
        ) from error
    except OSError as error:
        raise ConfigurationError(f"{folder} can't be read: {error.strerror}.") from error
    if present:
        more = f" and {len(present) - 3} more" if len(present) > 3 else ""
        raise ConfigurationError(
            f"The folder {folder} isn't empty: it has {', '.join(present[:3])}{more}. {advice}"
        )
