"""The settings of Sphinx for the site; see build.py."""

from __future__ import annotations

import tomllib
from pathlib import Path

_PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]

project = "ucam_faas"
author = "The ucam_faas authors"
version = release = _PROJECT["version"]
extensions = ["myst_parser"]
myst_heading_anchors = 4  # as GitHub makes them
# The lexers know less than the languages do, and tests parse the blocks.
suppress_warnings = ["misc.highlighting_failure"]
html_theme = "furo"
html_title = f"ucam_faas {version}"
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False
