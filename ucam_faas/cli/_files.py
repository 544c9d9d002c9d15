"""The files that verbs write: reading, comparing and writing their text."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ucam_faas.cli._output import print_json
from ucam_faas.exceptions import ConfigurationError


def read(path: Path) -> str | None:
    """Return the text of a file; None if it doesn't exist or isn't text.

    Raises:
        ConfigurationError: it cannot be read.
    """
    try:
        return path.read_bytes().decode() if path.is_file() else None
    except UnicodeDecodeError:
        return None
    except OSError as error:
        raise ConfigurationError(f"Cannot read {path}: {error.strerror}.") from error


def check_folder(path: Path) -> None:
    """Refuse a file that can't be written, before the work for it.

    Raises:
        ConfigurationError: its folder doesn't exist.
    """
    if not path.parent.is_dir():
        raise ConfigurationError(
            f"Cannot write {path}: the folder {path.parent} doesn't exist. Create it, or name "
            "another file with --output."
        )


def settle(path: Path, text: str, *, check: bool, verb: str, json_only: bool = False) -> None:
    """Write a file that is out of date; or only tell, and end with exit code 1.

    Args:
        path: of the file.
        text: of it, as it should be.
        check: don't write it.
        verb: that writes it.
        json_only: tell it as JSON.

    Raises:
        ConfigurationError: it cannot be read or written.
    """
    is_current = read(path) == text
    if json_only and (is_current or check):
        print_json({"file": str(path), "current": is_current, "written": False})
        sys.exit(0 if is_current else 1)
    if is_current:
        click.echo(f"{path} is up to date.")
        return
    if check:
        what = "is out of date" if path.is_file() else "does not exist"
        hint = f"Run: ucam-faas {verb}, with the same options but --check."
        click.secho(f"{path} {what}. {hint}", fg="red", err=True)
        sys.exit(1)
    try:
        path.write_bytes(text.encode())
    except OSError as error:
        raise ConfigurationError(
            f"Cannot write {path}: {error.strerror}. Name another with --output."
        ) from error
    if json_only:
        print_json({"file": str(path), "current": True, "written": True})
    else:
        click.echo(f"Wrote {path}.")
