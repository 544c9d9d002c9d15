"""Steps of building an image, which the Dockerfile calls with `python image STEP`."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import code_files
import dependencies
import packages
import trial


def ours(wheel: str) -> None:
    """Complete the layers of the image that all collections share."""
    packages.pip("install", "--no-compile", "--no-deps", "--no-index", wheel)
    packages.move_ours()
    packages.check()
    packages.compile_all(packages.OURS)
    packages.compile_library(Path("/library"))
    packages.lay_out(Path("/library"))
    packages.lay_out(Path("/ours"), packages.OURS, packages.VENV)


def requirements() -> None:
    """Install what the project depends on, and complete the layer of packages."""
    folders = [Path("/build/source"), Path("/build/beside")]
    try:
        wanted = dependencies.find(folders, packages.version_of_ours())
    except dependencies.Refusal as refusal:
        raise SystemExit(f"\n{refusal}") from refusal
    if wanted:
        print(f"Installing {wanted.origin.name}", flush=True)
        packages.pip("install", "--no-compile", "--no-warn-conflicts", *wanted.arguments)
        if (packages.site_packages() / "ucam_faas").exists():
            raise SystemExit(
                f"\n{wanted.origin.name} installs another ucam-faas than the image has. "
                "Leave it out, or let it take the image's version."
            )
    _complete_packages()


def _complete_packages() -> None:
    packages.check()
    packages.compile_all(packages.site_packages())
    layer = Path("/packages")
    shutil.rmtree(layer, ignore_errors=True)
    packages.lay_out(layer, packages.VENV)


def code(source: str) -> None:
    """Complete the layer of the code, and add the extra `worker` to that of packages."""
    code_files.tidy(source)
    can_pull = (packages.site_packages() / "google/pubsub_v1").exists()
    if code_files.has_workers() and not can_pull:
        packages.install_lock("worker.txt")
        _complete_packages()
    packages.compile_all(code_files.APP)
    packages.lay_out(Path("/code"), code_files.APP)


STEPS = {
    "lock": packages.install_lock,
    "ours": ours,
    "requirements": requirements,
    "code": code,
    "check": trial.check,
}

if __name__ == "__main__":
    STEPS[sys.argv[1]](*sys.argv[2:])
