"""Build the documentation as a web site, strictly: a warning fails it.

python docs/site/build.py
python docs/site/build.py --source-url https://git.example.org/team/ucam_faas/blob/main

The documents are written for readers of the repository: their links are paths of files. Sphinx
wants all of them in one folder, so they are copied to build/site/source, and their links follow.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

import api
from docstrings import reread
from documents import Documents
from sphinx.cmd.build import build_main

SITE = Path(__file__).parent
ROOT = SITE.parents[1]


def stage(documents: Documents, source: Path) -> None:
    """Write the documents and pictures as Sphinx reads them, to a folder that is replaced."""
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(ROOT / "docs/pictures", source / "pictures")
    for name, place in documents.places.items():
        (source / place).parent.mkdir(parents=True, exist_ok=True)
        (source / place).write_text(documents.text(name))


def main() -> int:
    """Stage the documents and run Sphinx; return its exit code."""
    parser = argparse.ArgumentParser(description="Build the documentation as a web site.")
    parser.add_argument("--folder", type=Path, default=ROOT / "build/site")
    parser.add_argument("--source-url", help="of the repository's files, to link to them")
    options = parser.parse_args()
    source, html, doctrees = (options.folder / name for name in ("source", "html", "doctrees"))
    stage(Documents(ROOT, options.source_url, api.pages(reread)), source)
    shutil.rmtree(html, ignore_errors=True)
    if subprocess.run(
        [sys.executable, ROOT / "docs/generate.py", "--check"], check=False
    ).returncode:
        return 1  # an option, command or variable isn't documented as it is
    strict = ["--fail-on-warning", "--keep-going", "--fresh-env"]
    folders = ["--conf-dir", str(SITE), "--doctree-dir", str(doctrees), str(source), str(html)]
    code = build_main([*strict, "--quiet", *folders])
    if code == 0:
        print(f"Open {html / 'index.html'}")
    return code


if __name__ == "__main__":
    sys.exit(main())
