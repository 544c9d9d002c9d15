"""The virtual environment of an image: installed, checked, compiled, and the same each time.

Our own packages are in a folder of their own, /opt/ucam-faas, in a layer that all images share. A
collection's are in the virtual environment, and come before ours.
"""

from __future__ import annotations

import compileall
import importlib.metadata
import os
import py_compile
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

VENV = Path("/srv/venv")
PYTHON = VENV / "bin/python"
OURS = Path("/opt/ucam-faas")
LOCKS = Path("/build/locks")
DATE = 315_532_801
"""Of all files: the second second of 1980, as in images of buildpacks. Zip files can hold it."""
_COMPILED: dict[str, Any] = {
    "quiet": 2,
    "force": True,
    "workers": 0,
    "invalidation_mode": py_compile.PycInvalidationMode.UNCHECKED_HASH,
}
_NOT_SERVED = re.compile(
    "/(site-packages|dist-packages|ensurepip|idlelib|pydoc_data|tkinter|turtledemo)/"
)


def site_packages() -> Path:
    """Return the folder of the packages in the virtual environment."""
    return VENV / f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"


def pip(*arguments: str) -> None:
    """Run pip for the virtual environment; it has none of its own."""
    subprocess.run([sys.executable, "-m", "pip", f"--python={PYTHON}", *arguments], check=True)


def install_lock(name: str) -> None:
    """Install one of our locks, and remove symbols for debuggers, most of uvloop's 16 MB."""
    before = set(site_packages().rglob("*.so"))
    hashed = ("--no-deps", "--only-binary=:all:", "--require-hashes")
    pip("install", "--no-compile", *hashed, f"--requirement={LOCKS / name}")
    for library in sorted(set(site_packages().rglob("*.so")) - before):
        subprocess.run(["strip", "--strip-unneeded", str(library)], check=True)


def move_ours() -> None:
    """Move all packages to the folder that images share, and have Python look there last."""
    folder = site_packages()
    shutil.move(folder, OURS)
    folder.mkdir()
    (folder / "ucam-faas.pth").write_text(f"{OURS}\n")


def version_of_ours() -> str:
    """Return the version of ucam-faas in the image."""
    (ours,) = importlib.metadata.distributions(name="ucam-faas", path=[str(OURS)])
    return ours.version


def check() -> None:
    """Fail unless the packages fit together; ours do without some that are never imported."""
    left_out = (LOCKS / "left-out.txt").read_text().split()
    command = [sys.executable, "-m", "pip", f"--python={PYTHON}", "check"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    missing = tuple(f" requires {name}, which is not installed." for name in left_out)
    faults = [line for line in done.stdout.splitlines() if not line.endswith(missing)]
    if done.returncode and faults:
        raise SystemExit("\n".join(faults))


def compile_all(folder: Path) -> None:
    """Write bytecode that Python uses without a look at the age of its source."""
    compileall.compile_dir(folder, **_COMPILED)


def compile_library(target: Path) -> None:
    """Write the standard library's bytecode, which official images don't have, below a folder."""
    library = Path(sysconfig.get_path("stdlib")).resolve()
    compileall.compile_dir(library, rx=_NOT_SERVED, **_COMPILED)
    for file in library.rglob("*.pyc"):
        if not _NOT_SERVED.search(str(file)):
            copy = target / file.relative_to("/")
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)


def lay_out(layer: Path, *folders: Path) -> None:
    """Link folders below another one, with all dates alike: the content of a layer.

    A layer that is copied from there to / is the same whenever its files are. Its own folder, and
    the target of a copy, would get the time of the build.
    """
    for folder in folders:
        target = layer / folder.relative_to("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(folder, target, symlinks=True, copy_function=os.link)
    for parent, names, files in os.walk(layer):
        for path in (Path(parent, name) for name in (*names, *files)):
            os.utime(path, (DATE, DATE), follow_symlinks=False)
