"""Docstrings as Sphinx reads them: the package writes them for editors, which show Markdown.

Code is in single backticks, sections are Google's (`Args:`), and code blocks are indented.
"""

from __future__ import annotations

import builtins
import re
from typing import Any

import api
from docutils import nodes
from sphinx.addnodes import desc_parameterlist, pending_xref
from sphinx.ext.napoleon import Config, GoogleDocstring

_EXAMPLE = re.compile(r"((?:^ *(?:>>>|\.\.\.) .*\n?)+)", re.MULTILINE)
_INDENTED = re.compile(r"(?<=\w):(?=\n\n {4,}(?!>>>)\S)")
_CODE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
_DOCUMENT = re.compile(r"docs/([\w-]+)\.md")
_BARE = re.compile(rf"(?<!`){_DOCUMENT.pattern}")
_MODULE = re.compile(r"~(?:\w+\.)*~?(?=\w)")
_PLACES = {name.rpartition(".")[2]: name for name in api.names()}
"""The names that lead to their place on a page when a docstring has them as code."""


def reread(doc: str) -> str:
    """Return a docstring as reStructuredText."""
    parts = _EXAMPLE.split(doc)
    parts[::2] = [_INDENTED.sub("::", part) for part in parts[::2]]
    parts[::2] = [_CODE.sub(_marked, part) for part in parts[::2]]
    parts[::2] = [_BARE.sub(r":doc:`/\1`", part) for part in parts[::2]]
    return "".join(parts)


def _marked(match: re.Match[str]) -> str:
    code, name = match[1], match[1].rstrip("()")
    document = _DOCUMENT.fullmatch(code)
    if document:
        return f":doc:`/{document[1]}`"
    head, _, member = name.partition(".")
    if head not in _PLACES or (member and not hasattr(api.value_of(_PLACES[head]), member)):
        return f"``{code}``\\ "
    return f":py:obj:`{code} <{_PLACES[head]}{name.removeprefix(head)}>`\\ "


def process(_app: Any, what: str, name: str, value: Any, _options: Any, lines: list[str]) -> None:
    """Replace the lines of a docstring; a handler of autodoc's event."""
    lines[:] = reread("\n".join(lines)).splitlines()
    if what in ("attribute", "property", "data"):
        return  # napoleon would read a type before each colon
    lines[:] = GoogleDocstring(lines, Config(napoleon_use_ivar=True), what=what, name=name).lines()


def tidy(_app: Any, doctree: nodes.document) -> None:
    """Shorten types that Sphinx can't, those with a ParamSpec, and unlink built-in types.

    Those would lead to the attribute of a class that has their name, such as `type`.
    """
    for text in list(doctree.findall(nodes.Text)):
        if ".~" in text and isinstance(text.parent.parent, desc_parameterlist):
            text.parent.replace(text, nodes.Text(_MODULE.sub("", text)))
    for link in list(doctree.findall(pending_xref)):
        if link.get("refdomain") == "py" and hasattr(builtins, link["reftarget"]):
            link.replace_self(link.children)
