"""The recipes of docs/operations.md: the code blocks of each section, in their order."""

from __future__ import annotations

import re
import textwrap

from tests.terraform.attached import ROOT

from .deployment import Deployment

DOCUMENT = ROOT / "docs/operations.md"
_SECTION = re.compile(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", re.M | re.S)
_BLOCK = re.compile(r"^ *```(\w+)\n(.*?)^ *```", re.M | re.S)


def sections() -> list[str]:
    """Return the headings."""
    return [heading for heading, _ in _SECTION.findall(DOCUMENT.read_text())]


def blocks(heading: str, *languages: str) -> list[str]:
    """Return the code blocks of a section in these languages; none named: in all."""
    texts = dict(_SECTION.findall(DOCUMENT.read_text()))
    return [
        textwrap.dedent(text)
        for language, text in _BLOCK.findall(texts[heading])
        if not languages or language in languages
    ]


def follow(shop: Deployment, *commands: str) -> str:
    """Run commands of the page, which may call `release`, and return their output."""
    [release] = blocks("Release", "sh")
    return shop.run(release, *commands)
