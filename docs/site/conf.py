"""The settings of Sphinx for the site; see build.py."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any

SITE = Path(__file__).parent
sys.path.insert(0, str(SITE))

import docstrings  # noqa: E402

project = "ucam_faas"
author = "The ucam_faas authors"
version = release = tomllib.loads((SITE.parents[1] / "pyproject.toml").read_text())["project"][
    "version"
]
extensions = ["myst_parser", "sphinx.ext.autodoc"]
# The lexers know less than the languages do, and tests parse the blocks.
suppress_warnings = ["misc.highlighting_failure"]

myst_heading_anchors = 4  # as GitHub makes them

autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_default_options = {"exclude-members": "model_config, model_post_init"}
toc_object_entries_show_parents = "hide"
add_module_names = False

html_theme = "furo"
html_title = f"ucam_faas {version}"
html_static_path = [str(SITE / "static")]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_search_scorer = str(SITE / "scorer.js")
pygments_dark_style = "a11y-high-contrast-dark"
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False


def setup(app: Any) -> None:
    """Have docstrings read as they are written."""
    app.connect("autodoc-process-docstring", docstrings.process)
    app.connect("doctree-read", docstrings.tidy)
