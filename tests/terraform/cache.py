"""Files of the stand-in, made once per machine and kept in the user's cache folder.

Two sessions that need the same file make it once: the second waits. A key in the file's name
distinguishes its versions.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from .stub.recovery import write_schema

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
SCHEMA_PACKAGE = "cdktn-provider-google"
SCHEMA_VERSION = "21.1.0"
"""The package's version; it holds hashicorp/google 8.7.0."""
STUB = Path(__file__).with_name("stub")
_RECOVERY = ("packages", "recovery", "schema")
"""The modules that determine a recovered schema."""
_PIP_SECONDS = 600


class InstallError(Exception):
    """pip could not install or download something; the text is what it said."""


def libraries() -> Path:
    """Return the folder with the libraries of `requirements.txt`."""
    key = _key(REQUIREMENTS.read_text(), sys.version)
    return made(f"libraries-{key}", _install)


def schema(types: Iterable[str]) -> Path:
    """Return the file with the provider's schema for some types of resources."""
    wanted = sorted(set(types))
    key = _key(*wanted, *((STUB / f"{name}.py").read_text() for name in _RECOVERY))
    folder = made(f"schema-{SCHEMA_VERSION}-{key}", lambda part: _recover(part, wanted))
    return folder / "schema.json"


def _install(folder: Path) -> None:
    target = ("--target", str(folder), "--requirement", str(REQUIREMENTS))
    _pip("install", "--no-deps", "--only-binary=:all:", *target)


def _recover(folder: Path, types: list[str]) -> None:
    with TemporaryDirectory(dir=folder.parent) as downloads:
        _pip("download", "--no-deps", "--dest", downloads, f"{SCHEMA_PACKAGE}=={SCHEMA_VERSION}")
        [wheel] = Path(downloads).glob("*.whl")
        write_schema(wheel, types, folder / "schema.json")


def _pip(*arguments: str) -> None:
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pip", *arguments, "--quiet", "--no-input"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PIP_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise InstallError(f"pip {arguments[0]} took more than {_PIP_SECONDS} s") from error
    if done.returncode:
        raise InstallError(done.stderr.strip())


def made(name: str, make: Callable[[Path], None]) -> Path:
    """Return the complete cached folder of this name; the first caller makes it."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ucam-faas-tests"
    root.mkdir(parents=True, exist_ok=True)
    with _locked(root / f"{name}.lock"):
        if not (root / name).exists():
            with TemporaryDirectory(dir=root) as scratch:
                part = Path(scratch) / name
                part.mkdir()
                make(part)
                part.rename(root / name)
    return root / name


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _key(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
