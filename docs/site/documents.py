"""The documents of the site: where each is in it, and its text with links that lead there.

docs/README.md is the navigation: each of its sections becomes a part of the side bar. The README of
another folder leads to the documents beside and below it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from posixpath import dirname, normpath, relpath

NAVIGATION = "docs/README.md"
FRONT = "index.md"
_FOLDERS = ("docs/**/", "benchmarks/", "example_tasks/**/", "terraform/**/")
_ALSO = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
_APART = "docs/decisions/"
"""Its README lists its pages: in the side bar, the sixty would take a third of the build's time."""
_INTRODUCTION_ENDS = "\n## Try this repository"
_FENCE = re.compile(r"(^ *```.*?^ *```\n)", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
_SECTION = re.compile(r"^## (.*?)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_SITE_ONLY = re.compile(r"<!-- site: (.*?) -->")
_ITEM = re.compile(r"^- \[(.*?)\]\(([^)]+)\)", re.MULTILINE)


def navigation(text: str) -> dict[str, dict[str, str]]:
    """Return the sections of docs/README.md: the labels of the documents, by path from the root."""
    return {
        title: {_target(NAVIGATION, link): label for label, link in _ITEM.findall(body)}
        for title, body in _SECTION.findall(text)
    }


@dataclass(frozen=True)
class Documents:
    """The documents of a repository.

    Args:
        root: its folder.
        source_url: of its files, for links to files that aren't documents; None: these become
            plain text.
        generated: the texts of documents that are only in the site, by their path from the root;
            docs/README.md lists them by a comment, `<!-- site: LINE -->`.
    """

    root: Path
    source_url: str | None = None
    generated: Mapping[str, str] = field(default_factory=dict)
    places: dict[str, str] = field(init=False)
    """Their paths from the root, each with its path in the site's source."""

    def __post_init__(self) -> None:
        paths = sorted(path for folder in _FOLDERS for path in self.root.glob(f"{folder}*.md"))
        names = [
            str(path.relative_to(self.root)) for path in paths if ".terraform" not in path.parts
        ]
        places = {name: _place(name) for name in [*names, *_ALSO, *self.generated]}
        object.__setattr__(self, "places", places)

    def text(self, name: str) -> str:
        """Return a document's text for the site."""
        text = self._relinked(name)
        if name == NAVIGATION:
            return self._front_page(text)
        if name.startswith(_APART):
            return text if name.endswith("/README.md") else f"---\norphan: true\n---\n\n{text}"
        return text + self._contents(name) if name.endswith("/README.md") else text

    def _relinked(self, name: str) -> str:
        def relink(match: re.Match[str]) -> str:
            address = self._address(name, match[2])
            return f"[{match[1]}]({address})" if address else match[1]

        parts = _FENCE.split(self._read(name))
        parts[::2] = [_LINK.sub(relink, text) for text in parts[::2]]
        return "".join(parts)

    def _read(self, name: str) -> str:
        if name in self.generated:
            return self.generated[name]
        text = (self.root / name).read_text()
        return _SITE_ONLY.sub(r"\1" if self.generated else "", text)

    def _address(self, name: str, link: str) -> str | None:
        path, mark, anchor = link.partition("#")
        if ":" in path or not path:
            return link
        target = _target(name, path)
        folder = f"{target}/README.md".removeprefix("./")
        target = folder if folder in self.places else target
        place = FRONT if target == "README.md" else self.places.get(target)
        if place is None and target.startswith("docs/pictures/"):
            place = target.removeprefix("docs/")
        if place is not None:
            return relpath(place, dirname(_place(name)) or ".") + mark + anchor
        if not (self.root / target).exists():
            raise FileNotFoundError(f"{name} links to {link}, which doesn't exist")
        return self.source_url and f"{self.source_url}/{target}"

    def _front_page(self, contents: str) -> str:
        """Return the README's introduction and the parts of the site."""
        introduction = self._relinked("README.md").partition(_INTRODUCTION_ENDS)[0]
        for title, labels in navigation(self._read(NAVIGATION)).items():
            tree = _toctree({_place(name): label for name, label in labels.items()}, title)
            contents = contents.replace(f"## {title}\n", f"{tree}\n### {title}\n")
        return f"{introduction}\n#{contents}"

    def _contents(self, name: str) -> str:
        folder = dirname(name) + "/"
        below = [other for other in self.places if other.startswith(folder) and other != name]
        here = dirname(_place(name))
        tree = _toctree({relpath(_place(other), here): "" for other in below})
        return f"\n{tree}" if below else ""


def _place(name: str) -> str:
    if name in ("CHANGELOG.md", "README.md"):
        return {"CHANGELOG.md": "changes.md", "README.md": FRONT}[name]
    return re.sub(r"(^|/)README\.md$", r"\1index.md", name.removeprefix("docs/"))


def _target(name: str, link: str) -> str:
    return normpath(f"{dirname(name) or '.'}/{link}")


def _toctree(labels: Mapping[str, str], caption: str = "") -> str:
    """Return the navigation to places, each with its label; without one, its title is shown."""
    options = [":hidden:", f":caption: {caption}"] if caption else [":hidden:"]
    names = {place.removesuffix(".md"): label for place, label in labels.items()}
    entries = [f"{label} <{name}>" if label else name for name, label in names.items()]
    return "\n".join(["```{toctree}", *options, "", *entries, "```", ""])
